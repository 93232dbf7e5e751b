package sizer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/downloader"
	"progressd/fsys"
)

// again has a client fetch a blob anew that is there: Rust's hf-hub <= 0.5 asks
// for the link in its own snapshot, not for the blob.
func (c *cache) again(word string, size int, commit, path string) {
	c.t.Helper()
	c.must(os.Remove(c.in(demo, "blobs", etag(word))))
	c.whole(word, size, commit, path)
}

// begin makes a process that starts now, by the clock of the kernel.
func (c *cache) begin(args ...string) (pid int) {
	c.t.Helper()
	c.later(func() {
		var boot unix.Timespec
		c.must(unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot))
		// The made-up /proc starts a process at 1000 ticks and its pid.
		pid = int(time.Duration(boot.Nano())/(10*time.Millisecond)) - 1000
		c.run(pid, args...)
	})
	return pid
}

// Three attempts at three revisions: what the second was about to fetch anew,
// when it died, is no business of the third, whenever the daemon is killed.
func TestANewAttemptLeavesTheRevisionOfTheLastBehind(t *testing.T) {
	const commitC = "cccccccccccccccccccccccccccccccccccccccc"
	for what, restart := range map[string]bool{"watched": false, "over a restart": true} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.step = 0 // the times of files are compared with those of processes
			c.list(commitA, map[string]listedFile{"config.json": {"config", 700}, "a.bin": {"old", 3 * mib}})
			c.whole("config", 700, commitA, "config.json")
			c.whole("old", 3*mib, commitA, "a.bin")
			c.age()
			c.watch(c.now, nil)

			first := c.begin("router")
			c.lock(first, "old")
			c.again("config", 700, commitB, "config.json")
			c.partial("old", ".part", 0)
			c.look()
			c.kill(first)
			c.look()

			second := c.begin("router")
			c.lock(second, "new")
			c.partial("new", ".part", mib)
			l := c.look()
			if restart {
				c.restart(l.Checkpoint)
				c.look()
			}
			c.write(c.in(demo, "blobs", etag("new")+".part"), 2*mib)
			c.look()
			c.finish("new", ".part", commitC, "a.bin")
			c.link("config", commitC, "config.json")
			c.look()
			c.kill(second)
			c.step = 500 * time.Millisecond
			if l := c.quietly(); l.Unfinished != 0 || l.Failed != 0 || l.Bytes != 2*mib+700 || !slices.Equal(l.Revisions, []string{commitC}) {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// Which of the partials that lie there after a restart are the play's own.
func TestAfterARestartOnlyTheAttemptsOwnPartialsCount(t *testing.T) {
	for what, tt := range map[string]struct {
		written time.Duration // before now
		kept    []string
		bytes   int64
	}{
		"written by the attempt before":            {30 * time.Second, nil, 1000},
		"written by it, and gone on with":          {30 * time.Second, []string{etag("a")}, 1000 + mib},
		"written by the attempt that is under way": {time.Second, nil, 1000 + mib},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			left := c.partial("a", ".incomplete", mib)
			c.whole("c", 1000, commitA, "c.bin")
			then := time.Now().Add(-tt.written)
			must(t, os.Chtimes(left, then, then))
			c.opts.Opened = time.Now().Add(time.Second)
			began := time.Now().Add(-time.Minute)
			c.restart(Checkpoint{
				Since: time.Now(), From: began, Attempt: time.Now().Add(-5 * time.Second), Counted: tt.kept,
				Facts: Facts{
					Play: newPlay(began, began).Play, Revisions: []string{commitA}, Bytes: 1000,
					Downloaders: []downloader.Process{{PID: 42, Command: "router"}},
				},
			})
			l := c.look()
			if l.Bytes != tt.bytes {
				t.Fatalf("look %+v", l)
			}
			if tt.kept != nil && !slices.Equal(l.Checkpoint.Counted, tt.kept) {
				t.Fatalf("forgotten: %v", l.Checkpoint.Counted)
			}
		})
	}
}

// A client without locks may follow one with locks at the same file.
func TestWhatGrowsAfterItsLockWasLostIsSomebodyElses(t *testing.T) {
	c := newCache(t)
	c.run(42, "router")
	c.lock(42, "a")
	c.partial("a", ".part", mib)
	c.look()
	c.kill(42)
	c.partial("a", ".part", mib+1000) // its last bytes
	if l := c.look(); l.Partials != 0 || l.Bytes != mib+1000 {
		t.Fatalf("dead: %+v", l)
	}
	c.partial("a", ".incomplete", 500) // of huggingface.js
	if l := c.look(); l.Partials != 1 || l.Bytes != 500 {
		t.Fatalf("another: %+v", l)
	}
}

