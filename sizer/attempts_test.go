package sizer

import (
	"os"
	"slices"
	"testing"
	"time"
)

// old makes files of the repository look an hour old.
func (c *cache) old(parts ...string) {
	c.t.Helper()
	then := time.Now().Add(-time.Hour)
	c.must(os.Chtimes(c.in(demo, parts...), then, then))
}

// linkLater makes a link by a later tick of the file system's clock than a file
// was written to.
func (c *cache) linkLater(word, commit, path, than string) {
	c.t.Helper()
	written, err := os.Stat(than)
	c.must(err)
	for {
		c.link(word, commit, path)
		made, err := os.Lstat(c.in(demo, "snapshots", commit, path))
		c.must(err)
		if made.ModTime().After(written.ModTime()) {
			return
		}
		c.must(os.Remove(c.in(demo, "snapshots", commit, path)))
	}
}

func TestABlobBelongsToTheRevisionThatWasTouchedForIt(t *testing.T) {
	listed := map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}}
	t.Run("one file of a new revision, which an older listing names too", func(t *testing.T) {
		c := newCache(t)
		c.list(commitA, listed)
		c.whole("b", mib, commitA, "b.bin")
		c.old("trees", commitA+".json")
		c.old("snapshots", commitA)
		c.old("blobs", etag("b"))
		c.run(42, "hf", "download", "org/demo", "a.bin")
		must(t, os.MkdirAll(c.in(demo, "snapshots", commitB), 0o755))
		c.lock(42, "a")
		c.partial("a", ".01234567.incomplete", mib)
		c.expect("without a listing of its own", want{play: true, bytes: mib, arrived: mib, partials: 1})
		c.finish("a", ".01234567.incomplete", commitB, "a.bin")
		c.kill(42)
		l := c.expect("nothing is missing", want{play: true, bytes: mib, done: 1})
		if !slices.Equal(l.Revisions, []string{commitB}) || l.Unfinished > 0 {
			t.Errorf("look %+v", l)
		}
	})
	t.Run("while somebody works for the listed one, it stays that one's", func(t *testing.T) {
		c := newCache(t)
		c.list(commitA, listed)
		c.whole("b", mib, commitA, "b.bin")
		c.run(42, "hf", "download", "org/demo")
		c.lock(42, "a")
		w := want{play: true, bytes: mib, arrived: mib, total: 2 * mib, files: 2, done: 1, missing: 1}
		c.expect("under way", w)
		c.old("trees", commitA+".json")
		c.old("snapshots", commitA)
		c.link("b", commitB, "b.bin")
		c.partial("a", ".01234567.incomplete", 1000)
		w.bytes, w.arrived, w.partials = mib+1000, 1000, 1
		c.expect("another one links what is there", w)
	})
	t.Run("what one of two revisions lists and lacks is missing", func(t *testing.T) {
		c := newCache(t)
		c.list(commitA, listed)
		c.run(42, "hf", "download", "org/demo")
		c.lock(42, "a")
		c.partial("a", ".01234567.incomplete", 1000)
		c.expect("listed", want{play: true, bytes: 1000, arrived: 1000, total: 2 * mib, files: 2, missing: 2, partials: 1})
		c.whole("c", 500, commitB, "c.bin")
		c.expect("and another one", want{play: true, bytes: 1500, arrived: 500, done: 1, missing: 2, partials: 1})
	})
}

