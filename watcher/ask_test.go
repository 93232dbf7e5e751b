package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"progressd/account"

	"golang.org/x/sys/unix"
)

func TestAskedForALook(t *testing.T) {
	root := t.TempDir()
	mkdir(t, root, "models--a--known/blobs")
	g := newRig(t, far, false, root).start()
	g.awaitLook("models--a--known", 0)

	t.Run("a repository is looked at", func(t *testing.T) {
		if !g.w.Ask(root, "models--a--known") {
			t.Fatal("not taken")
		}
		g.awaitLook("models--a--known", 0)
	})
	t.Run("also one that isn't there, each time", func(t *testing.T) {
		for range 3 {
			g.w.Ask(root, "models--a--none")
			g.awaitLook("models--a--none", -1)
		}
		if n := g.w.Status()[0].Repos; n != 1 {
			t.Errorf("%d repositories are kept", n)
		}
	})
	t.Run("and one that has come without a word", func(t *testing.T) {
		mkdir(t, root, "models--a--new/blobs")
		g.w.Ask(root, "models--a--new")
		g.awaitLook("models--a--new", 0)
	})
	t.Run("but nothing else", func(t *testing.T) {
		if g.w.Ask(root, "../etc") || g.w.Ask(filepath.Dir(root), "models--a--known") {
			t.Error("taken")
		}
	})
}

func TestTooManyWhoAskAreRefused(t *testing.T) {
	box := newMailbox(account.Unknown)
	for i := range maxAsked {
		if !box.ask(fmt.Sprint(i)) {
			t.Fatalf("number %d is refused", i)
		}
	}
	if box.ask("one more") || !box.ask("0") {
		t.Error("the bound isn't kept")
	}
}

func TestStatusSaysWhoseARootIs(t *testing.T) {
	root := t.TempDir()
	g := newRig(t, soon, false, root).start()
	var st unix.Stat_t
	must(t, unix.Stat(root, &st))
	g.awaitTrue("whose it is", func() bool {
		r := g.w.Status()[0]
		return r.Owner == os.Getuid() && r.Inode == st.Ino && r.Dev == st.Dev
	})
}
