package watcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"progressd/fsys"
)

func setLimit(t *testing.T, name string, n int) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/user/"+name, []byte(fmt.Sprint(n)), 0o644); err != nil {
		t.Skipf("cannot set a limit in a namespace: %v", err)
	}
}

// manyRepos makes n repos with a trusted stamp and gives their names.
func manyRepos(t *testing.T, root string, n int) []string {
	t.Helper()
	var names []string
	for i := range n {
		name := fmt.Sprintf("models--many--m%d", i)
		mkdir(t, root, name, "blobs")
		age(t, root, name, "blobs")
		names = append(names, name)
	}
	age(t, root)
	return names
}

func faultE1(t *testing.T) {
	if !inNamespace(t, 0) {
		return
	}
	setLimit(t, "max_inotify_watches", 3)
	root := tempRoot(t)
	names := manyRepos(t, root, 6)
	g := newRig(t, soon, true, root)
	g.w.notify.rest = 200 * time.Millisecond
	g.start()
	g.awaitAll(-2, names...)
	g.awaitWatches(3)
	g.wantLogged("level=WARN", 1)
	g.wantLogged("fs.inotify.max_user_watches", 1)
	g.wantLogged("limit_of_namespace=3", 1)
	for _, name := range names {
		touch(t, root, name, "blobs", "x")
		g.awaitLook(name, 1)
	}
	setLimit(t, "max_inotify_watches", 100)
	g.awaitWatches(7)
	g.awaitTrue("said to be over", func() bool { return g.log.count("have room again") == 1 })
	g.wantLogged("level=WARN", 1)
}

func faultE2(t *testing.T) {
	if !inNamespace(t, 0) {
		return
	}
	setLimit(t, "max_inotify_instances", 0)
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, soon, true, root)
	g.w.notify.rest = 200 * time.Millisecond
	g.start()
	g.awaitLook("models--a--b", 0)
	touch(t, root, "models--a--b", "blobs", "x")
	g.awaitLook("models--a--b", 1)
	g.wantLogged("level=WARN", 1)
	g.wantLogged("fs.inotify.max_user_instances", 1)
	setLimit(t, "max_inotify_instances", 10)
	g.awaitWatches(2)
	g.awaitTrue("said to be over", func() bool { return g.log.count("have room again") == 1 })
}

// faultE3 keeps the events from being drained until the kernel drops some.
func faultE3(t *testing.T) {
	t.Parallel()
	if limit("max_queued_events") != "16384" {
		t.Skip("the queue of events has another length here")
	}
	root := tempRoot(t)
	names := manyRepos(t, root, 3)
	g := newRig(t, far, true, root).start()
	g.awaitWatches(4)
	g.awaitAll(-2, names...)
	n := g.w.notify
	n.mu.Lock()
	for i := range 16384/2 + 3000 { // a create and an attrib or delete each
		path := filepath.Join(root, names[0], "blobs", fmt.Sprint(i))
		must(t, os.WriteFile(path, nil, 0o644))
		must(t, os.Remove(path))
	}
	touch(t, root, names[1], "blobs", "x")
	mkdir(t, root, "models--after--it", "blobs")
	touch(t, root, "models--after--it", "blobs", "x")
	n.mu.Unlock()
	g.awaitAll(1, names[1], "models--after--it")
	g.wantLogged("level=WARN", 1)
	n.fault(fsnotify.ErrEventOverflow)
	n.fault(fsnotify.ErrEventOverflow)
	g.wantLogged("level=WARN", 1)
}

func faultE4(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	g := newRig(t, far, true, root).start()
	for i := range 1000 {
		dir := filepath.Join(root, fmt.Sprintf("models--a--m%d", i), "blobs")
		must(t, os.MkdirAll(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o644))
	}
	found := make(map[string]bool)
	for len(found) < 1000 {
		g.await(fmt.Sprintf("all; so far %d", len(found)), func(s seen) bool {
			if s.files == 1 {
				found[s.folder] = true
			}
			return true
		})
	}
}

func faultE5Renamed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(...string) *rig) {
		root := tempRoot(t)
		mkdir(t, root, "models--a--b", "blobs")
		g := rig(root).start()
		g.awaitLook("models--a--b", 0)
		if g.w.notify != nil {
			g.awaitWatches(2)
		}
		must(t, os.Rename(filepath.Join(root, "models--a--b"), filepath.Join(root, "models--c--d")))
		mkdir(t, root, "models--a--b", "blobs") // and another under the old name
		g.awaitLook("models--c--d", 0)
		if g.w.notify != nil {
			g.awaitWatches(3)
		}
		touch(t, root, "models--c--d", "blobs", "x")
		g.awaitLook("models--c--d", 1)
		touch(t, root, "models--a--b", "blobs", "x")
		g.awaitLook("models--a--b", 1)
	})
}

