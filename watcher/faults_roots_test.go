package watcher

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// faulty is a kernel with faults at opening a root, by its path.
type faulty struct {
	fsys.Real
	mu   sync.Mutex
	open func(path string) error
}

func (k *faulty) Openat(at int, path string, flags int) (int, error) {
	k.mu.Lock()
	open := k.open
	k.mu.Unlock()
	if open != nil {
		if err := open(whole(at, path)); err != nil {
			return -1, err
		}
	}
	return k.Real.Openat(at, path, flags)
}

func (k *faulty) set(open func(string) error) {
	k.mu.Lock()
	k.open = open
	k.mu.Unlock()
}

// surely follows patterns without the faults of a test's kernel: those are about
// a root.
func surely(t *testing.T) func(pattern string) survey {
	t.Helper()
	return func(pattern string) survey { return newFinder(New(Options{}), pattern).resolve(t.Context()) }
}

func TestFaults(t *testing.T) {
	t.Run("R1 root missing at start", faultR1)
	t.Run("R2 disk mounted later", faultR2)
	t.Run("R3 unmount while watched", faultR3)
	t.Run("R4 root renamed away, a new one made", faultR4)
	t.Run("R5 root given twice", faultR5)
	t.Run("R5 bind mount", faultR5Bind)
	t.Run("R6 network file system", faultR6)
	t.Run("R7 errors of the file system", faultR7)
	t.Run("R7 errors of one repo", faultR7Repo)
	t.Run("R8 file system hangs", faultR8)
	t.Run("R8 pattern hangs", faultR8Pattern)
	t.Run("R9 without permission", faultR9)
	t.Run("R9 parent without permission", faultR9Parent)
	t.Run("E1 max_user_watches", faultE1)
	t.Run("E2 max_user_instances", faultE2)
	t.Run("E3 queue overflow", faultE3)
	t.Run("E4 mkdir -p with a file inside", faultE4)
	t.Run("E5 repo renamed", faultE5Renamed)
	t.Run("E5 repo made again", faultE5Again)
	t.Run("E5 parent renamed", faultE5Parent)
	t.Run("E5 watch lost without a word", faultE5Silent)
	t.Run("E7 renamed and deleted in a loop", faultE7)
	t.Run("H4 storm of events", faultH4Storm)
	t.Run("H4 very many repos", faultH4Many)
	t.Run("H4 a root full of events that are not ours", faultH4Root)
	t.Run("P6 panic in a look", faultP6)
}

func faultR1(t *testing.T) {
	t.Parallel()
	root := filepath.Join(tempRoot(t), "a", "b", "c", "hub")
	g := newRig(t, soon, false, root).start()
	mkdir(t, root, "models--a--b", "blobs")
	g.awaitChange(Found)
	g.awaitLook("models--a--b", 0)
}

func mountTmpfs(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a tmpfs in a namespace: %v", err)
	}
}

func faultR2(t *testing.T) {
	if !inNamespace(t, 0) {
		return
	}
	root := tempRoot(t)
	mkdir(t, root, "models--empty--dir", "blobs")
	g := newRig(t, soon, true, root).start()
	g.awaitChange(Found)
	g.awaitLook("models--empty--dir", 0)
	g.awaitWatches(2)
	before := time.Now()
	mountTmpfs(t, root)
	mkdir(t, root, "models--on--disk", "blobs")
	g.awaitChange(Gone)
	if c := g.awaitChange(Back); c.Root.Since.Before(before.Add(-time.Second)) {
		t.Errorf("Since is %v, the mount came at %v", c.Root.Since, before)
	}
	g.await("no word of the hidden repo", func(s seen) bool {
		if s.folder == "models--empty--dir" && s.files == -1 {
			t.Error("a repo that is hidden by a mount counts as deleted")
		}
		return s.folder == "models--on--disk"
	})
	g.awaitWatches(2)
	touch(t, root, "models--on--disk", "blobs", "x")
	g.awaitLook("models--on--disk", 1)
	g.stop()
	must(t, unix.Unmount(root, 0))
}

func faultR3(t *testing.T) {
	if !inNamespace(t, 0) {
		return
	}
	dir := tempRoot(t)
	mountTmpfs(t, dir)
	root := filepath.Join(dir, "hub")
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, soon, true, root).start()
	g.awaitChange(Found)
	g.awaitLook("models--a--b", 0)
	g.awaitWatches(2)
	g.awaitTrue("umount succeeds", func() bool { return unix.Unmount(dir, 0) == nil })
	g.awaitChange(Gone)
	if g.lookWithin(3*soon, func(s seen) bool { return s.files == -1 }) {
		t.Error("a repo that was unmounted counts as deleted")
	}
	mountTmpfs(t, dir)
	mkdir(t, root, "models--c--d", "blobs")
	g.awaitChange(Back)
	g.awaitLook("models--c--d", 0)
	g.stop()
	must(t, unix.Unmount(dir, 0))
}

