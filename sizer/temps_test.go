package sizer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/hfcache"
)

func (c *cache) temp(name string, size int) string {
	path := filepath.Join(c.path, "tmp"+name)
	c.write(path, size)
	return path
}

func TestOldClientsWriteIntoTheRoot(t *testing.T) {
	c := newCache(t)
	c.step = 0 // births are compared with the time of looks
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.temp("leftover", 5*mib) // of a dead attempt
	c.look()
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	c.expect("a lock is no sign", want{})
	path := c.temp("abcdefgh", mib)
	c.expect("counted where the lock is", want{play: true, bytes: mib, arrived: mib, partials: 1})
	c.write(path, 2*mib)
	c.temp("of_other", 7*mib)
	c.expect("one lock, one file", want{play: true, bytes: 2 * mib, arrived: mib, partials: 1})
	must(t, os.Rename(path, c.in(demo, "blobs", etag("a"))))
	c.link("a", commitA, "a.bin")
	c.unlock("a")
	c.expect("moved into place, nothing new", want{play: true, bytes: 2 * mib, done: 1})
}

func TestAnOldClientsFileIsNotMissedWhileItMoves(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.look()
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	path := c.temp("abcdefgh", mib)
	c.expect("under way", want{play: true, bytes: mib, arrived: mib, partials: 1})
	must(t, os.Rename(path, path+".moving"))
	c.expect("in between", want{play: true, bytes: mib})
	must(t, os.Rename(path+".moving", c.in(demo, "blobs", etag("a"))))
	c.expect("there", want{play: true, bytes: mib, done: 1})
	c.expect("once", want{play: true, bytes: mib, done: 1})
}

func TestTwoOldClientsInOneRootAreNotMixedUp(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
	c.look()
	c.run(42, "python3", "x.py")
	c.run(43, "python3", "y.py")
	c.lockIn(other, 43, "b")
	c.lock(42, "a")
	c.temp("abcdefgh", mib)
	c.expect("whose it is can't be told", want{})
	c.unlock("b")
	c.temp("abcdefgh", 2*mib)
	c.expect("now it can", want{play: true, bytes: 2 * mib, arrived: 2 * mib, partials: 1})
}