// What an attempt at another revision has left is nothing to go on with for the
// one after, above all if a whole download has come in between.
func TestAWholeDownloadLeavesNothingToGoOnWith(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf")
	c.lock(42, "old")
	c.partial("old", ".incomplete", mib)
	c.look()
	c.kill(42)
	c.restart(c.look().Checkpoint)
	c.look()
	c.list(commitB, map[string]listedFile{"b.bin": {"b", 2 * mib}})
	c.run(43, "hf")
	c.lock(43, "b")
	c.partial("b", ".01234567.incomplete", mib)
	c.look()
	c.write(c.in(demo, "blobs", etag("b")+".01234567.incomplete"), 2*mib)
	c.finish("b", ".01234567.incomplete", commitB, "b.bin")
	c.kill(43)
	if l := c.quietly(); l.Proof != NoProof || l.InPlay {
		t.Fatalf("not over: %+v", l)
	}
	c.run(44, "hf")
	c.lock(44, "new")
	c.partial("new", ".incomplete", 1000)
	if l := c.look(); l.Bytes != 1000 || l.Base != 0 {
		t.Fatalf("look %+v", l)
	}
}

// later does something when the clock of the file system has moved on.
func (c *cache) later(do func()) {
	c.t.Helper()
	clock := filepath.Join(c.t.TempDir(), "clock")
	c.write(clock, 1)
	first, err := os.Stat(clock)
	c.must(err)
	for now := first; now.ModTime().Sub(first.ModTime()) <= 2*fsys.Tick; {
		c.must(os.WriteFile(clock, nil, 0o644))
		now, err = os.Stat(clock)
		c.must(err)
	}
	do()
}