func faultR4(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(...string) *rig) {
		dir := tempRoot(t)
		root := filepath.Join(dir, "hub")
		mkdir(t, root, "models--a--old", "blobs")
		g := rig(root).start()
		g.awaitChange(Found)
		g.awaitLook("models--a--old", 0)
		if g.w.notify != nil {
			g.awaitWatches(2)
		}
		must(t, os.Rename(root, filepath.Join(dir, "away")))
		mkdir(t, root, "models--a--new", "blobs")
		g.awaitChange(Gone)
		g.awaitChange(Back)
		g.awaitLook("models--a--new", 0)
		touch(t, dir, "away", "models--a--old", "blobs", "x")
		if g.lookWithin(5*soon, func(s seen) bool { return s.folder == "models--a--old" }) {
			t.Error("the root that went away is still looked at")
		}
	})
}

func faultR5(t *testing.T) {
	t.Parallel()
	dir := tempRoot(t)
	root := mkdir(t, dir, "hub")
	inner := mkdir(t, root, "models--a--b", "inner")
	mkdir(t, inner, "models--c--d", "blobs")
	must(t, os.Symlink(root, filepath.Join(dir, "link")))
	g := newRig(t, soon, true, filepath.Join(dir, "h*"), root, filepath.Join(dir, "link"), root, inner).start()
	st := g.w.Status()
	if len(st) != 2 || st[0].Path != root || st[1].Path != inner {
		t.Errorf("status %+v", st)
	}
	g.awaitLook("models--c--d", 0)
	g.wantLogged("watched once", 2) // root, link; silent about the very same twice
}

func faultR5Bind(t *testing.T) {
	if !inNamespace(t, 0) {
		return
	}
	dir := tempRoot(t)
	root, bound := mkdir(t, dir, "hub"), mkdir(t, dir, "bound")
	mkdir(t, root, "models--a--b", "blobs")
	if err := unix.Mount(root, bound, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cannot bind in a namespace: %v", err)
	}
	g := newRig(t, soon, true, root, bound).start()
	if st := g.w.Status(); len(st) != 1 || st[0].Path != root {
		t.Errorf("status %+v", st)
	}
	g.wantLogged("watched once", 1)
	must(t, unix.Unmount(bound, 0))
}

func faultR6(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, soon, true, root)
	g.w.opts.FS = network{}
	g.start()
	g.awaitLook("models--a--b", 0)
	touch(t, root, "models--a--b", "blobs", "x")
	g.awaitLook("models--a--b", 1)
	mkdir(t, root, "models--new--one", "blobs")
	g.awaitLook("models--new--one", 0)
	if s := g.w.Status()[0]; s.Watches != 0 || !s.Polled || s.Remote != "fuse" {
		t.Errorf("status %+v", s)
	}
	g.wantLogged("no events on fuse", 1)
}

func faultR7(t *testing.T) {
	t.Parallel()
	for _, no := range []syscall.Errno{syscall.ESTALE, syscall.EIO, syscall.ENOTCONN, syscall.ETIMEDOUT} {
		t.Run(no.Error(), func(t *testing.T) {
			t.Parallel()
			bad, good := tempRoot(t), tempRoot(t)
			mkdir(t, bad, "models--a--b", "blobs")
			mkdir(t, good, "models--c--d", "blobs")
			f := &faulty{}
			g := newRig(t, soon, false, bad, good)
			g.w.opts.FS = f
			g.start()
			g.awaitChange(Found)
			g.awaitChange(Found)
			g.awaitLook("models--a--b", 0)
			f.set(func(path string) error {
				if path == bad {
					return no
				}
				return nil
			})
			if c := g.awaitChange(Failing); !errors.Is(c.Err, no) || c.Root.Path != bad {
				t.Errorf("failing: %+v", c)
			}
			touch(t, good, "models--c--d", "blobs", "x")
			g.awaitLook("models--c--d", 1)
			g.awaitTrue("in the status", func() bool {
				for _, s := range g.w.Status() {
					if errors.Is(s.Failing, no) && s.Path == bad {
						return true
					}
				}
				return false
			})
			touch(t, bad, "models--a--b", "blobs", "x")
			f.set(nil)
			g.awaitChange(Recovered)
			g.awaitLook("models--a--b", 1)
			g.wantLogged("level=WARN", 1)
		})
	}
}

