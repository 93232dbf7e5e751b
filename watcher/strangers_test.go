package watcher

import (
	"os"
	"testing"

	"progressd/account"
)

// The bound of a tenth of a core was each repository's: one user with many took a
// core. Who has spent too much waits, and nobody else.
func TestTheRootsOfWhoSpendsTooMuchRest(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	mine, theirs := tempRoot(t), tempRoot(t)
	must(t, os.Chown(theirs, 1001, 1001))
	mkdir(t, mine, "models--a--b", "blobs")
	mkdir(t, theirs, "models--c--d", "blobs")
	limit := account.Looks.Limit()
	overspent := limit.Burst + limit.Rate // a second's worth
	g := newRig(t, soon, true, mine, theirs)
	book := newBook()
	g.w.opts.Accounts = book
	g.start()
	g.awaitAll(0, "models--a--b", "models--c--d")
	book.Spend(1001, account.Looks, overspent)
	touch(t, theirs, "models--c--d", "blobs", "x")
	for n, name := range []string{"x", "y", "z"} {
		touch(t, mine, "models--a--b", "blobs", name)
		g.await(name, func(s seen) bool {
			if s.folder == "models--c--d" && s.files > 0 {
				t.Error("it is looked at all the same")
			}
			return s.folder == "models--a--b" && s.files == n+1
		})
	}
	g.awaitLook("models--c--d", 1)
}
