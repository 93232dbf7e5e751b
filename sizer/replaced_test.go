package sizer

import (
	"os"
	"testing"

	"progressd/hfcache"
)

// A model is removed and downloaded anew while it is looked at: the second
// download is told, though what came of it during that look is as old as what
// the look has seen.
func TestWhatComesInThePlaceOfARemovedRepositoryIsTold(t *testing.T) {
	c := newCache(t)
	var seen Checkpoint
	swapped := false
	c.watch(c.opts.Since, func(hfcache.Repo) (Checkpoint, bool) { return Checkpoint{Since: seen.Since}, !seen.Since.IsZero() })
	c.opts.Listing = func(hfcache.Repo, string) (l hfcache.Listing, ok bool) {
		if swapped {
			return l, false
		}
		swapped = true
		c.must(os.RemoveAll(c.in(demo)))
		c.whole("a", mib, commitA, "a.bin")
		c.whole("b", mib, commitA, "b.bin")
		return l, false
	}
	c.root = NewRoot(c.opts)
	c.whole("a", mib, commitA, "a.bin")
	c.link("a", commitA, "b.bin")
	l := c.look()
	seen = l.Checkpoint
	if !swapped || !l.Gone || l.InPlay {
		t.Fatalf("a look at both: %+v", l)
	}
	c.expect("the second", want{play: true, bytes: 2 * mib, arrived: 2 * mib, done: 2})
}
