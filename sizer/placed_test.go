package sizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/hfcache"
)

// place moves a file into the snapshot, as huggingface_hub does where links
// can't be made.
func (c *cache) place(from, commit, path string) {
	c.t.Helper()
	to := c.in(demo, "snapshots", commit, path)
	c.must(os.MkdirAll(filepath.Dir(to), 0o755))
	c.must(os.Rename(from, to))
}

func TestAFileMovedIntoTheSnapshotIsFinished(t *testing.T) {
	t.Run("with a listing", func(t *testing.T) {
		c := newCache(t)
		c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b/b.bin": {"b", 2 * mib}, "twin.bin": {"b", 2 * mib}})
		path := c.partial("a", ".01234567.incomplete", mib)
		c.expect("under way", want{play: true, bytes: mib, arrived: mib, total: 3 * mib, files: 3, missing: 3, partials: 1})
		c.place(path, commitA, "a.bin")
		c.expect("in its place", want{play: true, bytes: mib, total: 3 * mib, files: 3, missing: 2, done: 1})
		// The next one comes between two looks.
		c.place(c.partial("b", ".01234567.incomplete", 2*mib), commitA, "b/b.bin")
		c.expect("one of two paths", want{play: true, bytes: 3 * mib, arrived: 2 * mib, total: 3 * mib, files: 3, done: 2, missing: 1})
		path = c.partial("b", ".89abcdef.incomplete", mib)
		c.expect("fetched a second time, counted once", want{play: true, bytes: 3 * mib, total: 3 * mib, files: 3, done: 3, partials: 1})
		c.partial("b", ".89abcdef.incomplete", 2*mib)
		c.place(path, commitA, "twin.bin")
		c.expect("proven", want{play: true, bytes: 3 * mib, total: 3 * mib, files: 3, done: 3, proof: ProvenByListing})
		c.expect("then it rests", want{})
	})
	t.Run("without", func(t *testing.T) {
		c := newCache(t)
		must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755)) // before the partial
		path := c.partial("a", ".01234567.incomplete", mib)
		c.expect("under way", want{play: true, bytes: mib, arrived: mib, partials: 1})
		c.place(path, commitA, "a.bin")
		if l := c.expect("in its place", want{play: true, bytes: mib, done: 1}); l.Failed != 0 {
			t.Fatalf("look %+v", l)
		}
		c.place(c.partial("b", ".01234567.incomplete", 2*mib), commitA, "b.bin")
		c.expect("one that nobody saw come", want{play: true, bytes: 3 * mib, arrived: 2 * mib, done: 2})
	})
	t.Run("all of it between two looks", func(t *testing.T) {
		c := newCache(t)
		must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
		c.expect("nothing", want{})
		c.place(c.partial("a", ".01234567.incomplete", mib), commitA, "a.bin")
		c.expect("it is there", want{play: true, bytes: mib, arrived: mib, done: 1})
		c.over = true
		c.expect("told once", want{})
	})
}

func TestWhatWasPlacedBeforeIsThereAndNotNew(t *testing.T) {
	c := newCache(t)
	c.place(c.partial("a", ".incomplete", mib), commitA, "a.bin")
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	c.expect("silent", want{})
	c.partial("b", ".incomplete", mib)
	c.expect("the base", want{play: true, bytes: 2 * mib, base: mib, arrived: mib, done: 1, partials: 1})
}

func TestACopyOfAKnownBlobIsNoDownload(t *testing.T) {
	copyOf := func(c *cache, commit string) {
		c.write(c.in(demo, "snapshots", commit, "a.bin"), mib)
	}
	t.Run("at rest", func(t *testing.T) {
		c := newCache(t)
		c.partial("a", "", mib)
		c.age()
		c.watch(time.Now().Add(-time.Second), nil)
		copyOf(c, commitA)
		must(t, os.Remove(c.partial("probe", ".x", 0))) // something moves in blobs/
		c.expect("silent", want{})
	})
	t.Run("in a play", func(t *testing.T) {
		c := newCache(t)
		c.partial("a", "", mib)
		c.age()
		c.watch(time.Now().Add(-time.Second), nil)
		copyOf(c, commitA)
		c.partial("b", ".incomplete", 1000)
		c.expect("counted once, as what was there", want{play: true, bytes: mib + 1000, base: mib, arrived: 1000, done: 1, partials: 1})
	})
}

func TestAFileOfNobodysBetweenLinksIsNoDownload(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.py")
	c.write(c.in(demo, "snapshots", commitA, "__pycache__", "a.pyc"), 5000)
	c.expect("only the blob", want{play: true, bytes: mib, arrived: mib, done: 1})
}

