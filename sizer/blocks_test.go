package sizer

import (
	"errors"
	"os"
	"testing"
	"time"
)

// Write-back gives a sparse file one block more some 20 to 40 s after the last
// write, for the tree of its extents, and leaves its times and its size alone.
func TestBlocksAloneAreNoGrowth(t *testing.T) {
	// addBlock writes a block into a hole, as of long ago.
	addBlock := func(c *cache, path string) {
		c.t.Helper()
		info, err := os.Stat(path)
		c.must(err)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		c.must(err)
		_, err = f.WriteAt(make([]byte, diskBlock), 8*mib)
		c.must(err)
		c.must(f.Close())
		c.must(os.Chtimes(path, info.ModTime(), info.ModTime()))
	}
	for suffix, under := range map[string]func(c *cache){
		".sync.part":  func(c *cache) { c.besidesIn(demo, 42, "a") },
		".incomplete": func(c *cache) { c.lock(42, "a") },
	} {
		t.Run(suffix, func(t *testing.T) {
			c := newCache(t)
			c.run(42, "python3", "x.py")
			path := c.partial("a", suffix, mib)
			must(t, os.Truncate(path, 16*mib))
			under(c)
			before := c.look()
			c.kill(42)
			c.now = c.now.Add(30 * time.Second)
			addBlock(c, path)
			if l := c.look(); l.Arrived != 0 || l.Bytes != before.Bytes || l.Partials != 0 {
				t.Errorf("look %+v", l)
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteAt(make([]byte, mib), 4*mib)
			must(t, errors.Join(err, f.Close()))
			if l := c.look(); l.Arrived < mib || l.Partials != 1 {
				t.Errorf("written to: look %+v", l)
			}
		})
	}
}
