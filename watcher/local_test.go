package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newLocalRig is a rig in which every directory that isn't hidden may be
// filled by a client.
func newLocalRig(t *testing.T, events bool, roots ...string) *rig {
	t.Helper()
	poll := soon
	if events {
		poll = far
	}
	g := newRig(t, poll, events, roots...)
	g.w.opts.IsLocal = func(rel string) bool {
		return rel == "." || !strings.HasPrefix(rel, ".") && !strings.Contains(rel, "/.") && !isRepo(rel)
	}
	return g
}

const stage = ".cache/huggingface/download"

func TestLocalDirectoriesAreFoundByPoll(t *testing.T) {
	t.Parallel()
	for _, rel := range []string{".", "llama", "org/llama"} {
		root := tempRoot(t)
		mkdir(t, root, "org")
		g := newLocalRig(t, false, root).start()
		mkdir(t, root, rel, stage)
		g.awaitLook(rel, 0)
		// At rest, until something comes.
		age(t, root, rel, stage)
		g.awaitTrue("at rest", func() bool {
			return !g.lookWithin(5*soon, func(s seen) bool { return s.folder == rel })
		})
		touch(t, root, rel, stage, "a.lock")
		g.awaitLook(rel, 0)
	}
}

// Nothing but the stage tells of a partial, so it is watched as soon as it is
// there; no other directory is.
func TestLocalDirectoriesAreFoundByEvents(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "busy", "writer")
	g := newLocalRig(t, true, root).start()
	g.awaitWatches(1)
	mkdir(t, root, "org", "llama")
	g.awaitLook("org/llama", 0)
	mkdir(t, root, "org", "llama", filepath.Dir(stage))
	g.awaitWatches(2)
	mkdir(t, root, "org", "llama", stage)
	g.awaitTrue("the stage is watched", func() bool {
		g.drainLooks()
		touch(t, root, "org", "llama", stage, "a.lock")
		return g.lookWithin(soon*5, func(s seen) bool { return s.folder == "org/llama" })
	})
	g.awaitWatches(2)
	must(t, os.RemoveAll(filepath.Join(root, "org")))
	g.await("gone", func(s seen) bool { return s.folder == "org/llama" && s.files < 0 })
	g.awaitWatches(1)
}

// drainLooks forgets the looks that have come.
func (g *rig) drainLooks() {
	for {
		select {
		case <-g.looks:
		default:
			return
		}
	}
}

func TestARootThatIsFilledItselfIsWatchedInItsStage(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, stage)
	age(t, root, stage)
	g := newLocalRig(t, true, root).start()
	g.awaitWatches(2)
	g.awaitLook(".", 0)
	g.drainLooks()
	touch(t, root, stage, "a.lock")
	g.awaitLook(".", 0)
}

func TestNoLocalDirectoryIsReachedByALink(t *testing.T) {
	t.Parallel()
	root, outside := tempRoot(t), tempRoot(t)
	mkdir(t, outside, "huggingface", "download")
	mkdir(t, outside, "download")
	mkdir(t, root, "a")
	must(t, os.Symlink(outside, filepath.Join(root, "a", ".cache")))
	mkdir(t, root, "b", ".cache")
	must(t, os.Symlink(outside, filepath.Join(root, "b", ".cache", "huggingface")))
	must(t, os.Symlink(outside, filepath.Join(root, "c")))
	g := newLocalRig(t, true, root).start()
	g.awaitAll(0, ".", "a", "b")
	g.awaitWatches(1)
	if g.lookWithin(soon, func(s seen) bool { return strings.HasPrefix(s.folder, "c") }) {
		t.Error("a link is looked at")
	}
}

func TestTwoRootsShareNoLocalDirectory(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "models", "llama", stage)
	g := newLocalRig(t, false, filepath.Join(root, "models"), root).start()
	g.awaitLook("llama", 0)
	for range 10 {
		g.await("any", func(s seen) bool {
			if s.root == root && s.folder != "." {
				t.Fatalf("%+v", s)
			}
			return true
		})
	}
}

func TestLocalDirectoriesAreBounded(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	for i := range maxLocals + 20 {
		mkdir(t, root, fmt.Sprintf("d%04d", i))
	}
	g := newLocalRig(t, false, root).start()
	g.awaitLook(".", 0)
	g.awaitTrue("that is said", func() bool { return g.log.count("more directories than are checked") == 1 })
	g.awaitTrue("they are", func() bool { return g.w.Status()[0].Repos == maxLocals })
}
