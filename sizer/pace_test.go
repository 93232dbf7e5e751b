package sizer

import (
	"testing"
	"time"

	"progressd/fsys"
)

// paceAfter looks for so long while one file grows, and gives the last pace.
func (c *cache) paceAfter(d time.Duration, size *int) Pace {
	c.t.Helper()
	var pace Pace
	for end := c.now.Add(d); c.now.Before(end); {
		*size += kib
		c.partial("a", ".01234567.incomplete", *size)
		_, pace = c.lookAt(demo)
	}
	return pace
}

func TestWhatOnlyGrowsIsLookedAtLessOften(t *testing.T) {
	steady := func(t *testing.T) (c *cache, size *int) {
		t.Helper()
		c, size = newCache(t), new(int)
		c.run(42, "hf", "download", "org/demo")
		c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
		c.lock(42, "a")
		if pace := c.paceAfter(calmAfter, size); pace != Fast {
			t.Fatalf("at the beginning the pace is %v", pace)
		}
		if pace := c.paceAfter(2*fsys.Coarse, size); pace != Steady {
			t.Fatalf("when nothing but a size has changed for a while the pace is %v", pace)
		}
		return c, size
	}
	for what, happens := range map[string]func(*cache, *int){
		"a file begins": func(c *cache, _ *int) { c.partial("b", ".01234567.incomplete", 1) },
		"a file is there": func(c *cache, _ *int) {
			c.finish("a", ".01234567.incomplete", commitA, "a.bin")
		},
		"another client comes": func(c *cache, _ *int) {
			c.run(43, "hf", "download", "org/demo")
			c.lock(43, "b")
			c.partial("b", ".01234567.incomplete", 0)
		},
		"the client is gone":     func(c *cache, _ *int) { c.kill(42) },
		"little is left":         func(c *cache, _ *int) { c.partial("a", ".01234567.incomplete", mib) },
		"another attempt begins": func(c *cache, _ *int) { c.partial("a", ".89abcdef.incomplete", 1) },
	} {
		t.Run(what, func(t *testing.T) {
			c, size := steady(t)
			happens(c, size)
			if _, pace := c.lookAt(demo); pace != Fast {
				t.Errorf("the pace is %v", pace)
			}
		})
	}
}

func TestWhereNoLockTellsItIsLookedAtAsOftenAsEver(t *testing.T) {
	c, size := newCache(t), new(int)
	if pace := c.paceAfter(3*calmAfter, size); pace != Fast {
		t.Errorf("the pace is %v", pace)
	}
}
