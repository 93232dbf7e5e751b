package sizer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A link in a sub-directory moves no time stamp of the snapshot's own.
func TestALinkInASubDirectoryOfASnapshotIsFound(t *testing.T) {
	for _, former := range []string{"sub/x.bin", "x.bin"} {
		t.Run("beside "+former, func(t *testing.T) {
			c := newCache(t)
			c.whole("x", kib, commitA, former)
			c.age()
			for i := range 8 {
				c.partial("a", ".01234567.incomplete", mib+i)
				c.look()
			}
			c.finish("a", ".01234567.incomplete", commitA, "sub/a.bin")
			c.look()
			if links := c.root.repos[demo].revs.at(commitA).links; !slices.Contains(links, link{"sub/a.bin", etag("a")}) || !slices.Contains(links, link{former, etag("x")}) {
				t.Errorf("the links are %v", links)
			}
		})
	}
}

func TestALinkWhereBlobsOrAStageBelongIsExplained(t *testing.T) {
	for _, c := range []struct{ name, folder, link, says string }{
		{"blobs", demo, "blobs", "blobs is a link, and links are not followed"},
		{"the stage", llama, ".cache/huggingface/download", "is reached by a link, and links are not followed"},
		{"what it lies in", llama, ".cache/huggingface", "is reached by a link, and links are not followed"},
		{"the hidden directory", llama, ".cache", "is reached by a link, and links are not followed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newCache(t)
			elsewhere := t.TempDir()
			must(t, os.MkdirAll(filepath.Join(elsewhere, "huggingface", "download"), 0o755))
			must(t, os.MkdirAll(filepath.Dir(in.in(c.folder, c.link)), 0o755))
			must(t, os.Symlink(elsewhere, in.in(c.folder, c.link)))
			for range 3 {
				if l, _ := in.lookAt(c.folder); l.InPlay || l.Unreadable != nil {
					t.Fatalf("look %+v", l)
				}
			}
			if n := strings.Count(in.log.String(), c.says); n != 1 {
				t.Errorf("said %d times:\n%s", n, in.log)
			}
		})
	}
}

func TestADirectoryThatIsFilledByNoClientIsNoFault(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(llama), 0o755))
	c.write(c.in(llama, ".cache"), 10) // a file
	c.lookAt(llama)
	if c.log.Len() > 0 {
		t.Errorf("said:\n%s", c.log)
	}
}

// A snapshot for which nothing is done, with more links than are read, is read again when
// it changes, as far as before.
func TestALongSnapshotIsReadAgainAsFarAsBefore(t *testing.T) {
	inMemory(t)
	c := newCache(t)
	for i := range maxLinks + 10 {
		c.placeBlob(fmt.Sprint(i), commitA, fmt.Sprintf("f%05d.txt", i))
	}
	c.age()
	c.watch(time.Now().Add(-time.Minute), nil)
	c.run(42, "x")
	c.lock(42, "new")
	for i := range 3 {
		c.now = c.now.Add(5 * time.Second)
		c.partial("new", ".incomplete", 1000*(i+2))
		c.placeBlob(fmt.Sprint("w", i), commitB, fmt.Sprintf("w%d", i))
		c.look()
		if rev := c.root.repos[demo].revs.byCommit[commitA]; rev == nil || !rev.cut || len(rev.links) != maxLinks {
			t.Fatalf("%d: %+v", i, rev)
		}
		c.link(fmt.Sprint(i), commitA, fmt.Sprintf("more%d", i))
		c.nextTick()
	}
}
