package sizer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/downloader"
	"progressd/fsys"
)

// copies begins what swift-huggingface does: it holds the lock of a blob, and
// copies to its name what has come elsewhere. The other file is whole.
func (c *cache) copies(pid int, word string) {
	c.t.Helper()
	c.run(pid, "swift")
	c.whole("config", 700, commitA, "config.json")
	c.lockIn(filepath.Join(demo, "blobs"), pid, word)
	c.look()
	c.write(c.in(demo, "blobs", etag(word)), mib)
}

// runNow makes a process that begins now.
func (c *cache) runNow(pid int, args ...string) {
	c.t.Helper()
	c.run(pid, args...)
	var up unix.Timespec
	c.must(unix.ClockGettime(unix.CLOCK_BOOTTIME, &up))
	c.must(os.WriteFile(filepath.Join(c.proc, fmt.Sprint(pid), "stat"), fmt.Appendf(nil,
		"%d (%s) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, args[0], up.Nano()/10_000_000), 0o644))
}

// pass lets the clock run on from when a blob was written to last.
func (c *cache) pass(word string, d time.Duration) {
	c.t.Helper()
	blob, err := entryAt(c.in(demo, "blobs", etag(word)))
	c.must(err)
	probe := filepath.Join(c.path, "probe")
	for now := blob.Ctime; now.Sub(blob.Ctime) <= d; {
		c.must(os.WriteFile(probe, nil, 0o644))
		e, err := entryAt(probe)
		c.must(err)
		now = e.Ctime
	}
	c.must(os.Remove(probe))
}

func entryAt(path string) (fsys.Entry, error) {
	d, err := fsys.Open(fsys.Real{}, filepath.Dir(path))
	if err != nil {
		return fsys.Entry{}, err
	}
	defer d.Close()
	return d.Lstat(filepath.Base(path))
}

// restartIf brings the daemon's next life, or leaves it as it is.
func (c *cache) restartIf(restarted bool, l Look) {
	if restarted {
		c.restart(l.Checkpoint)
	}
}

func TestABlobThatWasLeftHalfCopiedIsAFailureWhoeverLinksIt(t *testing.T) {
	for name, restarted := range map[string]bool{"in one life": false, "over restarts": true} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.copies(42, "a")
			c.restartIf(restarted, c.look())
			c.kill(42)
			l := c.quietly()
			if l.Failed != 1 || l.FilesDone != 2 {
				t.Fatalf("left half: %+v", l)
			}
			c.restartIf(restarted, l)
			c.run(43, "python3")
			c.lock(43, "b")
			c.link("a", commitA, "a.bin")
			c.partial("b", ".incomplete", 1000)
			c.look()
			c.finish("b", ".incomplete", commitA, "b.bin")
			c.restartIf(restarted, c.look())
			c.kill(43)
			if l = c.quietly(); l.Failed != 1 || l.FilesDone != 3 {
				t.Fatalf("linked by another: %+v", l)
			}
			if said := strings.Count(c.log.String(), "remove blobs/"); said != 1 || !strings.Contains(c.log.String(), etag("a")) {
				t.Errorf("said %d times what to do:\n%s", said, c.log)
			}
			c.restartIf(restarted, l)
			c.partial("a", ".incomplete", 2*mib)
			c.look()
			must(t, os.Rename(c.in(demo, "blobs", etag("a")+".incomplete"), c.in(demo, "blobs", etag("a"))))
			if l = c.quietly(); l.Failed != 0 || l.FilesDone != 3 {
				t.Fatalf("fetched anew: %+v", l)
			}
		})
	}
}

// The next client may have come before anybody looked.
func TestALinkMadeByOneThatCameBehindADeadClientIsNotItsOwn(t *testing.T) {
	for name, tt := range map[string]struct {
		successor, dies bool
		failed          int
	}{
		"it died, and nobody came":          {successor: false, dies: true, failed: 0},
		"it died, and another one came":     {successor: true, dies: true, failed: 1},
		"it lives, and another one is here": {successor: true, dies: false, failed: 0},
	} {
		for _, restarted := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", over a restart"}[restarted], func(t *testing.T) {
				c := newCache(t)
				c.copies(42, "a")
				c.restartIf(restarted, c.look())
				c.step = 0
				c.pass("a", 3*fsys.Tick)
				if tt.successor {
					c.runNow(43, "python3")
				}
				c.pass("a", 6*fsys.Tick)
				c.link("a", commitA, "a.bin")
				c.unlock("a")
				if tt.dies {
					c.kill(42)
				}
				c.look()
				if tt.successor {
					c.lock(43, "config") // seen only now
				}
				c.look()
				c.kill(43)
				if l := c.quietly(); l.Failed != tt.failed || l.FilesDone != 2 {
					t.Fatalf("look %+v", l)
				}
			})
		}
	}
}

