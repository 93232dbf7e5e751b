package sizer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func (c *cache) loose(name string, size int) string {
	path := filepath.Join(c.path, "tmp", name)
	c.write(path, size)
	return path
}

func TestAFileInTheRootIsTheOnlyRepositorys(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	path := c.loose("aB3dE5g", mib)
	c.loose("no.alnum", 7*mib)
	c.expect("counted", want{play: true, bytes: mib, arrived: mib, partials: 1})
	c.loose("aB3dE5g", 2*mib)
	c.expect("grows", want{play: true, bytes: 2 * mib, arrived: mib, partials: 1})
	must(t, os.Rename(path, c.in(demo, "blobs", etag("a"))))
	c.link("a", commitA, "a.bin")
	c.expect("moved into place, nothing new", want{play: true, bytes: 2 * mib, done: 1})
}

func TestALeftoverInTheRootIsNobodysUntilItGrows(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.loose("aB3dE5g", mib)
	c.watch(time.Now().Add(time.Second), nil)
	c.expect("a leftover", want{})
	c.loose("aB3dE5g", mib+1000)
	c.expect("resumed", want{play: true, bytes: mib + 1000, arrived: 1000, partials: 1})
}

func TestANewFileInTheRootReplacesTheOneOfADeadAttempt(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.loose("aB3dE5g", 3*mib)
	c.expect("first attempt", want{play: true, bytes: 3 * mib, arrived: 3 * mib, partials: 1})
	c.now = c.now.Add(outgrown)
	c.loose("Z000000", mib)
	c.expect("second", want{play: true, bytes: mib, arrived: mib, partials: 1})
}

func TestAFileInTheRootIsNotCountedWhereItsLengthSaysNothing(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.look()
	c.root.fs.blocks = false
	c.loose("aB3dE5g", mib)
	c.expect("its length may be there from the start", want{})
}

func TestTheNextPlayCountsWhatCanBeGoneOnWith(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".incomplete", mib)
	c.partial("b", ".incomplete", mib)
	c.partial("c", ".01234567.incomplete", mib)
	c.expect("first", want{play: true, bytes: 3 * mib, arrived: 3 * mib, partials: 3})
	c.conclude()
	c.expect("over", want{})
	c.partial("b", ".incomplete", mib+1000)
	l := c.expect("the second", want{play: true, bytes: 2*mib + 1000, base: 2 * mib, arrived: 1000, partials: 1})
	if l.Orphans != 1 || l.Unfinished != 2 {
		t.Fatalf("look %+v", l)
	}
}

func TestBlobsWithoutALinkYetAreNotForgotten(t *testing.T) {
	begin := func(t *testing.T) *cache {
		c := newCache(t)
		for _, word := range []string{"a", "b"} {
			c.partial(word, ".downloadInProgress", mib)
		}
		c.partial("c", ".downloadInProgress", 10)
		c.look()
		for _, word := range []string{"a", "b"} {
			must(t, os.Rename(c.in(demo, "blobs", etag(word)+".downloadInProgress"), c.in(demo, "blobs", etag(word))))
		}
		c.expect("two are there, their links come later", want{play: true, bytes: 2*mib + 10, done: 2, partials: 1})
		return c
	}
	t.Run("over a restart", func(t *testing.T) {
		c := begin(t)
		c.restart(c.look().Checkpoint)
		c.expect("as before", want{play: true, bytes: 2*mib + 10, done: 2})
		c.partial("c", ".downloadInProgress", 20)
		c.expect("going on", want{play: true, bytes: 2*mib + 20, arrived: 10, done: 2, partials: 1})
	})
	t.Run("in the next play", func(t *testing.T) {
		c := begin(t)
		c.conclude()
		c.expect("over", want{})
		c.partial("c", ".downloadInProgress", 20)
		c.expect("going on", want{play: true, bytes: 2*mib + 20, base: 2*mib + 10, arrived: 10, done: 2, partials: 1})
	})
}

func TestAFileInTheRootIsSeenBehindMoreNamesThanAreRead(t *testing.T) {
	inMemory(t)
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	path := c.loose("aB3dE5g", mib)
	for i := range 16 * maxTemps {
		c.write(filepath.Join(c.path, fmt.Sprintf("tmp%08d", i)), 0)
	}
	c.expect("begun", want{play: true, bytes: mib, arrived: mib, partials: 1})
	c.write(path, 2*mib)
	c.expect("grows", want{play: true, bytes: 2 * mib, arrived: mib, partials: 1})
}

