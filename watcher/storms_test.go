package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"progressd/account"
	"progressd/fsys"
)

// stormOfUser is how many events a user may make at once.
var stormOfUser = int(account.Events.Limit().Burst)

// unruly is how long one who made more is polled, at the longest.
const unruly = time.Minute + time.Second

func newBook() *account.Book { return account.NewBook(nil, quietLog()) }

// What one user makes as fast as it can took the room of the events of others, and these
// were seen up to some polls later.
func TestAUserWhoTellsTooMuchIsPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNotifier(fsys.Real{}, openNotify, newBook(), quietLog())
		wild, other, victim := &repo{mailbox: newMailbox(1001)}, &repo{mailbox: newMailbox(1001)}, &repo{mailbox: newMailbox(1002)}
		stormy := func(p *repo, events int) (tooMany int) {
			for range events {
				if n.storms.counts(p) {
					tooMany++
				}
			}
			return tooMany
		}
		if got := stormy(wild, stormOfOne); got != 0 || !n.hears(1001) {
			t.Errorf("%d of so many as a directory may tell are too many", got)
		}
		if got := stormy(wild, 1); got != 1 || !n.hears(1001) {
			t.Error("a directory tells too much, and is heard")
		}
		if got := stormy(other, 1); got != 0 {
			t.Error("another directory pays for it")
		}
		for range stormOfUser {
			n.storms.counts(&repo{mailbox: other.mailbox})
		}
		if got := stormy(other, 1); got != 1 || n.hears(1001) {
			t.Error("with very many directories a user tells as much as it likes")
		}
		if got := stormy(victim, 1); got != 0 || !n.hears(1002) {
			t.Error("another user pays for it")
		}
		<-time.After(unruly / 2)
		if n.hears(1001) {
			t.Error("it is watched again at once")
		}
		<-time.After(unruly / 2)
		if !n.hears(1001) {
			t.Error("it is never watched again")
		}
		if got := stormy(other, 2*stormOfUser); got < stormOfUser {
			t.Errorf("who begins anew may tell %d at once", 2*stormOfUser-got)
		}
	})
}

// awaits reports whether a directory is watched for a root that is to come.
func (g *rig) awaits(dir string) bool {
	g.w.notify.mu.Lock()
	defer g.w.notify.mu.Unlock()
	return len(g.w.notify.beneath[dir]) > 0
}

// stir makes events there until nobody hears of them, as many as a user may at the most.
func (g *rig) stir(dir string) {
	for i := 0; i <= stormOfUser && g.awaits(dir); i++ {
		g.w.notify.route(fsnotify.Event{Name: filepath.Join(dir, fmt.Sprint("junk", i)), Op: fsnotify.Create})
	}
}

// Where a root is waited for, whoever may write there made events that nobody counted.
func TestADirectoryInWhichARootIsAwaitedIsPolled(t *testing.T) {
	dir := tempRoot(t)
	g := newRig(t, far, true, filepath.Join(dir, "hub"))
	g.w.notify = newNotifier(fsys.Real{}, openNotify, newBook(), g.w.opts.Log)
	g.start()
	g.awaitTrue("its coming is watched for", func() bool { return g.awaits(dir) })
	g.stir(dir)
	if g.awaits(dir) {
		t.Error("it isn't polled")
	}
	if !g.w.notify.hears(1001) {
		t.Error("a user pays for it")
	}
}

// Who alone may write there was not charged, and the roots of all others were awaited without events.
func TestWhoAloneMayWriteWhereARootIsAwaitedPaysForIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give directories away")
	}
	for mode, payer := range map[os.FileMode]account.User{0o755: 1001, 0o777: account.Unknown} {
		dir := tempRoot(t)
		must(t, os.Chown(dir, 1001, 1001))
		must(t, os.Chmod(dir, mode))
		g := newRig(t, far, true, filepath.Join(dir, "hub"))
		g.w.notify = newNotifier(fsys.Real{}, openNotify, newBook(), g.w.opts.Log)
		g.start()
		g.awaitTrue("its coming is watched for", func() bool { return g.awaits(dir) })
		if got := g.w.notify.accounts.Held(payer, account.Watches); got != 1 {
			t.Errorf("mode %o: %v pays for %d watches, want 1", mode, payer, got)
		}
		g.stop()
		if got := g.w.notify.accounts.Held(payer, account.Watches); got != 0 {
			t.Errorf("mode %o: %v pays for %d watches when it is over", mode, payer, got)
		}
	}
}

// A directory that is given away is paid for by whom it has been given to.
func TestWhoIsGivenTheDirectoryWhereARootIsAwaitedPaysForIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give directories away")
	}
	dir := tempRoot(t)
	must(t, os.Chown(dir, 1001, 1001))
	must(t, os.Chmod(dir, 0o755))
	g := newRig(t, 50*time.Millisecond, true, filepath.Join(dir, "hub"))
	g.w.notify = newNotifier(fsys.Real{}, openNotify, newBook(), g.w.opts.Log)
	g.start()
	held := func(user account.User) int64 { return g.w.notify.accounts.Held(user, account.Watches) }
	g.awaitTrue("its owner pays", func() bool { return held(1001) == 1 })
	must(t, os.Chown(dir, 1002, 1002))
	g.awaitTrue("its new owner pays", func() bool { return held(1002) == 1 && held(1001) == 0 })
}

// What a user did in a directory of its own through which a pattern leads took the watches
// of all directories through which any does.
func TestANoisyDirectoryOnTheWayIsItsOwnersBusiness(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give directories away")
	}
	n := newNode(t, many)
	const wild, other, common, roots = 7, 8, 9, 10
	for i, uid := range map[int]int{wild: 1001, other: 1002, common: 1001} {
		must(t, os.Chown(n.volumes(i), uid, uid))
	}
	must(t, os.Chmod(n.volumes(common), 0o777)) // anybody makes events there
	polling(t, usual, n.pattern(), func(m *madeUp, _ *looks) {
		pass(2 * turns * usual)
		stir := func(i, events int) {
			for range events {
				m.events <- fsnotify.Event{Name: filepath.Join(n.volumes(i), "junk"), Op: fsnotify.Create}
			}
			pass(usual)
		}
		stir(common, stormOfOne)
		for range stormOfUser/stormOfOne + 1 {
			stir(wild, stormOfOne)
		}
		for i, watched := range map[int]bool{wild: false, other: true, common: true, roots: true} {
			if stir(i, 1); m.watches(n.volumes(i)) != watched {
				t.Errorf("directory %d is watched: %t, want %t", i, !watched, watched)
			}
		}
	})
}