func TestWhatADeadAttemptLeftIsMendedByItsBlob(t *testing.T) {
	killed := func(t *testing.T) *cache {
		c := newCache(t)
		c.run(42, "hf", "download", "org/demo")
		for _, word := range []string{"a", "b"} {
			c.lock(42, word)
			c.partial(word, ".00000000.incomplete", 1000)
		}
		c.look()
		c.kill(42)
		c.now = c.now.Add(lockMemory)
		if l := c.look(); l.Unfinished != 2 {
			t.Fatalf("look %+v", l)
		}
		return c
	}
	t.Run("brought by somebody unseen", func(t *testing.T) {
		c := killed(t)
		c.whole("a", mib, commitA, "a.bin")
		c.look()
		if l := c.look(); l.Unfinished != 1 || l.Orphans != 1 || l.Bytes != mib+1000 {
			t.Fatalf("one is still missing: %+v", l)
		}
		c.whole("b", mib, commitA, "b.bin")
		c.look()
		if l := c.look(); l.Unfinished != 0 || l.Failed != 0 || l.Orphans != 2 || l.Bytes != 2*mib {
			t.Fatalf("both are there: %+v", l)
		}
	})
	t.Run("a blob that was there before mends nothing", func(t *testing.T) {
		c := newCache(t)
		c.whole("a", mib, commitA, "a.bin")
		c.age()
		c.watch(time.Now().Add(-time.Second), nil)
		c.run(42, "hf", "download", "org/demo", "--force-download")
		c.link("a", commitB, "a.bin") // a link made behind what was written would say that it is done
		c.lock(42, "a")
		c.partial("a", ".00000000.incomplete", 1000)
		c.look()
		c.kill(42)
		c.now = c.now.Add(lockMemory)
		if l := c.look(); l.Unfinished != 1 {
			t.Fatalf("look %+v", l)
		}
	})
	t.Run("a failure, over a restart", func(t *testing.T) {
		c := newCache(t)
		path := c.partial("a", ".00000000.incomplete", 1000)
		c.whole("b", mib, commitA, "b.bin")
		c.look()
		must(t, os.Remove(path))
		l := c.look()
		c.restart(l.Checkpoint)
		if l = c.look(); l.Failed != 1 {
			t.Fatalf("remembered: %+v", l)
		}
		c.restart(l.Checkpoint)
		c.whole("a", mib, commitA, "a.bin")
		if l = c.look(); l.Failed != 0 || l.Bytes != 2*mib {
			t.Fatalf("mended: %+v", l)
		}
	})
	t.Run("a failure without a name is mended by a new attempt", func(t *testing.T) {
		c := newCache(t)
		c.partial("a", ".00000000.incomplete", 1000)
		l := c.look()
		l.Checkpoint.Failed = 1
		c.restart(l.Checkpoint)
		if l = c.look(); l.Failed != 1 || l.Checkpoint.Failed != 1 {
			t.Fatalf("look %+v", l)
		}
		c.run(42, "hf", "download", "org/demo")
		c.lock(42, "a")
		if l = c.look(); l.Failed != 0 {
			t.Fatalf("look %+v", l)
		}
	})
}

func TestWhatThePlayHadBroughtCountsOverARestart(t *testing.T) {
	for what, suffix := range map[string]string{"a partial of one attempt": ".00000000.incomplete", "a resumable one": ".incomplete"} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.whole("b", mib, commitA, "b.bin")
			c.partial("old", suffix, 5000)
			c.old("blobs", etag("old")+suffix)
			c.opts.Opened = time.Now().Add(-time.Minute)
			c.run(42, "hf", "download", "org/demo")
			c.lock(42, "a")
			c.partial("a", suffix, 1000)
			c.look()
			c.kill(42)
			c.now = c.now.Add(lockMemory)
			l := c.look()
			if l.Unfinished == 0 {
				t.Fatalf("look %+v", l)
			}
			c.restart(l.Checkpoint)
			after := c.look()
			if after.Bytes != mib+1000 || after.Arrived != 0 || after.Unfinished == 0 {
				t.Errorf("look %+v", after)
			}
			c.whole("a", mib, commitA, "a.bin")
			c.look()
			if after = c.look(); after.Bytes != 2*mib {
				t.Errorf("look %+v", after)
			}
		})
	}
}

func TestABlobThatCameBeforeARestartMendsWhatLayBeside(t *testing.T) {
	c := newCache(t)
	c.run(42, "llama-server")
	c.lock(42, "a")
	c.partial("a", ".downloadInProgress", 1000)
	c.look()
	c.kill(42)
	c.now = c.now.Add(lockMemory)
	c.look()
	c.whole("a", mib, commitA, "a.bin")
	l := c.look()
	c.restart(l.Checkpoint)
	c.look()
	if l = c.look(); l.Unfinished != 0 || l.Bytes != mib {
		t.Fatalf("look %+v", l)
	}
}

func TestARevisionThatWasOnlyGuessedAtGivesWayToTheOneThatIsLinked(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	c.run(42, "router")
	c.lock(42, "b")
	c.partial("b", ".part", mib)
	c.expect("nothing tells of which revision it is", want{play: true, bytes: mib, arrived: mib, partials: 1})
	must(t, os.Rename(c.in(demo, "blobs", etag("b")+".part"), c.in(demo, "blobs", etag("b"))))
	c.link("b", commitB, "b.bin")
	c.look()
	c.lock(42, "c")
	c.partial("c", ".part", 1000)
	if l := c.look(); l.Bytes != mib+1000 || !slices.Equal(l.Revisions, []string{commitB}) {
		t.Fatalf("look %+v", l)
	}
}