// A retry may be over between two looks: its file in the root was never seen, the
// one of the attempt before lies there for ever.
func TestWhatARetryHasBroughtIsNotMissingAnyMore(t *testing.T) {
	attempts := map[string]func(c *cache) (end func()){
		"Rust's": func(c *cache) func() {
			c.loose("aB3dE5g", mib)
			return func() {}
		},
		"huggingface_hub's": func(c *cache) func() {
			c.run(42, "python3", "x.py")
			c.lock(42, "a")
			c.temp("abcdefgh", mib)
			return func() { c.kill(42) }
		},
	}
	type retry struct {
		bring func(c *cache)
		whole bool
	}
	retries := map[string]retry{
		"the same file": {func(c *cache) { c.whole("a", 2*mib, commitA, "a.bin") }, true},
		"a small one":   {func(c *cache) { c.whole("b", 1000, commitA, "b.bin") }, false},
		"one that was begun before": {func(c *cache) {
			must(c.t, os.Rename(filepath.Join(c.path, "begun"), c.in(demo, "blobs", etag("b"))))
			c.link("b", commitA, "b.bin")
		}, false},
	}
	for whose, attempt := range attempts {
		for what, r := range retries {
			t.Run(whose+", "+what, func(t *testing.T) {
				c := newCache(t)
				c.step = 0
				must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
				c.write(filepath.Join(c.path, "begun"), 2*mib)
				c.look()
				c.nextTick()
				end := attempt(c)
				c.expect("under way", want{play: true, bytes: mib, arrived: mib, partials: 1})
				end()
				c.look()
				c.step = grace
				c.nextTick()
				r.bring(c)
				l := c.look()
				if whole := l.Partials+l.Unfinished+l.Failed == 0; whole != r.whole || l.FilesDone != 1 {
					t.Errorf("whole %v, want %v: %+v", whole, r.whole, l)
				}
				if l.Bytes != 2*mib && r.whole {
					t.Errorf("%d bytes", l.Bytes)
				}
			})
		}
	}
}

// A play may begin with a client that shows its locks and go on with one that has
// none and writes into the root.
func TestWhatGrowsInTheRootMayBeASecondClientsOfThePlay(t *testing.T) {
	begin := func(t *testing.T) *cache {
		c := newCache(t)
		c.step = 0 // when a file came is compared with when a lock was seen
		must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
		c.run(42, "python3", "x.py")
		c.lock(42, "a")
		c.partial("a", ".incomplete", mib)
		c.look()
		return c
	}
	grow := func(c *cache) Look {
		for size := mib; size < 4*mib; size += mib {
			c.loose("aB3dE5g", size)
			c.look()
		}
		return c.look()
	}
	t.Run("the first one has brought all", func(t *testing.T) {
		c := begin(t)
		c.finish("a", ".incomplete", commitA, "a.bin")
		c.look()
		c.kill(42)
		if l := grow(c); l.Unseen || l.Unclaimed > 0 {
			t.Errorf("look %+v", l)
		}
	})
	t.Run("another one has brought the last", func(t *testing.T) {
		c := begin(t)
		c.kill(42)
		c.look()
		c.nextTick()
		c.write(c.in(demo, "blobs", etag("a")), 2*mib)
		c.link("a", commitA, "a.bin")
		c.write(c.in(demo, "blobs", etag("b")), 2*mib)
		c.link("b", commitA, "b.bin")
		if l := grow(c); !l.Unseen || l.Unclaimed != 1 {
			t.Errorf("look %+v", l)
		}
	})
}

// What a repository that is gone has left in the root is no download of the one
// that comes in its place.
func TestALeftoverInTheRootGoesWithItsRepository(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.loose("aB3dE5g", mib)
	c.expect("counted", want{play: true, bytes: mib, arrived: mib, partials: 1})
	must(t, os.Rename(c.in(demo), filepath.Join(c.t.TempDir(), demo)))
	if l := c.look(); !l.Gone {
		t.Fatalf("look %+v", l)
	}
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.expect("another one", want{})
}

