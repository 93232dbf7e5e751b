package sizer

import (
	"slices"
	"testing"
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