// Rust's hf-hub fetches what has no link in its revision's snapshot, also if
// the blob is there.
func TestABlobThatIsFetchedAgainProvesNothing(t *testing.T) {
	complete := func(t *testing.T) *cache {
		c := newCache(t)
		c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}})
		c.whole("a", mib, commitA, "a.bin")
		c.age()
		c.watch(time.Now().Add(-time.Second), nil)
		c.run(42, "mistralrs")
		c.lock(42, "a")
		return c
	}
	t.Run("the attempt dies", func(t *testing.T) {
		c := complete(t)
		c.partial("a", ".part", 1000)
		l := c.look()
		c.kill(42)
		c.restart(l.Checkpoint)
		for range 5 {
			if l := c.look(); l.Proof != NoProof || l.Unfinished != 1 {
				t.Fatalf("look %+v", l)
			}
			c.now = c.now.Add(lockMemory)
		}
	})
	t.Run("until somebody has linked it", func(t *testing.T) {
		c := complete(t)
		c.list(commitB, map[string]listedFile{"a.bin": {"a", mib}, "new.bin": {"new", 100}})
		c.partial("a", ".part", 1000)
		c.look()
		c.kill(42)
		c.linkLater("a", commitB, "a.bin", c.in(demo, "blobs", etag("a")+".part"))
		c.whole("new", 100, commitB, "new.bin")
		c.look()
		c.now = c.now.Add(lockMemory)
		if l := c.look(); l.InPlay && l.Proof != ProvenByListing {
			t.Fatalf("look %+v", l)
		}
		c.expect("proven, and at rest", want{})
	})
	t.Run("the new revision is known by its first link", func(t *testing.T) {
		c := complete(t)
		c.whole("new", 100, commitB, "config.json")
		c.partial("a", ".part", 1000)
		l := c.look()
		if l.Total != 0 || !slices.Equal(l.Revisions, []string{commitB}) {
			t.Fatalf("look %+v", l)
		}
		c.kill(42)
		c.restart(l.Checkpoint)
		if l := c.look(); l.Proof != NoProof || l.Unfinished != 1 {
			t.Fatalf("look %+v", l)
		}
	})
	t.Run("or by the link of that blob", func(t *testing.T) {
		c := complete(t)
		c.partial("a", ".part", 1000)
		c.look()
		must(t, os.Remove(c.in(demo, "blobs", etag("a"))))
		c.finish("a", ".part", commitB, "a.bin")
		if l := c.look(); l.Proof != NoProof || !slices.Equal(l.Revisions, []string{commitB}) {
			t.Fatalf("look %+v", l)
		}
	})
}

// llama.cpp makes its links when all is there: until then no revision tells
// what is the download's.
func TestWhatNoRevisionTellsOfCountsOverARestart(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".downloadInProgress", mib)
	c.look()
	must(t, os.Rename(c.in(demo, "blobs", etag("a")+".downloadInProgress"), c.in(demo, "blobs", etag("a"))))
	l := c.look()
	if l.Bytes != mib {
		t.Fatalf("look %+v", l)
	}
	c.restart(l.Checkpoint)
	if l = c.look(); l.Bytes != mib || l.Arrived != 0 {
		t.Fatalf("look %+v", l)
	}
}

func TestWhatAnAttemptAtAnotherRevisionLeftIsNoPartOfTheNext(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo")
	c.lock(42, "a")
	c.whole("old", 1000, commitA, "config.json")
	c.partial("a", ".00000000.incomplete", mib)
	c.look()
	c.kill(42)
	c.look()
	c.now = c.now.Add(lockMemory)
	c.run(43, "hf", "download", "org/demo")
	c.list(commitB, map[string]listedFile{"b.bin": {"b", mib}})
	c.lock(43, "b")
	c.partial("b", ".00000000.incomplete", 100)
	c.expect("the next", want{play: true, bytes: 100, arrived: 100, total: mib, files: 1, missing: 1, partials: 1})
}

func TestABlobThatComesAfterARestartArrives(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".00000000.incomplete", 1000)
	c.restart(c.look().Checkpoint)
	c.look()
	c.whole("b", mib, commitA, "b.bin")
	if l := c.look(); l.Arrived != mib || l.Base != 0 {
		t.Fatalf("look %+v", l)
	}
}

func TestABlobWhoseLinkIsToComeIsRememberedOverARestart(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.partial("b", ".part", 1000)
	c.look()
	c.partial("b", ".part", mib)
	must(t, os.Rename(c.in(demo, "blobs", etag("b")+".part"), c.in(demo, "blobs", etag("b"))))
	l := c.look()
	if l.Bytes != 2*mib || !slices.Equal(l.Revisions, []string{commitA}) {
		t.Fatalf("look %+v", l)
	}
	c.link("b", commitB, "b.bin")
	c.restart(l.Checkpoint)
	if l = c.look(); !slices.Contains(l.Revisions, commitB) || !slices.Contains(l.Checkpoint.Revisions, commitB) {
		t.Fatalf("look %+v", l)
	}
}

func TestABlobThatNobodyLinkedDoesNotKeepAListingFromProving(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".downloadInProgress", mib)
	c.look()
	must(t, os.Rename(c.in(demo, "blobs", etag("a")+".downloadInProgress"), c.in(demo, "blobs", etag("a"))))
	c.look()
	c.list(commitB, map[string]listedFile{"b.bin": {"b", 1000}})
	c.whole("b", 1000, commitB, "b.bin")
	c.look()
	if l := c.look(); l.InPlay && l.Proof != ProvenByListing {
		t.Fatalf("look %+v", l)
	}
	c.expect("proven, and at rest", want{})
}

