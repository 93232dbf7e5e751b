package sizer

import (
	"os"
	"testing"
	"time"
)

// A client fails between two looks, having made one partial more whose lock
// nobody saw, and another one brings that blob before the second look.
func outdone(t *testing.T, suffix string) (c *cache, left string) {
	c = newCache(t)
	c.run(42, "router")
	c.lock(42, "config")
	c.partial("config", suffix, 700)
	c.look()
	c.finish("config", suffix, commitA, "config.json")
	left = c.partial("a", suffix, mib/2)
	c.kill(42)
	before := time.Now().Add(-100 * time.Millisecond)
	must(t, os.Chtimes(left, before, before))
	c.write(c.in(demo, "blobs", etag("a")), mib) // as swift does
	c.link("a", commitA, "a.bin")
	return c, left
}

func TestAPartialWhoseBlobCameBehindItIsNotUnderWay(t *testing.T) {
	for _, suffix := range []string{".part", ".sync.part", ".incomplete", ".01234567.incomplete"} {
		t.Run(suffix, func(t *testing.T) {
			c, _ := outdone(t, suffix)
			c.look()
			if l := c.look(); l.Partials != 0 || l.Unfinished != 0 || l.Failed != 0 || l.Orphans != 1 || l.Bytes != mib+700 {
				t.Fatalf("look %+v", l)
			}
		})
	}
	t.Run("until it is written to", func(t *testing.T) {
		c, left := outdone(t, ".part")
		c.look()
		c.look()
		c.write(left, mib/2+1000)
		if l := c.look(); l.Partials != 1 {
			t.Fatalf("look %+v", l)
		}
	})
}