func faultE5Again(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(...string) *rig) {
		root := tempRoot(t)
		repo := filepath.Join(root, "models--a--b")
		mkdir(t, repo, "blobs")
		g := rig(root).start()
		for i := range 8 {
			touch(t, repo, "blobs", "x")
			g.awaitLook("models--a--b", 1)
			must(t, os.RemoveAll(repo))
			mkdir(t, repo, "blobs")
			for j := range i % 3 {
				touch(t, repo, "blobs", fmt.Sprint("y", j))
			}
			g.awaitLook("models--a--b", i%3)
			must(t, os.RemoveAll(repo))
			if i%2 == 0 {
				g.awaitLook("models--a--b", -1)
			}
			mkdir(t, repo, "blobs")
		}
	})
}

func faultE5Parent(t *testing.T) {
	t.Parallel()
	dir := tempRoot(t)
	root := filepath.Join(dir, "home", "hub")
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, soon, true, root).start()
	g.awaitChange(Found)
	g.awaitLook("models--a--b", 0)
	g.awaitWatches(2)
	must(t, os.Rename(filepath.Join(dir, "home"), filepath.Join(dir, "away")))
	g.awaitChange(Gone)
	must(t, os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "home")))
	g.awaitChange(Back)
	g.awaitWatches(2)
	touch(t, root, "models--a--b", "blobs", "x")
	g.awaitLook("models--a--b", 1)
}

// faultE5Silent takes watches away as an unmount does: nobody is told. The
// poll finds what they should have told, and renews them.
func faultE5Silent(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	names := manyRepos(t, root, 1)
	blobs := filepath.Join(root, names[0], "blobs")
	g := newRig(t, soon, true, root).start()
	g.awaitWatches(2)
	g.await("first look", func(seen) bool { return true })
	n := g.w.notify
	must(t, n.from.Remove(blobs))
	must(t, n.from.Remove(root))
	touch(t, blobs, "x")
	g.awaitLook(names[0], 1)
	mkdir(t, root, "models--new--one", "blobs")
	g.awaitLook("models--new--one", 0)
	g.awaitTrue("watched again", func() bool {
		list := strings.Join(watchList(n), "\n") + "\n"
		return strings.Contains(list, blobs+"\n") && strings.Contains(list, root+"\n")
	})
}

func faultE7(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	g := newRig(t, 300*time.Millisecond, true, root).start()
	end := time.Now().Add(2 * time.Second)
	for i := 0; time.Now().Before(end); i++ {
		repo := filepath.Join(root, fmt.Sprintf("models--a--m%d", i%50))
		other := filepath.Join(root, fmt.Sprintf("models--b--m%d", i%50))
		mkdir(t, repo, "blobs")
		touch(t, repo, "blobs", "x")
		must(t, os.Rename(filepath.Join(repo, "blobs"), filepath.Join(repo, "blobs2")))
		must(t, os.Rename(repo, other))
		must(t, os.RemoveAll(other))
	}
	mkdir(t, root, "models--at--last", "blobs")
	g.awaitLook("models--at--last", 0)
	g.awaitWatches(2) // the armer lives
	touch(t, root, "models--at--last", "blobs", "x")
	g.awaitLook("models--at--last", 1)
	if list := watchList(g.w.notify); len(list) != 2 {
		t.Errorf("%d watches are left: %q", len(list), list)
	}
}

func faultH4Storm(t *testing.T) {
	t.Parallel()
	calm, wild := tempRoot(t), tempRoot(t)
	mkdir(t, calm, "models--calm--one", "blobs")
	mkdir(t, wild, "models--wild--one", "blobs")
	g := newRig(t, 200*time.Millisecond, true, calm, wild)
	g.setPace("models--calm--one", Fast)
	g.start()
	g.awaitLook("models--wild--one", 0)
	g.awaitWatches(3)
	var looks [2]atomic.Int64
	g.mu.Lock()
	g.onLook = func(_ Root, folder string) {
		if folder == "models--calm--one" {
			looks[0].Add(1)
		} else {
			looks[1].Add(1)
		}
	}
	g.mu.Unlock()
	start, made, unwatched := time.Now(), 0, false
	for i := 0; time.Since(start) < time.Second; i++ {
		made++
		unwatched = unwatched || watchesOf(g, wild) < 2
		for _, dir := range []string{wild, filepath.Join(wild, "models--wild--one", "blobs")} {
			name := filepath.Join(dir, fmt.Sprint("junk", i%7))
			must(t, os.WriteFile(name, nil, 0o644))
			must(t, os.Remove(name))
		}
	}
	if !unwatched && made > 3*stormOfOne {
		t.Error("the storm is listened to all the time")
	}
	if n := looks[0].Load(); n < 5 {
		t.Errorf("the other root was looked at %d times in a second, want about 20", n)
	}
	if n := looks[1].Load(); n > int64(time.Since(start)/eventGap)+2 {
		t.Errorf("the stormy repo was looked at %d times in a second", n)
	}
	touch(t, wild, "models--wild--one", "blobs", "x")
	g.awaitLook("models--wild--one", 1)
	g.awaitTrue("watched again", func() bool { return watchesOf(g, wild) == 2 })
}