func TestWhatAFormerPlayLeftIsNotCountedInTheNext(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".incomplete", 1000)
	c.restart(c.look().Checkpoint)
	c.look()
	c.partial("a", ".part", mib)
	c.finish("a", ".part", commitA, "a.bin")
	c.look()
	c.conclude()
	c.expect("at rest", want{})
	c.whole("b", 500, commitB, "b.bin")
	c.expect("another revision", want{play: true, bytes: 500, arrived: 500, done: 1})
}

func TestARestartDoesNotMakeANewRevisionTheOldOne(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	c.partial("b", ".downloadInProgress", 1000)
	w := want{play: true, bytes: 1000, arrived: 1000, partials: 1}
	c.restart(c.expect("before", w).Checkpoint)
	c.partial("b", ".downloadInProgress", 2000)
	c.look()
	c.partial("b", ".downloadInProgress", 3000)
	w.bytes = 3000
	c.expect("after", w)
}

func TestLinksThatCameLastDoNotMakeANewRevisionTheOldOne(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".downloadInProgress", mib)
	c.look()
	must(t, os.Rename(c.in(demo, "blobs", etag("a")+".downloadInProgress"), c.in(demo, "blobs", etag("a"))))
	c.look()
	c.link("a", commitA, "a.bin") // behind all blobs
	c.conclude()
	c.expect("at rest", want{})
	c.partial("b", ".downloadInProgress", 1000)
	c.expect("another one", want{play: true, bytes: 1000, arrived: 1000, partials: 1})
}

func TestABlobThatIsFetchedAgainIsNotOfTheRevisionThatHadIt(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.whole("b", mib, commitA, "b.bin")
	c.age()
	c.old("snapshots", commitA)
	c.watch(time.Now().Add(-time.Second), nil)
	c.partial("a", ".part", mib)
	must(t, os.Rename(c.in(demo, "blobs", etag("a")+".part"), c.in(demo, "blobs", etag("a"))))
	c.expect("before its link", want{play: true, bytes: mib, arrived: mib, done: 1})
	c.link("a", commitB, "model-00001-of-00002.safetensors")
	if l := c.look(); !slices.Equal(l.Revisions, []string{commitB}) || !l.ShardGap || l.Bytes != mib {
		t.Fatalf("look %+v", l)
	}
}

// swift-huggingface copies a finished file to its blob's own name: its content
// is younger than the directory.
func TestContentThatComesUnderItsNameIsToldOnce(t *testing.T) {
	c := newCache(t)
	c.partial("a", "", mib/2)
	born, err := os.Stat(c.in(demo, "blobs"))
	must(t, err)
	for written := born.ModTime(); !written.After(born.ModTime()); {
		c.write(c.in(demo, "blobs", etag("a")), mib/2)
		must(t, os.Chtimes(c.in(demo, "blobs", etag("a")), time.Time{}, time.Now()))
		at, err := os.Stat(c.in(demo, "blobs", etag("a")))
		must(t, err)
		written = at.ModTime()
	}
	c.link("a", commitA, "a.bin")
	l := c.look()
	c.conclude()
	c.expect("at rest", want{})
	c.partial("b", "", 10)
	must(t, os.Remove(c.in(demo, "blobs", etag("b"))))
	c.expect("somebody deletes", want{})
	l.Checkpoint.Play = ""
	c.restart(l.Checkpoint)
	c.expect("and over a restart", want{})
}

func TestADeadAttemptAtAnotherRevisionIsGivenUpWhenTheNextIsWhole(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}, "both.bin": {"both", mib}})
	c.run(42, "python3", "train.py")
	for _, word := range []string{"a", "both"} {
		c.lock(42, word)
		c.partial(word, ".00000000.incomplete", 0)
	}
	c.look()
	c.kill(42)
	c.list(commitB, map[string]listedFile{"b.bin": {"b", mib}, "both.bin": {"both", mib}})
	c.run(43, "python3", "train.py")
	for _, word := range []string{"b", "both"} {
		c.lock(43, word)
		c.partial(word, ".11111111.incomplete", 1000)
	}
	c.look()
	for _, word := range []string{"b", "both"} {
		c.partial(word, ".11111111.incomplete", mib)
		c.finish(word, ".11111111.incomplete", commitB, word+".bin")
	}
	c.kill(43)
	for range 10 {
		if l := c.look(); l.Proof == ProvenByListing && l.Total == 2*mib {
			return
		}
	}
	t.Fatalf("look %+v", c.look())
}
