package sizer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"progressd/fsys"
)

// Rust's hf-hub up to 0.3 fetches again what is there: no byte more is on disk, and
// yet one has come.
func TestWhatTakesThePlaceOfAFileHasComeUncounted(t *testing.T) {
	c := newCache(t)
	c.step = 0
	c.whole("a", mib, commitA, "a.bin")
	if l := c.look(); !l.InPlay || l.Unseen {
		t.Fatalf("look %+v", l)
	}
	c.nextTick()
	again := filepath.Join(c.path, "again")
	c.write(again, mib)
	must(t, os.Rename(again, c.in(demo, "blobs", etag("a"))))
	if l := c.look(); !l.Unseen || l.Arrived > 0 || l.Bytes != mib {
		t.Fatalf("put there anew: %+v", l)
	}
	if l := c.look(); l.Unseen {
		t.Fatalf("nothing came since: %+v", l)
	}
}

// Of two revisions that are fetched into one directory only one can be counted at a
// path.
func TestAPartialOfAnotherRevisionsContentComesUncounted(t *testing.T) {
	c := newCache(t)
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", 4 * mib}})
	c.fetch("a.bin", "a", mib)
	c.local("the first one", want{play: true, bytes: mib, arrived: mib, total: 4 * mib, files: 1, missing: 1, partials: 1})
	c.nextTick()
	c.listLocal(commitB, map[string]listedFile{"a.bin": {"b", 4 * mib}, "b.bin": {"c", mib}})
	c.run(8, "python3", "train.py")
	c.holdLocal(8, "b.bin")
	c.write(c.staged("b.bin."+etag("c")+".incomplete"), 1)
	c.look()
	for size := 2; size < 4; size++ {
		c.fetch("a.bin", "a", size*mib)
		if l, _ := c.lookAt(llama); l.Arrived == 0 && !l.Unseen {
			t.Errorf("a byte has come: %+v", l)
		}
	}
	if l, _ := c.lookAt(llama); l.Arrived > 0 || l.Unseen {
		t.Errorf("none has: %+v", l)
	}
}

// Where names tell of nothing, what takes the place of a file shows at the next poll.
func TestAFileInThePlaceOfAnotherIsSeenAtTheNextPoll(t *testing.T) {
	const poll = 5 * time.Second
	c := newCache(t)
	c.put("a.bin", "a", mib, commitA)
	c.kill(7)
	c.lookAt(llama)
	c.now = c.now.Add(poll)
	c.step = poll - time.Millisecond
	for range 2 {
		c.lookAt(llama)
	}
	c.write(c.in(llama, "a.bin"), 2*mib)
	c.note("a.bin", "b", commitB)
	if l, _ := c.lookAt(llama); l.Arrived != mib || l.Bytes != 2*mib {
		t.Errorf("look %+v", l)
	}
}

// What a dead client has left counts; another one that fetches the same elsewhere and
// puts it in its place adds nothing to the count, and is there all the same.
func TestAFileThatALeftoverStoodForHasComeUncounted(t *testing.T) {
	c := newCache(t)
	c.step = 0
	c.partial("a", ".incomplete", mib)
	if l := c.look(); l.Bytes != mib {
		t.Fatalf("look %+v", l)
	}
	c.nextTick()
	again := filepath.Join(c.path, "again")
	c.write(again, mib)
	must(t, os.Rename(again, c.in(demo, "blobs", etag("a"))))
	c.link("a", commitA, "a.bin")
	if l := c.look(); !l.Unseen || l.Arrived > 0 || l.Bytes != mib {
		t.Fatalf("another one has put it there: %+v", l)
	}
}

// A listing is the first that a client writes: somebody is there again.
func TestAListingThatComesIsASign(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.look()
	if l := c.look(); !l.InPlay || l.Unseen {
		t.Fatalf("look %+v", l)
	}
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	c.now = c.now.Add(livelyAfter)
	if l := c.look(); !l.Unseen || l.Missing != 1 {
		t.Fatalf("listed: %+v", l)
	}
	if l := c.look(); l.Unseen {
		t.Fatalf("nothing came since: %+v", l)
	}
}

// A client that copies a file to its own name (swift) moves no name when it is done.
func TestAFileThatGrowsToItsListedSizeIsSeen(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}})
	c.write(c.in(demo, "blobs", etag("a")), 1000)
	c.link("a", commitA, "a.bin")
	if l := c.look(); l.Mismatched == nil {
		t.Fatalf("look %+v", l)
	}
	c.now = c.now.Add(fsys.Coarse)
	c.look()
	c.write(c.in(demo, "blobs", etag("a")), mib)
	c.now = c.now.Add(livelyAfter)
	if l := c.look(); l.Mismatched != nil || l.Bytes != mib || l.Proof != ProvenByListing {
		t.Errorf("look %+v", l)
	}
}

// On a network file system by a clock of another time a new blob may look old: its name
// is new all the same.
func TestANameThatComesIsASignWhereTimesTellNothing(t *testing.T) {
	c := newCache(t)
	c.opts.FS, c.opts.Vague = &network{}, true
	c.root = NewRoot(c.opts)
	c.whole("a", mib, commitA, "a.bin")
	c.look()
	if l := c.look(); !l.InPlay || l.Unseen {
		t.Fatalf("look %+v", l)
	}
	c.write(c.in(demo, "blobs", etag("b")), mib)
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(c.in(demo, "blobs", etag("b")), old, old))
	if l := c.look(); !l.Unseen || l.Arrived > 0 {
		t.Fatalf("one more: %+v", l)
	}
	if l := c.look(); l.Unseen {
		t.Fatalf("nothing came since: %+v", l)
	}
}

// Where links can't be made a partial is moved into the snapshot. On rclone it has another
// inode number there, another time, and more bytes than were seen: that it failed isn't known.
func TestWhatWasMovedUnderAnotherNumberHasNotFailed(t *testing.T) {
	for what, vague := range map[string]bool{"where numbers say nothing": true, "where they tell": false} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			if vague {
				c.opts.FS, c.opts.Vague = &network{}, true
				c.root = NewRoot(c.opts)
			}
			c.placed(commitA, "config.json", 100)
			c.partial("a", ".incomplete", mib)
			c.look()
			c.write(c.in(demo, "blobs", etag("a")+".incomplete"), 2*mib)
			c.look()
			c.placed(commitA, "a.bin", 3*mib) // while the other is there, so that it has another number
			must(t, os.Remove(c.in(demo, "blobs", etag("a")+".incomplete")))
			c.now = c.now.Add(grace)
			c.look()
			l := c.look()
			if vague && (l.Failed != 0 || l.Doubtful != 1) || !vague && l.Failed != 1 {
				t.Errorf("look %+v", l)
			}
		})
	}
}

// placed is a file that lies in a snapshot itself.
func (c *cache) placed(commit, path string, size int) {
	c.t.Helper()
	must(c.t, os.MkdirAll(c.in(demo, "snapshots", commit), 0o755))
	c.write(c.in(demo, "snapshots", commit, path), size)
}
