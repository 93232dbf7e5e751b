package watcher

import (
	"os"
	"sync/atomic"
	"testing"
	"time"
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
	var overspent atomic.Bool
	g := newRig(t, soon, true, mine, theirs)
	g.w.opts.Rest = func(owner int) time.Duration {
		if owner == 1001 && overspent.Load() {
			return 5 * soon
		}
		return 0
	}
	g.start()
	g.awaitAll(0, "models--a--b", "models--c--d")
	overspent.Store(true)
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
	overspent.Store(false)
	g.awaitLook("models--c--d", 1)
}
