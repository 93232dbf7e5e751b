package watcher

import (
	"fmt"
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
		wild, other, victim := &repo{box: newInbox(1001)}, &repo{box: newInbox(1001)}, &repo{box: newInbox(1002)}
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
			n.storms.counts(&repo{box: other.box})
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

// Where a root is waited for, whoever may write there made events that nobody counted.
func TestADirectoryInWhichARootIsAwaitedIsPolled(t *testing.T) {
	dir := tempRoot(t)
	g := newRig(t, far, true, filepath.Join(dir, "hub"))
	g.w.notify = newNotifier(fsys.Real{}, openNotify, newBook(), g.w.opts.Log)
	g.start()
	awaited := func() bool {
		g.w.notify.mu.Lock()
		defer g.w.notify.mu.Unlock()
		return len(g.w.notify.beneath[dir]) > 0
	}
	g.awaitTrue("its coming is watched for", awaited)
	for i := range stormOfUser + 1 {
		g.w.notify.route(fsnotify.Event{Name: filepath.Join(dir, fmt.Sprint("junk", i)), Op: fsnotify.Create})
	}
	g.awaitTrue("it is polled", func() bool { return !awaited() })
	if !g.w.notify.hears(1001) {
		t.Error("a user pays for it")
	}
}
