package sizer

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// hollow leaves the first part of a partial written, and the rest a hole.
func hollow(c *cache, word, suffix string, written, size int) {
	c.t.Helper()
	path := c.partial(word, suffix, written)
	c.must(os.Truncate(path, int64(size)))
	var st unix.Stat_t
	c.must(unix.Stat(path, &st))
	var fs unix.Statfs_t
	c.must(unix.Statfs(path, &fs))
	if !densely[int64(fs.Type)] || st.Blocks*512 >= int64(size) { //nolint:unconvert // int32 on 32-bit machines
		c.t.Skip("holes can't be told here")
	}
}

// A client that resumes by length takes what a sparse writer left for whole.
func TestAFinishedFileWithHolesIsNoSuccess(t *testing.T) {
	const written, size = 2 * mib, 12 * mib
	check := func(t *testing.T, l Look, path string) {
		t.Helper()
		if want := (Mismatch{Path: path, Got: written, Want: size, Holes: true}); l.Mismatched == nil || *l.Mismatched != want {
			t.Fatalf("mismatch %+v in %+v", l.Mismatched, l)
		}
		if l.Proof != NoProof || l.Bytes != written {
			t.Fatalf("look %+v", l)
		}
	}
	t.Run("with a listing", func(t *testing.T) {
		c := newCache(t)
		c.list(commitA, map[string]listedFile{"a.bin": {"a", size}})
		hollow(c, "a", ".incomplete", written, size)
		c.look()
		c.finish("a", ".incomplete", commitA, "a.bin")
		check(t, c.look(), "a.bin")
		l := c.look()
		c.restart(l.Checkpoint)
		check(t, c.look(), "a.bin")
	})
	t.Run("without", func(t *testing.T) {
		c := newCache(t)
		hollow(c, "a", ".incomplete", written, size)
		c.look()
		c.finish("a", ".incomplete", commitA, "a.bin")
		check(t, c.look(), etag("a"))
	})
	t.Run("until somebody writes it", func(t *testing.T) {
		c := newCache(t)
		c.list(commitA, map[string]listedFile{"a.bin": {"a", size}})
		hollow(c, "a", ".incomplete", written, size)
		c.look()
		c.finish("a", ".incomplete", commitA, "a.bin")
		c.look()
		c.must(os.WriteFile(c.in(demo, "blobs", etag("a")), make([]byte, size), 0o644))
		c.now = c.now.Add(lockMemory) // its link is older now
		if l := c.look(); l.Mismatched != nil || l.Proof != ProvenByListing || l.Bytes != size {
			t.Fatalf("look %+v", l)
		}
	})
}
