package watcher

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/fsys"
)

type countingLooker struct{ looks int }

func (l *countingLooker) Came(string, time.Time) {}

func (l *countingLooker) Stirred(context.Context) ([]string, bool) { return nil, false }

func (l *countingLooker) Look(context.Context, string, func() time.Duration) Pace {
	l.looks++
	return Idle
}

// TestLooksOnceTheWatchIsArmed plays the armer, so that its answers come when
// the test says so.
func TestLooksOnceTheWatchIsArmed(t *testing.T) {
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	age(t, root, "models--a--b", "blobs")
	var st unix.Stat_t
	must(t, unix.Stat(root, &st))
	looker, armer := &countingLooker{}, newNotifier(fsys.Real{}, openNotify, nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
	r := &runner{
		opts:         &Options{FS: fsys.Real{}, ProcessorTime: processorTime, Poll: far, IsRepo: isRepo, NewLooker: func(Root) Looker { return looker }},
		watcherBegan: time.Now(), orders: newOrders(), notify: armer, root: Root{Path: root, Dev: st.Dev, Inode: st.Ino},
	}
	r.begin()
	answer := func() {
		t.Helper()
		if len(armer.queue) != 1 || armer.queue[0].verb != arm {
			t.Fatalf("the armer is asked for %+v, want one watch", armer.queue)
		}
		asked := armer.queue[0]
		armer.queue = nil
		asked.repo.tell(func(n *message) { n.armed = asked.seq })
	}
	step := func(listed bool, looks int) {
		t.Helper()
		must(t, r.step(t.Context()))
		if r.listed != listed || looker.looks != looks {
			t.Fatalf("listed %v, %d looks; want %v, %d", r.listed, looker.looks, listed, looks)
		}
	}
	step(false, 0) // the root's watch is not armed
	answer()
	step(true, 0) // the repo's is not
	answer()
	step(true, 1)
	if len(armer.queue) > 0 || len(r.index.due) > 0 {
		t.Error("it does not come to rest")
	}
}

func TestLostEventsCauseOneRescan(t *testing.T) {
	book := &logBook{}
	n, box := newNotifier(fsys.Real{}, openNotify, nil, slog.New(slog.NewTextHandler(book, nil))), newMailbox(account.Unknown)
	n.join(box)
	for i, want := range []bool{true, false, false} {
		n.fault(fsnotify.ErrEventOverflow)
		if _, missed := box.take(); missed != want {
			t.Errorf("overflow %d causes a rescan: %v, want %v", i, missed, want)
		}
	}
	n.rescan.next = time.Now()
	n.fault(fsnotify.ErrEventOverflow)
	if rest := time.Until(n.rescan.next); rest < rescanRest+rescanRest/2 {
		t.Errorf("after a second rescan the rest is %v, want twice %v", rest, rescanRest)
	}
	if got := book.count("level=WARN"); got != 1 {
		t.Errorf("%d warnings", got)
	}
}

func TestAFailingRootIsTriedSeldom(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	f := &faulty{}
	f.set(func(string) error { tries.Add(1); return syscall.EIO })
	g := newRig(t, 100*time.Millisecond, false, tempRoot(t))
	g.w.survey = surely(t)
	g.w.opts.FS = f
	g.start()
	g.awaitChange(Found)
	g.awaitChange(Failing)
	// Tried at 0, 100, 300 and 700 ms.
	g.lookWithin(600*time.Millisecond, func(seen) bool { return false })
	if n := tries.Load(); n < 2 || n > 4 {
		t.Errorf("tried %d times", n)
	}
}

func TestDropsAllWatchesOfARootThatIsGone(t *testing.T) {
	t.Parallel()
	dir := tempRoot(t)
	root := mkdir(t, dir, "hub")
	names := manyRepos(t, root, 3)
	g := newRig(t, soon, true, root).start()
	g.awaitAll(-2, names...)
	g.awaitWatches(4)
	must(t, unix.Rename(root, filepath.Join(dir, "away")))
	g.awaitTrue("only what may bring it back is watched", func() bool {
		g.w.notify.mu.Lock()
		defer g.w.notify.mu.Unlock()
		return len(g.w.notify.byKey.first) == 0 && len(g.w.notify.beneath) == 1
	})
}

// TestPollsWhatIsMountedInARoot: it may be a network's, and is not asked for
// events.
func TestPollsWhatIsMountedInARoot(t *testing.T) {
	if !inNamespace(t, 0) {
		return
	}
	root := tempRoot(t)
	mountTmpfs(t, mkdir(t, root, "models--a--b"))
	mkdir(t, root, "models--a--b", "blobs")
	age(t, root, "models--a--b", "blobs")
	g := newRig(t, soon, true, root).start()
	g.awaitLook("models--a--b", 0)
	if g.lookWithin(5*soon, func(seen) bool { return true }) {
		t.Error("looked at, though nothing had happened")
	}
	touch(t, root, "models--a--b", "blobs", "x")
	g.awaitLook("models--a--b", 1)
	g.awaitWatches(1)
	g.stop()
	must(t, unix.Unmount(filepath.Join(root, "models--a--b"), 0))
}