func TestWhoLinkedABlob(t *testing.T) {
	written := time.Now()
	p := &pass{now: written, root: &Root{processes: downloader.NewShared(downloader.ProcDir("/proc")).Snapshot()}}
	after := func(d time.Duration) downloader.Process {
		var up unix.Timespec
		must(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &up))
		return downloader.Process{PID: 43, Started: uint64((up.Nano() + d.Nanoseconds()) / 10_000_000)}
	}
	for name, tt := range map[string]struct {
		linked  time.Duration
		others  []downloader.Process
		another bool
	}{
		"at once":                      {linked: 0},
		"on a busy disk":               {linked: copiedAndLinked},
		"late":                         {linked: copiedAndLinked + 1, another: true},
		"one that came in between":     {linked: time.Second / 2, others: []downloader.Process{after(time.Second / 4)}, another: true},
		"one that was here before":     {linked: time.Second / 2, others: []downloader.Process{after(-time.Second)}},
		"one that came as it ended":    {linked: time.Second / 2, others: []downloader.Process{after(fsys.Tick)}},
		"one that came when it was":    {linked: time.Second / 4, others: []downloader.Process{after(time.Second / 2)}},
		"the client itself, of course": {linked: time.Second / 2, others: []downloader.Process{{PID: 42, Started: after(time.Second / 4).Started}}},
	} {
		if got := p.linkedByAnother(&play{Facts: Facts{Downloaders: tt.others}}, 42, written, written.Add(tt.linked)); got != tt.another {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// Another one of its kind has waited for its lock, finds the blob there, and
// ends at once.
func TestALinkOfAClientThatLivesIsItsOwnWhoeverWaitsForIt(t *testing.T) {
	c := newCache(t)
	c.copies(42, "a")
	c.look()
	c.step = 0
	c.pass("a", 3*fsys.Tick)
	c.runNow(43, "swift")
	c.pass("a", 6*fsys.Tick)
	c.link("a", commitA, "a.bin") // it was stopped
	c.lockIn(filepath.Join(demo, "blobs"), 43, "a")
	if l := c.look(); l.Checkpoint.Copying[etag("a")] != 42 {
		t.Fatalf("look %+v", l)
	}
	c.kill(43)
	if l := c.quietly(); l.Failed != 0 || l.FilesDone != 2 {
		t.Fatalf("look %+v", l)
	}
}

// Others may link it as well, in this revision and in the next.
func TestTheFirstLinkTellsWhoMadeIt(t *testing.T) {
	var c *cache
	for range 10 { // a busy machine may not link as soon as it has copied
		c = newCache(t)
		began := time.Now()
		c.copies(42, "a")
		c.look()
		c.step = 0
		c.link("a", commitA, "m.bin")
		if time.Since(began) < copiedAndLinked {
			break
		}
	}
	c.kill(42)
	c.pass("a", 3*fsys.Tick)
	c.runNow(43, "python3")
	c.pass("a", 6*fsys.Tick)
	for _, commit := range []string{commitA, commitB} {
		c.link("a", commit, "b.bin")
		c.link("a", commit, "z.bin")
	}
	c.lock(43, "config")
	c.look()
	c.kill(43)
	if l := c.quietly(); l.Failed != 0 {
		t.Fatalf("look %+v", l)
	}
}

// The snapshot's directory comes with its first link, and blobs/ doesn't move.
func TestALinkInASnapshotThatNobodyHasReadYetCounts(t *testing.T) {
	c := newCache(t)
	c.copies(42, "a")
	c.look()
	c.old("blobs")
	c.look()
	c.look()
	c.write(c.in(demo, "blobs", etag("a")), 2*mib)
	c.link("a", commitB, "a.bin")
	c.kill(42)
	if l := c.look(); l.Failed != 0 || len(l.Checkpoint.CutOffs) != 0 {
		t.Fatalf("look %+v", l)
	}
}

// Its disk may be full: it lives on, and may take for whole what it has left.
func TestACopyThatFailedIsAFailureWhileItsClientLives(t *testing.T) {
	c := newCache(t)
	c.copies(42, "a")
	c.look()
	c.unlock("a")
	if l := c.look(); l.Failed != 0 {
		t.Fatalf("a reading may have missed the lock: %+v", l)
	}
	c.quietly()
	c.link("a", commitA, "a.bin")
	if l := c.quietly(); l.Failed != 1 {
		t.Fatalf("look %+v", l)
	}
}

func TestAnotherOfItsKindThatWaitsTakesWhatIsLeftForWhole(t *testing.T) {
	c := newCache(t)
	c.copies(42, "a")
	c.look()
	c.kill(42)
	c.run(43, "swift")
	c.lockIn(filepath.Join(demo, "blobs"), 43, "a")
	c.look()
	c.link("a", commitA, "a.bin")
	c.look()
	c.kill(43)
	if l := c.quietly(); l.Failed != 1 || l.FilesDone != 2 {
		t.Fatalf("look %+v", l)
	}
}

func TestWhatWasLeftHalfCopiedAndIsRemovedIsForgotten(t *testing.T) {
	c := newCache(t)
	c.copies(42, "a")
	c.look()
	c.kill(42)
	if l := c.quietly(); len(l.Checkpoint.CutOffs) != 1 {
		t.Fatalf("look %+v", l)
	}
	must(t, os.Remove(c.in(demo, "blobs", etag("a"))))
	if l := c.quietly(); len(l.Checkpoint.CutOffs) != 0 {
		t.Fatalf("removed: %+v", l)
	}
}

// Another play, perhaps of another life of the daemon, knows it still.
func TestWhatWasLeftHalfCopiedIsKnownToTheNextPlay(t *testing.T) {
	c := newCache(t)
	c.copies(42, "a")
	c.look()
	c.kill(42)
	m := c.quietly().Checkpoint
	c.restart(Checkpoint{Since: m.Since, CutOffs: m.CutOffs})
	c.expect("at rest", want{})
	c.link("a", commitA, "a.bin")
	c.whole("b", 1000, commitA, "b.bin")
	if l := c.quietly(); !l.InPlay || l.Failed != 1 || l.FilesDone != 3 {
		t.Fatalf("look %+v", l)
	}
}

func TestWhatIsNotLeftHalfCopied(t *testing.T) {
	for name, do := range map[string]func(c *cache){
		"it had come to nothing, and another client links late": func(c *cache) {
			must(t, os.Remove(c.in(demo, "blobs", etag("a"))))
			c.kill(42)
			c.look()
			c.partial("a", ".part", mib)
			c.look()
			must(t, os.Rename(c.in(demo, "blobs", etag("a")+".part"), c.in(demo, "blobs", etag("a"))))
			c.quietly()
			c.link("a", commitA, "a.bin")
		},
		"it can't make links": func(c *cache) {
			c.write(c.in(demo, "snapshots", commitA, "a.bin"), mib)
			c.kill(42)
		},
		"a listing that comes says that it is whole": func(c *cache) {
			c.kill(42)
			c.quietly()
			c.list(commitA, map[string]listedFile{"config.json": {"config", 700}, "a.bin": {"a", mib}})
		},
		"another revision, whose listing says that it is whole, shares it": func(c *cache) {
			c.list(commitA, map[string]listedFile{"config.json": {"config", 700}, "a.bin": {"a", mib}})
			c.look()
			c.kill(42)
			m := c.quietly().Checkpoint
			c.restart(Checkpoint{Since: m.Since, CutOffs: m.CutOffs})
			c.link("a", commitB, "a.bin")
			c.whole("c", 1000, commitB, "c.bin")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.copies(42, "a")
			c.look()
			do(c)
			if l := c.quietly(); l.Failed != 0 {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// What lay there before, without a link, is somebody's who had other reasons.
func TestAnOldBlobUnderSuchALockIsNotLeftHalf(t *testing.T) {
	c := newCache(t)
	c.write(c.in(demo, "blobs", etag("a")), mib)
	old, err := entryAt(c.in(demo, "blobs", etag("a")))
	must(t, err)
	c.watch(old.Ctime, nil)
	c.run(42, "swift")
	c.lockIn(filepath.Join(demo, "blobs"), 42, "a")
	for blobs := old; !blobs.Mtime.After(old.Ctime); { // by the clock of the file system
		must(t, os.RemoveAll(c.in(demo, "blobs", etag("b"))))
		c.write(c.in(demo, "blobs", etag("b")), 1000)
		blobs, err = entryAt(c.in(demo, "blobs"))
		must(t, err)
	}
	c.link("b", commitA, "b.bin")
	if l := c.look(); !l.InPlay || !l.Locked {
		t.Fatalf("look %+v", l)
	}
	c.kill(42)
	if l := c.quietly(); len(l.Checkpoint.CutOffs) != 0 {
		t.Fatalf("look %+v", l)
	}
}

// crammed is a disk that is full.
type crammed struct{ fsys.Real }

func (c crammed) Fstatfs(fd int, st *unix.Statfs_t) error {
	err := c.Real.Fstatfs(fd, st)
	st.Bfree, st.Bavail = 0, 0
	return err
}

// Who fails for want of room lets its lock go, and the next of its kind, which has
// waited for it, links what there is: at once, and while the first one still runs.
func TestWhatWasCopiedToAFullDiskMayBeHalf(t *testing.T) {
	for what, tt := range map[string]struct {
		kernel fsys.Kernel
		failed int
	}{"full": {crammed{}, 1}, "not full": {fsys.Real{}, 0}} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.opts.FS = tt.kernel
			c.root = NewRoot(c.opts)
			c.copies(42, "a")
			c.look()
			c.unlock("a")
			c.link("a", commitA, "a.bin")
			c.now = c.now.Add(lockMemory)
			if l := c.look(); l.Failed != tt.failed {
				t.Errorf("look %+v", l)
			}
		})
	}
}
