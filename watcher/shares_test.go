package watcher

import (
	"testing"

	"progressd/account"
	"progressd/fsys"
)

// One user with as many repositories as the kernel lets be watched left nothing for
// others.
func TestWatchesAreSharedByUsers(t *testing.T) {
	n := newNotifier(fsys.Real{}, openNotify, newBook(), quietLog())
	n.accounts.Has(account.Watches, 160)
	takes := func(owner account.User) (taken int) {
		box := newMailbox(owner)
		for n.interested(request{repo: &repo{mailbox: box}, dir: "/d", key: "/d"}) {
			taken++
		}
		return taken
	}
	if got := takes(1001); got != 140 {
		t.Errorf("the first user watches %d of 160", got)
	}
	if got := takes(1002); got != 17 {
		t.Errorf("the second user watches %d of the last 20", got)
	}
	if got := takes(1003); got != 2 {
		t.Errorf("the third user watches %d of the last 3", got)
	}
	n.giveBack()
	if n.accounts.Held(1001, account.Watches) > 0 {
		t.Error("the next watcher finds watches of this one")
	}
	n.accounts.Has(account.Watches, 0)
	for range 1000 {
		if !n.accounts.Take(1001, account.Watches, 1) {
			t.Fatal("refused, though the limit isn't known")
		}
	}
}