func faultR7Repo(t *testing.T) {
	if !inNamespace(t, 1000) {
		return
	}
	root := tempRoot(t)
	mkdir(t, root, "models--good--one", "blobs")
	mkdir(t, root, "models--shut--one", "blobs")
	mkdir(t, root, "models--shut--two", "blobs")
	for _, name := range []string{"models--shut--one", "models--shut--two"} {
		must(t, os.Chmod(filepath.Join(root, name), 0))
		t.Cleanup(func() { os.Chmod(filepath.Join(root, name), 0o755) })
	}
	g := newRig(t, soon, true, root).start()
	g.awaitLook("models--shut--one", 0)
	g.awaitLook("models--shut--one", 0) // and again
	touch(t, root, "models--good--one", "blobs", "x")
	g.awaitLook("models--good--one", 1)
	g.wantLogged("level=WARN", 1)
	must(t, os.Chmod(filepath.Join(root, "models--shut--two"), 0o755))
	touch(t, root, "models--shut--two", "blobs", "x")
	g.awaitLook("models--shut--two", 1)
}

func faultR8(t *testing.T) {
	t.Parallel()
	bad, good := tempRoot(t), tempRoot(t)
	mkdir(t, bad, "models--a--b", "blobs")
	mkdir(t, good, "models--c--d", "blobs")
	f, hang, hung := &faulty{}, make(chan struct{}), make(chan struct{}, 1)
	g := newRig(t, soon, true, bad, good)
	g.w.survey = surely(t)
	g.w.opts.FS = f
	g.start()
	g.awaitLook("models--a--b", 0)
	f.set(func(path string) error {
		if path == bad {
			select {
			case hung <- struct{}{}:
			default:
			}
			<-hang
		}
		return nil
	})
	<-hung
	since := time.Now()
	touch(t, good, "models--c--d", "blobs", "x")
	g.awaitLook("models--c--d", 1)
	g.awaitTrue("it stands still", func() bool {
		for _, s := range g.w.Status() {
			if s.Path == bad && !s.BusySince.IsZero() && time.Since(s.BusySince) > 3*soon {
				return !s.BusySince.After(since)
			}
		}
		return false
	})
	start := time.Now()
	g.stop()
	if d := time.Since(start); d > stopPatience+time.Second {
		t.Errorf("stopping took %v", d)
	}
	close(hang)
}

func faultR8Pattern(t *testing.T) {
	t.Parallel()
	good := tempRoot(t)
	mkdir(t, good, "models--c--d", "blobs")
	hanging := &hanging{}
	hanging.at("/hangs", true)
	g := newRig(t, soon, true, "/hangs/*/hub", good)
	g.w.opts.FS = hanging
	g.start()
	g.awaitLook("models--c--d", 0)
	g.awaitTrue("it stands still", func() bool {
		s := g.w.Status()[0]
		return s.Path == "/hangs" && s.Pattern == "/hangs/*/hub" && !s.BusySince.IsZero()
	})
	hanging.at("/hangs", false)
}

func faultR9(t *testing.T) {
	if !inNamespace(t, 1000) {
		return
	}
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	must(t, os.Chmod(root, 0))
	defer os.Chmod(root, 0o755)
	g := newRig(t, soon, true, root).start() // ready all the same
	g.awaitChange(Found)
	if c := g.awaitChange(Failing); !errors.Is(c.Err, syscall.EACCES) {
		t.Errorf("failing: %v", c.Err)
	}
	must(t, os.Chmod(root, 0o755))
	g.awaitChange(Recovered)
	g.awaitLook("models--a--b", 0)
	g.wantLogged("level=WARN", 1)
	g.awaitWatches(2)
}

func faultR9Parent(t *testing.T) {
	if !inNamespace(t, 1000) {
		return
	}
	dir := tempRoot(t)
	home := mkdir(t, dir, "home", "user")
	mkdir(t, home, "hub", "models--a--b", "blobs")
	must(t, os.Chmod(home, 0))
	defer os.Chmod(home, 0o755)
	g := newRig(t, soon, true, filepath.Join(dir, "home", "*", "hub")).start()
	g.wantLogged("level=WARN", 1)
	must(t, os.Chmod(home, 0o755))
	if c := g.awaitChange(Found); !c.Root.Since.IsZero() {
		t.Errorf("a root that could not be seen has Since %v", c.Root.Since)
	}
	g.awaitLook("models--a--b", 0)
	must(t, os.Chmod(home, 0))
	g.awaitChange(Failing)
	g.awaitTrue("each episode is said", func() bool { return g.log.count("cannot look for a cache") == 2 })
	must(t, os.Chmod(home, 0o755))
	g.awaitChange(Recovered)
}