func watchesOf(g *rig, root string) int {
	for _, s := range g.w.Status() {
		if s.Path == root {
			return s.Watches
		}
	}
	return -1
}

// faultH4Root: names that are no repositories take no memory.
func faultH4Root(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	for i := range 500 {
		mkdir(t, root, fmt.Sprintf("junk%d", i))
	}
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, soon, true, root).start()
	g.awaitLook("models--a--b", 0)
	if s := g.w.Status()[0]; s.Repos != 1 {
		t.Errorf("status %+v", s)
	}
}

// crowd is a file system with very many repos in its one root.
type crowd struct {
	fsys.Real
	n    int
	next atomic.Int64 // to be listed
}

func (k *crowd) Openat(_ int, name string, flags int) (int, error) {
	if name == "." {
		k.next.Store(0)
	}
	return k.Real.Openat(unix.AT_FDCWD, "/", flags)
}

func (k *crowd) Fstatat(_ int, _ string, st *unix.Stat_t, _ int) error {
	*st = unix.Stat_t{Mode: unix.S_IFDIR, Dev: 1, Ino: 2}
	return nil
}

func (k *crowd) Getdents(_ int, buf []byte) (n int, err error) {
	for {
		j := k.next.Load()
		record := dirent(uint64(j)+1, fmt.Sprintf("models--organisation--some-model-name-%d", j))
		if j == int64(k.n) || n+len(record) > len(buf) {
			return n, nil
		}
		n += copy(buf[n:], record)
		k.next.Add(1)
	}
}

// dirent is a directory as getdents(2) tells of it.
func dirent(ino uint64, name string) []byte {
	const header = 19 // inode, offset, length, type
	buf := make([]byte, (header+len(name)+1+7)&^7)
	binary.NativeEndian.PutUint64(buf, ino)
	binary.NativeEndian.PutUint16(buf[16:], uint16(len(buf)))
	buf[18] = unix.DT_DIR
	copy(buf[header:], name)
	return buf
}

func faultH4Many(t *testing.T) {
	const n = 30_000
	g := newRig(t, far, false, "/crowd")
	g.w.opts.FS = &crowd{n: n}
	g.w.survey = func(string) survey {
		return survey{places: []place{{via: "/crowd", path: "/crowd", dev: 1, inode: 2, home: fsys.Identity{Inode: 2}}}}
	}
	first := make(chan struct{}, n)
	hold := make(chan struct{})
	g.onLook = func(Root, string) { first <- struct{}{}; <-hold }
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	g.start() // is ready although nothing was looked at yet
	<-first
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int64(after.HeapAlloc-before.HeapAlloc) / n; each > 500 {
		t.Errorf("a repo takes %d bytes", each)
	} else {
		t.Logf("a repo takes %d bytes", each)
	}
	g.stop()
	close(hold)
}

// firstListed gives the name with which a listing of dir begins.
func firstListed(t *testing.T, dir string) string {
	t.Helper()
	d, err := os.Open(dir)
	must(t, err)
	defer d.Close()
	names, err := d.Readdirnames(1)
	must(t, err)
	return names[0]
}

func faultP6(t *testing.T) {
	t.Parallel()
	root, other := tempRoot(t), tempRoot(t)
	names := manyRepos(t, root, 5)
	mkdir(t, other, "models--c--d", "blobs")
	g := newRig(t, soon, false, root, other) // no events: then looks come in the order of the listing
	var panics atomic.Int64
	bad := firstListed(t, root)
	g.onLook = func(_ Root, folder string) {
		if folder == bad {
			panics.Add(1)
			panic(errors.New("boom"))
		}
	}
	g.start()
	// Though it comes first in each life, the others have their looks.
	g.awaitAll(-2, slices.DeleteFunc(names, func(name string) bool { return name == bad })...)
	g.awaitTrue("it is tried again", func() bool { return panics.Load() > 2 })
	g.wantLogged("level=ERROR", 1)
	g.wantLogged("boom", 1)
	touch(t, other, "models--c--d", "blobs", "x")
	g.awaitLook("models--c--d", 1)
}

// watchList is what is watched.
func watchList(n *notifier) (dirs []string) {
	k := n.from.Watches.(*kernelWatches)
	for _, path := range k.WatchList() {
		if name, ok := k.name(path); ok {
			dirs = append(dirs, name)
		}
	}
	return dirs
}