// What a killed client of another repository has left in the root looks like
// that of whoever holds a bare lock, above all after a restart of the daemon.
func TestWhoWritesBesideTheBlobsOwnsNothingInTheRoot(t *testing.T) {
	for what, tt := range map[string]struct {
		before func(c *cache)
		claims bool
	}{
		"nothing is known of it":                    {func(*cache) {}, true},
		"it has left a listing":                     {func(c *cache) { c.list(commitA, map[string]listedFile{"a.bin": {"a", 5 * mib}}) }, false},
		"another has left a listing of other files": {func(c *cache) { c.list(commitA, map[string]listedFile{"b.bin": {"b", 5 * mib}}) }, true},
		"it has a partial": {func(c *cache) {
			c.lock(42, "b")
			c.partial("b", ".01234567.incomplete", 1000)
		}, false},
		"another's partial lies there": {func(c *cache) { c.partial("b", ".01234567.incomplete", 1000) }, true},
		"another died of one as it began": {func(c *cache) {
			c.lock(42, "b")
			dead := c.partial("b", ".01234567.incomplete", 1000)
			process, err := c.root.processes.Process(42)
			must(t, err)
			began := c.root.processes.Began(process, c.now).Add(fsys.Tick / 2)
			must(t, os.Chtimes(dead, began, began))
		}, true},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.step = 0
			must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
			c.run(42, "python3", "x.py")
			tt.before(c)
			c.lock(42, "a")
			c.temp("abcdefgh", mib)
			if l := c.look(); (l.Bytes >= mib) != tt.claims {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// A client of another repository that begins and is killed between two looks leaves a
// file that is younger than the client that goes on. It is older than the lock of what
// that one fetches next.
func TestWhatLayInTheRootBeforeTheLockWasTakenIsNotWhatItStandsFor(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
	c.run(42, "python3", "x.py")
	c.temp("of_other", mib)
	c.lock(42, "a")
	taken := time.Now().Add(time.Minute)
	must(t, os.Chtimes(filepath.Join(c.path, ".locks", demo, etag("a")+".lock"), taken, taken))
	c.expect("the client's own isn't there yet", want{})
	c.temp("abcdefgh", 1000)
	c.expect("nor is that known of one that doesn't grow", want{})
	c.temp("abcdefgh", mib/2)
	c.expect("it grows", want{play: true, bytes: mib / 2, arrived: mib / 2, partials: 1})
	must(t, os.Rename(filepath.Join(c.path, "tmpabcdefgh"), c.in(demo, "blobs", etag("a"))))
	c.link("a", commitA, "a.bin")
	c.unlock("a")
	if l := c.expect("all is there", want{play: true, bytes: mib / 2, done: 1}); l.Unfinished != 0 {
		t.Fatalf("look %+v", l)
	}
}

// What one had grown whose repository was removed is not that of who comes long after.
func TestAFileThatHasLongStoppedGrowingIsNotTheNextOnes(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
	c.run(43, "python3", "y.py")
	c.lockIn(other, 43, "b")
	c.lookAt(other)
	path := c.temp("of_other", mib)
	if l, _ := c.lookAt(other); l.Bytes != mib {
		t.Fatalf("look %+v", l)
	}
	must(t, os.RemoveAll(c.in(other)))
	c.lookAt(other)
	must(t, os.WriteFile(path, make([]byte, 2*mib), 0o644)) // it lives on for a moment
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.look()
	c.kill(43)
	delete(c.locks, "b")
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	if l, _ := c.root.Look(time.Now().Add(2*grace), demo); l.InPlay {
		t.Fatalf("look %+v", l)
	}
}

// Who was seen to write beside the blobs writes nothing into the root, also when what he
// wrote to was taken away under him.
func TestWhoWroteBesideTheBlobsOwnsNothingInTheRootAfterwards(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	c.partial("a", ".01234567.incomplete", 1000)
	c.look()
	partial := c.partial("a", ".01234567.incomplete", 2000)
	c.look()
	must(t, os.Remove(partial))
	c.temp("of_other", mib)
	if l := c.look(); l.Bytes >= mib {
		t.Fatalf("look %+v", l)
	}
}

// The number of a process that is gone is given to another one some day.
func TestWhoHasTheNumberOfOneWhoWroteBesideTheBlobsIsAnother(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.run(42, "python3", "new.py")
	c.lock(42, "a")
	c.partial("a", ".01234567.incomplete", 1000)
	c.look()
	partial := c.partial("a", ".01234567.incomplete", 2000)
	c.look()
	c.kill(42)
	must(t, os.Remove(partial))
	c.look()
	c.runNow(42, "python3", "old.py")
	c.lock(42, "b")
	c.temp("abcdefgh", mib)
	c.look()
	c.temp("abcdefgh", 2*mib)
	if l := c.look(); l.Bytes != 2*mib {
		t.Fatalf("look %+v", l)
	}
}

func TestAnOldClientThatDiesLeavesItsBytesUntilTheNextAttempt(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.look()
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	c.temp("abcdefgh", mib)
	c.expect("under way", want{play: true, bytes: mib, arrived: mib, partials: 1})
	c.kill(42)
	if l := c.expect("dead", want{play: true, bytes: mib}); l.Unfinished != 1 {
		t.Fatalf("look %+v", l)
	}
	c.run(43, "python3", "x.py")
	c.lock(43, "a")
	c.look()
	c.temp("ijklmnop", 1000)
	c.expect("a new attempt keeps nothing of it", want{play: true, bytes: 1000, arrived: 1000, partials: 1})
}

// A cache may be found seconds after its first download has begun.
func TestAnOldClientsFileThatIsSeenLateIsItsDownloaders(t *testing.T) {
	for what, tt := range map[string]struct {
		began time.Duration // after the file was made
		bytes int64
	}{
		"made by who holds the lock":      {-time.Hour, mib},
		"left there before who came then": {time.Hour, 0},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.step = 0
			must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
			var boot unix.Timespec
			must(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot))
			// The made-up /proc starts a process at 1000 ticks and its pid.
			ticks := (time.Duration(boot.Nano()) + tt.began) / (10 * time.Millisecond)
			pid := max(int(ticks)-1000, 1)
			c.run(pid, "huggingface-cli")
			c.lock(pid, "a")
			c.temp("abcdefgh", mib)
			c.now = c.now.Add(4 * time.Second)
			if l := c.look(); l.Bytes != tt.bytes {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

func TestAnOldClientsFileThatMovesInTheMiddleOfALookCountsOnce(t *testing.T) {
	c := newCache(t)
	c.step = 0
	move := func() {}
	c.opts.Listing = func(hfcache.Repo, string) (hfcache.Listing, bool) { // asked behind the measuring
		move()
		return hfcache.Listing{}, false
	}
	c.root = NewRoot(c.opts)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.look()
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	c.temp("abcdefgh", mib)
	c.expect("under way", want{play: true, bytes: mib, arrived: mib, partials: 1})
	move = func() {
		_ = os.Rename(filepath.Join(c.path, "tmpabcdefgh"), c.in(demo, "blobs", etag("a")))
		_ = os.Symlink("../../blobs/"+etag("a"), c.in(demo, "snapshots", commitA, "a.bin"))
	}
	for range 3 {
		c.now = c.now.Add(livelyAfter)
		if l := c.look(); l.Bytes != mib || l.Arrived != 0 {
			t.Fatalf("look %+v", l)
		}
	}
}

func TestOldClientsAtSeveralRepositoriesAreNotCalledSilent(t *testing.T) {
	c := newCache(t)
	c.step = 0
	for i, folder := range []string{demo, other} {
		must(t, os.MkdirAll(c.in(folder, "blobs"), 0o755))
		c.run(42+i, "huggingface-cli")
		c.lockIn(folder, 42+i, "small"+folder)
		c.write(c.in(folder, "blobs", etag("small"+folder)), 500)
	}
	c.look()
	for i, folder := range []string{demo, other} {
		c.lockIn(folder, 42+i, "large"+folder)
	}
	grow := func(size int) Look {
		c.temp("abcdefgh", size)
		c.temp("ijklmnop", size)
		return c.look()
	}
	grow(1000)
	if l := grow(mib); !l.InPlay || l.Bytes != 500 || !l.Unseen {
		t.Fatalf("one of two files grows: %+v", l)
	}
	c.now = c.now.Add(2 * grace)
	c.step = time.Second
	if l := c.look(); l.Unseen {
		t.Fatalf("none grows: %+v", l)
	}
}

// swift-huggingface holds the lock of a blob that it fetches outside of the cache.
func TestALockOfOneThatWritesOutsideClaimsNoFileInTheRoot(t *testing.T) {
	c := newCache(t)
	c.run(42, "swift")
	c.whole("config", 700, commitA, "config.json")
	c.lockIn(filepath.Join(demo, "blobs"), 42, "a")
	c.look()
	for size := 1000; size < 4000; size += 1000 {
		c.write(filepath.Join(c.path, "tmpabcdefgh"), size)
		if l := c.look(); l.Bytes != 700 || l.Partials != 0 {
			t.Fatalf("look %+v", l)
		}
	}
}

func TestClientsThatLockBesideTheBlobWriteIntoTheRoot(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.look()
	c.run(42, "python3", "x.py")
	c.besidesIn(demo, 42, "a")
	path := c.temp("abcdefgh", mib)
	l := c.expect("counted where the lock is", want{play: true, bytes: mib, arrived: mib, partials: 1})
	if !l.Locked || len(l.Downloaders) != 1 {
		t.Errorf("locked %v by %v", l.Locked, l.Downloaders)
	}
	must(t, os.Rename(path, c.in(demo, "blobs", etag("a"))))
	c.link("a", commitA, "a.bin")
	c.besidesIn(demo, 42, "b")
	c.expect("between two files nothing is over", want{play: true, bytes: mib, done: 1})
	if l := c.look(); !l.Locked {
		t.Errorf("the lock of what isn't there yet was not seen: %+v", l)
	}
}

// Where no lock can be seen, a file that grows in the root may be anybody's.
func TestAFileInTheRootThatNobodyClaimsHoldsSuccessBack(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.look()
	path := c.temp("abcdefgh", mib)
	c.partial("a", "", kib)
	c.link("a", commitA, "a.bin")
	c.look()
	c.write(path, 2*mib)
	if l := c.look(); !l.InPlay || !l.Unseen || l.Unclaimed != 1 {
		t.Errorf("look %+v", l)
	}
}

// A client that writes into the root has the lock of a blob of which another one has
// left a partial beside the blobs: what grows may be its, and can't be counted.
func TestALockOverALeftoverMayStandForAFileInTheRoot(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".01234567.incomplete", kib)
	c.age()
	c.watch(c.now.Add(-time.Second), nil)
	c.whole("b", kib, commitA, "b.bin")
	c.runNow(42, "python3", "x.py")
	c.lock(42, "a")
	c.look()
	for size := mib; size < 4*mib; size += mib {
		c.temp("12345678", size)
		c.look()
	}
	if l := c.look(); !l.Unseen || !l.Locked {
		t.Errorf("look %+v", l)
	}
}

// What is locked only to see whether it is there begins no download, though a dead
// attempt has left a partial of it.
func TestAPartialThatWasLeftIsNoSignWhileItsBlobIsThere(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.partial("a", ".01234567.incomplete", kib)
	c.age()
	c.watch(time.Now().Add(time.Second), nil)
	c.expect("at rest", want{})
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	if l := c.look(); l.InPlay {
		t.Errorf("look %+v", l)
	}
	c.partial("a", ".01234567.incomplete", 2*kib)
	if l := c.look(); !l.InPlay {
		t.Errorf("written to: look %+v", l)
	}
}

// A client that was killed before anybody looked has left its lock files beside the blobs.
// Who takes them again changes no name there.
func TestALockThatWasLeftIsSeenWhenItIsTakenAgain(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".incomplete", 1000)
	lock := c.in(demo, "blobs", etag("a")+".lock")
	c.write(lock, 0)
	for range 2 { // until the names are no news
		if l := c.look(); l.Locked {
			t.Fatalf("nobody holds it: look %+v", l)
		}
		c.now = c.now.Add(grace)
	}
	c.run(42, "python3", "x.py")
	c.lockAt(lock, 42, "a")
	if l := c.look(); !l.Locked || len(l.Downloaders) != 1 {
		t.Errorf("look %+v", l)
	}
}

// Locks that are seen explain what is left in the root from the first look on: what was
// left between the first file and that may be this client's own.
func TestAFileLeftBeforeTheFirstLookIsNotExplainedByALaterLock(t *testing.T) {
	for what, tt := range map[string]struct {
		age  time.Duration // before the first look
		want int
	}{
		"since its first file came": {2 * time.Second, 1},
		"before that":               {10 * time.Second, 0},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
			c.run(42, "python3", "x.py")
			c.whole("a", mib, commitA, "a.bin")
			c.now = time.Now().Add(5 * time.Second)
			left := c.temp("ab12cd_8", 1000)
			then := c.now.Add(-tt.age)
			must(t, os.Chtimes(left, then, then))
			c.lock(42, "a")
			c.look()
			c.unlock("a")
			if l := c.look(); !l.InPlay || l.Doubtful != tt.want {
				t.Errorf("look %+v", l)
			}
		})
	}
}

// A server may take seconds to move it.
func TestAnOldClientsFileIsNotMissedWhileItMovesOnTheFileSystemOfANetwork(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.look()
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	path := c.temp("abcdefgh", kib)
	c.look()
	c.temp("abcdefgh", mib)
	c.expect("under way", want{play: true, bytes: mib, arrived: mib - kib, partials: 1})
	must(t, os.Rename(path, path+".moving"))
	for range 6 {
		c.expect("in between", want{play: true, bytes: mib})
	}
	must(t, os.Rename(path+".moving", c.in(demo, "blobs", etag("a"))))
	c.expect("there", want{play: true, bytes: mib, done: 1})
}

// An old client lives on though its repository was removed under it, and makes it anew.
// What grows may be its file: nobody is stalled.
func TestAFileWhoseRepositoryIsMadeAnewProvesNoSilence(t *testing.T) {
	c := newCache(t)
	c.step = 0
	must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
	c.run(42, "python3", "x.py")
	c.lock(42, "a")
	c.temp("abcdefgh", mib)
	c.expect("begins", want{play: true, bytes: mib, arrived: mib, partials: 1})
	must(t, os.RemoveAll(c.in(demo)))
	if l := c.look(); !l.Gone {
		t.Fatalf("look %+v", l)
	}
	c.nextTick()
	c.whole("b", 1000, commitA, "b.bin") // it goes on with another file
	for size := 2 * mib; size < 5*mib; size += mib {
		c.temp("abcdefgh", size)
		if l := c.look(); l.Bytes != 1000 || !l.Unseen {
			t.Fatalf("look %+v", l)
		}
	}
}
