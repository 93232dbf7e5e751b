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

// The next client finds the blob there, of another revision, and links it.
func TestAPartialWhoseBlobWasLinkedBehindItIsNotUnderWay(t *testing.T) {
	for name, tt := range map[string]struct {
		again    bool // it is written to behind that
		partials int
		proof    Proof
	}{"left": {partials: 0, proof: ProvenByListing}, "written to": {again: true, partials: 1}} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.whole("a", mib, commitA, "a.bin")
			c.age()
			c.watch(time.Now().Add(-time.Second), nil)
			c.list(commitB, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", 1000}})
			left := c.partial("a", ".part", 0)
			c.run(43, "python3")
			c.lock(43, "b")
			c.partial("b", ".01234567.incomplete", 500)
			c.linkLater("a", commitB, "a.bin", left)
			c.look()
			c.partial("b", ".01234567.incomplete", 1000)
			c.finish("b", ".01234567.incomplete", commitB, "b.bin")
			if tt.again {
				c.write(left, 1000)
			}
			c.kill(43)
			if l := c.look(); l.Partials != tt.partials || l.Proof != tt.proof {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// Two machines fetch one blob into a cache that both mount, and neither sees the locks
// of the other. The second one might be a retry until the first one goes on.
func TestOfTwoAtOneBlobTheOneThatIsFurtherCounts(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".11111111.incomplete", 2*mib)
	c.look()
	c.partial("a", ".22222222.incomplete", mib)
	most := int64(2 * mib)
	for round := range 4 {
		for _, writer := range []string{".22222222.incomplete", ".11111111.incomplete"} {
			path := c.in(demo, "blobs", etag("a")+writer)
			info, err := os.Stat(path)
			must(t, err)
			c.write(path, int(info.Size())+mib/2)
			c.now = c.now.Add(pieceTime / 4)
			most = max(most, info.Size()+mib/2)
			if l := c.look(); round > 0 && l.Bytes != most {
				t.Errorf("%d bytes count, and the one that is further has %d", l.Bytes, most)
			}
		}
	}
	c.now = c.now.Add(pieceTime) // it is dead
	c.write(c.in(demo, "blobs", etag("a")+".22222222.incomplete"), 7*mib/2)
	c.expect("the other is left", want{play: true, bytes: 7 * mib / 2, arrived: 7 * mib / 2, partials: 1})
}