// Of two clients at two revisions one dies: what the other brings is complete if
// it went on for longer.
func TestTheRevisionThatWasWorkedForLastDecides(t *testing.T) {
	for what, bare := range map[string]string{"the dead one was not at it any more": "", "it was": "new"} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}})
			c.run(42, "python3", "train.py")
			c.lock(42, "a")
			c.partial("a", ".01234567.incomplete", 1000)
			c.look()
			c.run(43, "python3", "serve.py")
			c.lock(43, "other")
			c.partial("b", ".incomplete", 1000) // whose lock was missed
			c.link("other", commitB, "config.json")
			c.look()
			c.partial("a", ".01234567.incomplete", mib)
			c.later(func() { c.finish("a", ".01234567.incomplete", commitA, "a.bin") })
			if bare != "" {
				c.later(func() { c.partial("b", ".incomplete", 2000) })
			}
			c.kill(42)
			c.kill(43)
			c.look()
			c.now = c.now.Add(lockMemory)
			c.look()
			l := c.look()
			if complete := l.Proof == ProvenByListing || !l.InPlay; complete != (bare == "") {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// Nor do leftovers of what the whole revision has brought itself, or a partial of another
// one that is older than what came below the snapshot's own directory, keep it from being
// complete.
func TestWhatCameBelowASnapshotTellsWhichRevisionWasWorkedForLast(t *testing.T) {
	for what, leftover := range map[string]string{"the other's is older": "other", "its own is there": "b"} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.list(commitA, map[string]listedFile{"other.bin": {"other", 2 * mib}, "shared.bin": {"shared", 1000}})
			c.list(commitB, map[string]listedFile{"sub/b.bin": {"b", mib}, "shared.bin": {"shared", 1000}})
			c.run(42, "hf", "first")
			c.lock(42, "other")
			c.partial("other", ".01234567.incomplete", 1000)
			c.run(43, "hf", "second")
			c.lock(43, "b")
			c.partial("b", ".89abcdef.incomplete", 1000)
			c.whole("shared", 1000, commitB, "shared.bin")
			c.must(os.MkdirAll(c.in(demo, "snapshots", commitB, "sub"), 0o755))
			c.look()
			c.later(func() { c.partial(leftover, ".01234567.incomplete", 2000) })
			c.kill(42)
			c.partial("b", ".89abcdef.incomplete", mib)
			if l := c.look(); len(l.Revisions) != 2 {
				t.Fatalf("look %+v", l)
			}
			c.later(func() { c.finish("b", ".89abcdef.incomplete", commitB, "sub/b.bin") })
			c.kill(43)
			c.look()
			c.now = c.now.Add(lockMemory)
			c.look()
			if l := c.quietly(); l.Proof != ProvenByListing && l.InPlay {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// What came last may be listed by both: that the one is whole tells of which it is.
func TestWhatCameLastForAWholeRevisionTellsOfNoOther(t *testing.T) {
	c := newCache(t)
	c.list(commitB, map[string]listedFile{"b.bin": {"b", mib}, "shared.bin": {"shared", mib}})
	c.run(43, "hf", "second")
	c.lock(43, "shared")
	c.partial("shared", ".89abcdef.incomplete", 1000)
	c.whole("b", mib, commitB, "b.bin")
	c.look()
	c.run(42, "hf", "first")
	c.later(func() {
		c.list(commitA, map[string]listedFile{"other.bin": {"other", 2 * mib}, "shared.bin": {"shared", mib}})
	})
	c.lock(42, "other")
	c.partial("other", ".01234567.incomplete", 1000)
	if l := c.look(); len(l.Revisions) != 2 {
		t.Fatalf("look %+v", l)
	}
	c.kill(42)
	c.partial("shared", ".89abcdef.incomplete", mib)
	c.look()
	c.now = c.now.Add(lockMemory)
	c.later(func() { c.finish("shared", ".89abcdef.incomplete", commitB, "shared.bin") })
	c.kill(43)
	c.look()
	if l := c.quietly(); l.Proof != ProvenByListing && l.InPlay {
		t.Fatalf("look %+v", l)
	}
}

// Nor does what came for the other one, if all of it is found at once.
func TestWhatIsFoundAtOnceOfTwoRevisionsTellsOfTheLast(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.look()
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "other.bin": {"other", mib}, "shared.bin": {"shared", mib}})
	c.whole("a", mib, commitA, "a.bin")
	c.later(func() {
		c.list(commitB, map[string]listedFile{"b.bin": {"b", mib}, "shared.bin": {"shared", mib}})
		c.whole("b", mib, commitB, "b.bin")
		c.whole("shared", mib, commitB, "shared.bin")
	})
	c.now = c.now.Add(time.Minute)
	c.look()
	c.look()
	if l := c.quietly(); l.Proof != ProvenByListing && l.InPlay {
		t.Fatalf("look %+v", l)
	}
}

// What Rust's hf-hub 1.x writes looks like the revision before until its first
// link is made: that estimate must not make its partial somebody else's.
func TestAnOrphanSpeaksAgainstCompletionWhateverItsRevisionWasTakenFor(t *testing.T) {
	for what, restart := range map[string]bool{"watched": false, "over a restart": true} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.whole("old", mib, commitA, "a.bin")
			c.age()
			c.watch(c.now.Add(-time.Second), nil)
			c.run(42, "hfrs")
			c.lock(42, "a")
			c.partial("a", ".incomplete", 0)
			l := c.look()
			c.kill(42)
			if restart {
				c.restart(l.Checkpoint)
				c.look()
			}
			c.whole("config", 800, commitB, "config.json")
			c.look()
			if l = c.quietly(); l.Unfinished+l.Failed == 0 {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// What a client at another revision was about to fetch anew, when it died, is
// there: it doesn't keep the other one from being complete, which has it, and all
// else that is listed.
func TestAFetchAnewThatDiedDoesNotOutliveTheRevisionThatHasTheBlob(t *testing.T) {
	for what, after := range map[string]bool{"which went on": true, "which was done before": false} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.whole("old", mib, commitB, "a.bin")
			c.age()
			c.watch(c.now.Add(-time.Second), nil)
			c.list(commitA, map[string]listedFile{"a.bin": {"old", mib}, "b.bin": {"b", 1000}})
			c.run(42, "router")
			c.lock(42, "old")
			c.partial("old", ".part", 10)
			c.link("old", commitA, "a.bin")
			c.run(43, "python3", "train.py")
			c.lock(43, "b")
			c.partial("b", ".01234567.incomplete", 1000)
			c.look()
			if !after {
				c.finish("b", ".01234567.incomplete", commitA, "b.bin")
			}
			c.later(func() { c.partial("old", ".part", 500) })
			c.look()
			if after {
				c.later(func() { c.finish("b", ".01234567.incomplete", commitA, "b.bin") })
			}
			c.kill(42)
			c.kill(43)
			c.look()
			l := c.quietly()
			if complete := l.Proof == ProvenByListing || !l.InPlay; !complete {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// Two clients at one revision without a listing, of which each fetches what is
// there anew: what the second puts in its place once more is of that one, though
// an older listing has it, and the link is from before.
func TestWhatIsPutInItsPlaceTwiceStaysWithItsRevision(t *testing.T) {
	for what, restart := range map[string]bool{"watched": false, "over a restart": true} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "old.bin": {"old", 2 * mib}})
			c.whole("a", mib, commitA, "a.bin")
			c.whole("old", 2*mib, commitA, "old.bin")
			c.age()
			c.watch(c.now.Add(-time.Second), nil)
			c.again("a", mib, commitB, "a.bin")
			c.whole("new", 1000, commitB, "new.bin")
			l := c.look()
			c.later(func() {
				c.must(os.Remove(c.in(demo, "blobs", etag("a"))))
				c.write(c.in(demo, "blobs", etag("a")), mib)
			})
			if restart {
				c.restart(l.Checkpoint)
			}
			for range 2 {
				if l := c.look(); !slices.Equal(l.Revisions, []string{commitB}) || l.Bytes != mib+1000 {
					t.Fatalf("look %+v", l)
				}
			}
		})
	}
}