func TestTheLengthOfAPreallocatedPartialSaysNothing(t *testing.T) {
	name := hfcache.ParseBlob(etag("a") + ".sync.part")
	tests := map[string]struct {
		blocks bool
		e      fsys.Entry
		want   int64
	}{
		"nothing written":                {true, fsys.Entry{Size: mib + 8, Blocks: 0}, 0},
		"a piece and the counter's":      {true, fsys.Entry{Size: mib + 8, Blocks: 256 + 8}, 128*kib - 8},
		"all but the cut":                {true, fsys.Entry{Size: mib + 8, Blocks: 2048 + 8}, mib},
		"small":                          {true, fsys.Entry{Size: 108, Blocks: 8}, 100},
		"shorter than the counter":       {true, fsys.Entry{Size: 5, Blocks: 8}, 0},
		"where block counts are made up": {false, fsys.Entry{Size: mib + 8, Blocks: 2056}, 0},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			fs := fileSystem{blocks: tt.blocks}
			if got := fs.content(name, tt.e); got > tt.want || got < tt.want-diskBlock {
				t.Errorf("got %d, want %d or a block less", got, tt.want)
			}
		})
	}
}

func TestCuttingTheCounterOffIsNoNewBeginning(t *testing.T) {
	c := newCache(t)
	path := c.partial("a", ".sync.part", mib+hfcache.PartCounter)
	c.expect("written", want{play: true, bytes: mib, arrived: mib, partials: 1})
	must(t, os.Truncate(path, mib))
	c.expect("cut", want{play: true, bytes: mib, partials: 1})
	c.finish("a", ".sync.part", commitA, "a.bin")
	c.expect("renamed", want{play: true, bytes: mib, done: 1})
}

func TestABlobThatIsCopiedToItsPlaceHasNoWrongSizeYet(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 4 * mib}})
	c.run(42, "mlx")
	c.lockIn(filepath.Join(demo, "blobs"), 42, "a")
	if l := c.expect("fetched elsewhere", want{}); l.InPlay {
		t.Fatalf("look %+v", l)
	}
	c.partial("a", "", mib)
	l := c.expect("copied", want{play: true, bytes: mib, arrived: mib, total: 4 * mib, files: 1, done: 1})
	if l.Mismatched != nil || !l.Locked || !l.Unseen || l.Downloaders[0].PID != 42 {
		t.Fatalf("look %+v", l)
	}
	c.unlock("a")
	if l := c.look(); l.Mismatched == nil {
		t.Fatalf("D15: look %+v", l)
	}
}

// A mover is a kernel under which something happens just before a file is asked for.
type mover struct {
	fsys.Real
	name   string
	before func()
}

func (m *mover) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	if name == m.name && m.before != nil {
		m.before()
		m.before = nil
	}
	return m.Real.Fstatat(at, name, st, flags)
}

// huggingface_hub moves a finished blob into the snapshot at any moment: also between
// the reading of the two.
func TestAFileMovedIntoTheSnapshotWithinALookIsNeverMissed(t *testing.T) {
	for name, seen := range map[string]bool{"seen as a partial": true, "seen as a blob only": false} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			m := &mover{name: etag("b")}
			c.opts.FS = m
			c.root = NewRoot(c.opts)
			must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
			c.place(c.partial("a", ".01234567.incomplete", mib), commitA, "a.bin")
			c.expect("one", want{play: true, bytes: mib, arrived: mib, done: 1})
			if seen {
				c.partial("b", ".01234567.incomplete", 1000)
				c.expect("under way", want{play: true, bytes: mib + 1000, arrived: 1000, done: 1, partials: 1})
				must(t, os.Rename(c.in(demo, "blobs", etag("b")+".01234567.incomplete"), c.in(demo, "blobs", etag("b"))))
				c.expect("a blob", want{play: true, bytes: mib + 1000, done: 2})
			} else {
				c.partial("b", "", 1000)
				c.expect("a blob", want{play: true, bytes: mib + 1000, arrived: 1000, done: 2})
			}
			m.before = func() { c.place(c.in(demo, "blobs", etag("b")), commitA, "b.bin") }
			c.expect("on its way", want{play: true, bytes: mib + 1000, done: 2})
			if m.before != nil {
				t.Fatal("nothing has moved")
			}
			c.step = 6 * time.Second
			c.expect("in its place", want{play: true, bytes: mib + 1000, done: 2})
		})
	}
}