// Who looks at a root seldom may find a file there whose writer is long gone.
func TestAFileInTheRootThatIsFoundLateDoesNotGrow(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
	c.loose("aB3dE5g", mib)
	c.whole("a", mib, commitA, "a.bin")
	c.now = c.now.Add(grace)
	if l := c.look(); !l.InPlay || l.Unseen {
		t.Errorf("look %+v", l)
	}
}

// What a client writes into the root isn't another repository's because its own was
// removed, also where it lives on and writes.
func TestAFileInTheRootIsNotInherited(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.loose("aB3dE5g", mib)
	c.expect("of one of two", want{})
	must(t, os.RemoveAll(c.in(other)))
	c.expect("of one that is gone", want{})
	c.loose("aB3dE5g", 2*mib)
	if l := c.look(); l.InPlay {
		t.Errorf("it grows: look %+v", l)
	}
}

// Of a file in the root that may be of any of two repositories, and was left there,
// neither is complete.
func TestAFileInTheRootSpeaksAgainstEachThatItMayBeOf(t *testing.T) {
	c := newCache(t)
	for _, folder := range []string{demo, other} {
		c.write(c.in(folder, "blobs", etag("a")), mib)
		must(t, os.MkdirAll(c.in(folder, "snapshots", commitA), 0o755))
		must(t, os.Symlink("../../blobs/"+etag("a"), c.in(folder, "snapshots", commitA, "a.bin")))
	}
	for size := mib; size < 4*mib; size += mib {
		c.loose("aB3dE5g", size)
		c.look()
		c.lookAt(other)
	}
	c.now = c.now.Add(grace)
	for _, folder := range []string{demo, other} {
		if l, _ := c.lookAt(folder); !l.InPlay || l.Unclaimed != 1 {
			t.Errorf("look %+v", l)
		}
	}
}

// Rust's hf-hub up to 0.3 fetches again what others have brought, or begun.
func TestAFileThatComesLongBehindTheLastLockIsAnothersWork(t *testing.T) {
	c := newCache(t)
	c.step = 0
	kernel := &settable{}
	c.opts.FS = kernel
	c.root = NewRoot(c.opts)
	must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	c.partial("a", ".incomplete", mib)
	c.look()
	c.kill(42)
	c.look()
	c.nextTick()
	kernel.set(2 * longGone) // as if that much later
	must(t, os.Rename(c.loose("Z000000", 2*mib), c.in(demo, "blobs", etag("a"))))
	c.link("a", commitA, "a.bin")
	for size := mib; size < 4*mib; size += mib {
		c.loose("aB3dE5g", size)
		c.look()
	}
	if l := c.look(); !l.Unseen || l.Unclaimed != 1 {
		t.Errorf("look %+v", l)
	}
}

// A client was over before anybody looked, and has left in the root what it was at. What
// was left there long before says nothing.
func TestAFileThatIsLeftInTheRootSpeaksAgainstWhatCameWithIt(t *testing.T) {
	for what, tt := range map[string]struct {
		name string
		age  time.Duration
		want int
	}{
		"huggingface_hub <= 0.22": {"tmpab12cd_8", 0, 1},
		"Rust <= 0.3":             {"tmp/aB3dE5g", 0, 1},
		"of yesterday":            {"tmpab12cd_8", 24 * time.Hour, 0},
		"of days to come":         {"tmpab12cd_8", -24 * time.Hour, 0},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			must(t, os.MkdirAll(c.in(other, "blobs"), 0o755)) // it may be of this one
			c.whole("a", mib, commitA, "a.bin")
			left := filepath.Join(c.path, tt.name)
			c.write(left, mib)
			then := time.Now().Add(-tt.age)
			must(t, os.Chtimes(left, then, then))
			c.look()
			if l := c.look(); !l.InPlay || l.Doubtful+l.Unclaimed != tt.want {
				t.Errorf("want %d files: look %+v", tt.want, l)
			}
		})
	}
}

// What is written to behind all that came of a download is another's.
func TestAFileThatIsWrittenOnWithIsNotLeft(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.look()
	c.now = c.now.Add(grace)
	path := c.temp("ab12cd_8", 1000)
	must(t, os.Chtimes(path, c.now, c.now))
	if l := c.look(); !l.InPlay || l.Doubtful != 0 {
		t.Errorf("look %+v", l)
	}
}

// A client that has partials beside the blobs writes none into the root: what another one
// goes on to write there, whose model was removed, isn't its own.
func TestAFileInTheRootIsNotThatOfWhoWritesBesideTheBlobs(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo")
	c.lock(42, "a")
	c.partial("a", ".incomplete", 1000)
	c.look()
	for size := mib; size <= 3*mib; size += mib {
		c.loose("aB3dE5g", size)
		if l := c.look(); l.Bytes != 1000 {
			t.Fatalf("look %+v", l)
		}
	}
}

// Also where that client was gone before anybody looked, and the daemon was down while
// another one wrote into the root.
func TestAFileInTheRootIsNotThatOfWhoHasLeftAPartialBesideTheBlobs(t *testing.T) {
	c := newCache(t)
	c.whole("a", 1000, commitA, "config.json")
	c.partial("b", ".01234567.incomplete", 1000)
	c.opts.Opened = time.Now()
	c.root = NewRoot(c.opts)
	l := c.expect("left there", want{play: true, bytes: 1000, arrived: 1000, done: 1})
	c.loose("aB3dE5g", mib)
	c.restart(l.Checkpoint)
	if l := c.look(); l.Bytes >= mib {
		t.Fatalf("look %+v", l)
	}
}

// Who lives on and writes into the root when his repository is removed does so for none
// that is made afterwards.
func TestAFileInTheRootIsNotThatOfARepositoryThatIsYounger(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
	path := c.loose("aB3dE5g", mib)
	if l, _ := c.lookAt(other); l.Bytes != mib {
		t.Fatalf("look %+v", l)
	}
	must(t, os.RemoveAll(c.in(other)))
	c.lookAt(other)
	must(t, os.WriteFile(path, make([]byte, 2*mib), 0o644))
	c.nextTick()
	c.whole("a", 1000, commitA, "config.json")
	if l := c.look(); l.Bytes != 1000 {
		t.Fatalf("look %+v", l)
	}
}

// What was written before the last look and put in its place behind it, while the daemon
// was down, is of the play all the same (Rust's hf-hub by Xet renames all at the end).
func TestABlobThatWasWrittenLongBeforeItCameIsNotForgottenOverARestart(t *testing.T) {
	c := newCache(t)
	c.run(42, "candle")
	c.lock(42, "b")
	c.partial("b", ".incomplete", mib)
	c.nextTick()
	c.whole("a", 1000, commitA, "a.bin")
	l := c.look()
	c.nextTick()
	must(t, os.Rename(c.in(demo, "blobs", etag("b")+".incomplete"), c.in(demo, "blobs", etag("b"))))
	c.unlock("b")
	c.kill(42)
	c.restart(l.Checkpoint)
	for range 3 {
		l = c.look()
	}
	if l.Bytes != mib+1000 || l.Unlinked != 1 {
		t.Fatalf("look %+v", l)
	}
}

// Nor is one that was written before the repository was made, whoever has done so.
func TestAFileInTheRootIsNotThatOfARepositoryThatIsYoungerAlsoWhereNobodyWatched(t *testing.T) {
	c := newCache(t)
	c.step = 0
	c.loose("aB3dE5g", mib)
	c.nextTick()
	c.nextTick()
	c.whole("a", 1000, commitA, "config.json")
	if l := c.look(); l.Bytes != 1000 {
		t.Fatalf("look %+v", l)
	}
}

// A client that dies between two looks has taken a lock and made a file that nobody saw:
// what was written to when the last of its files came may be that one.
func TestAFileLeftBesideTheLastIsNotExplainedByTheLockBefore(t *testing.T) {
	for what, tt := range map[string]struct {
		behind time.Duration // the last file
		want   int
	}{
		"right behind it":  {500 * time.Millisecond, 1},
		"right before it":  {-500 * time.Millisecond, 1},
		"long behind it":   {5 * time.Second, 0},
		"long before that": {-5 * time.Second, 0},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
			c.run(42, "python3", "x.py")
			c.lock(42, "a")
			c.partial("a", "", kib)
			c.link("a", commitA, "a.bin")
			c.look()
			c.unlock("a")
			left := c.temp("ab12cd_8", 1000)
			then := time.Now().Add(tt.behind)
			must(t, os.Chtimes(left, then, then))
			if l := c.look(); !l.InPlay || l.Doubtful != tt.want {
				t.Errorf("look %+v", l)
			}
		})
	}
}