// What a client has put into the snapshot of a new revision while the daemon was down
// lies nowhere else.
func TestARevisionThatWasPlacedWhileTheDaemonWasDownIsFound(t *testing.T) {
	for name, listed := range map[string]bool{"listed": true, "not listed": false} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.step = 0
			must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
			c.partial("a", ".incomplete", 1000)
			l := c.look()
			if !slices.Equal(l.Revisions, []string{commitA}) {
				t.Fatalf("look %+v", l)
			}
			c.nextTick()
			must(t, os.Rename(c.partial("b", ".01234567.incomplete", mib), filepath.Join(c.path, "moved")))
			must(t, os.MkdirAll(c.in(demo, "snapshots", commitB, "sub"), 0o755))
			must(t, os.Rename(filepath.Join(c.path, "moved"), c.in(demo, "snapshots", commitB, "sub", "b.bin")))
			if listed {
				c.list(commitB, map[string]listedFile{"sub/b.bin": {"b", mib}})
			}
			c.restart(l.Checkpoint)
			if l = c.look(); !slices.Contains(l.Revisions, commitB) || l.FilesDone != 1 || listed != (l.Proof == ProvenByListing) {
				t.Errorf("look %+v", l)
			}
		})
	}
}

// A folder that is moved away in the middle of a look ("rm -rf" of a trash can, or
// mv) takes all its files with it: a look that has seen some of them there says nothing.
func TestALookAmidARemovalTellsNothing(t *testing.T) {
	c := newCache(t)
	m := &mover{name: etag("b")}
	c.opts.FS = m
	c.root = NewRoot(c.opts)
	c.whole("b", mib, commitA, "b.bin")
	c.partial("a", ".incomplete", 1000)
	c.expect("under way", want{play: true, bytes: mib + 1000, arrived: mib + 1000, done: 1, partials: 1})
	m.before = func() { must(t, os.Rename(c.in(demo), filepath.Join(filepath.Dir(c.path), "trash"))) }
	c.step = 6 * time.Second
	if l := c.look(); m.before != nil || l.Unreadable == nil && !l.Gone {
		t.Errorf("look %+v", l)
	}
	if l := c.look(); !l.Gone {
		t.Errorf("look %+v", l)
	}
	if strings.Contains(c.log.String(), "cannot look") {
		t.Errorf("it warns: %s", c.log)
	}
}

// What deletes file by file takes finished ones, too.
func TestFinishedFilesThatAreDeletedHaveVanished(t *testing.T) {
	c := newCache(t)
	c.whole("b", mib, commitA, "b.bin")
	c.partial("a", ".incomplete", 1000)
	if l := c.look(); l.Vanished {
		t.Errorf("look %+v", l)
	}
	must(t, os.Remove(c.in(demo, "blobs", etag("b"))))
	if l := c.look(); !l.Vanished || l.Bytes != 1000 {
		t.Errorf("look %+v", l)
	}
	if l := c.look(); l.Vanished {
		t.Errorf("look %+v", l)
	}
}

// Where links can't be made and two clients are at one model, a large file is a blob as
// well, so that nothing tells that small ones, which came between two looks, lie in the
// snapshot alone.
func TestSmallFilesAreFoundInTheSnapshotWhenNothingIsInFlight(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "config.json": {"c", 100}})
	c.run(42, "hf", "download", "org/demo")
	c.lock(42, "a")
	c.partial("a", ".incomplete", mib/2)
	c.look()
	c.placed(commitA, "config.json", 100)
	c.partial("a", ".incomplete", mib)
	must(t, os.Rename(c.in(demo, "blobs", etag("a")+".incomplete"), c.in(demo, "blobs", etag("a"))))
	c.placed(commitA, "a.bin", mib)
	c.look()
	c.unlock("a")
	c.now = c.now.Add(livelyAfter)
	if l := c.look(); l.Proof == NoProof || l.FilesDone != 2 {
		t.Errorf("look %+v", l)
	}
}

// Of many files that were moved into the snapshot between two looks, all are found at the
// first look that finds one there, in whatever order they are asked for.
func TestAllThatLiesInTheSnapshotIsFoundAtOnce(t *testing.T) {
	c := newCache(t)
	listed := make(map[string]listedFile)
	for _, word := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		listed[word+".bin"] = listedFile{word, mib}
	}
	listed["last.bin"] = listedFile{"last", mib}
	c.list(commitA, listed)
	path := c.partial("a", ".01234567.incomplete", mib)
	c.partial("last", ".01234567.incomplete", 10)
	c.expect("under way", want{play: true, bytes: mib + 10, arrived: mib + 10, total: 9 * mib, files: 9, missing: 9, partials: 2})
	c.place(path, commitA, "a.bin")
	for word := range listed {
		if word != "a.bin" && word != "last.bin" {
			c.place(c.partial(word[:1], ".89abcdef.incomplete", mib), commitA, word)
		}
	}
	c.expect("all of them", want{play: true, bytes: 8*mib + 10, arrived: 7 * mib, total: 9 * mib, files: 9, missing: 1, done: 8, partials: 1})
}
