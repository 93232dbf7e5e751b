package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// kernelNotify are notifications of this machine's kernel, for a test.
func kernelNotify(t *testing.T) (*Notifications, *kernelWatches) {
	t.Helper()
	n, err := openNotify()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, n.Close()) })
	return n, n.Watches.(*kernelWatches)
}

func watchOpen(t *testing.T, k *kernelWatches, path string) {
	t.Helper()
	d, err := fsys.OpenUnlinked(fsys.Real{}, path)
	must(t, err)
	defer d.Close()
	must(t, k.AddOpen(d, path))
}

// nextEvent is the next that isn't to be ignored.
func nextEvent(t *testing.T, n *Notifications) fsnotify.Event {
	t.Helper()
	for {
		select {
		case e := <-n.Events:
			if name, ok := n.Name(e.Name); ok {
				e.Name = name
				return e
			}
		case <-time.After(patience):
			t.Fatal("no event came")
		}
	}
}

func TestEventsHaveTheNamesOfTheirDirectories(t *testing.T) {
	n, k := kernelNotify(t)
	root := tempRoot(t)
	a, b := mkdir(t, root, "a"), mkdir(t, root, "b")
	before := openDescriptors(t)
	watchOpen(t, k, a)
	watchOpen(t, k, b)
	watchOpen(t, k, a) // once more, as when two have an interest in it
	if after := openDescriptors(t); !slices.Equal(before, after) {
		t.Errorf("open: %v, before %v", after, before)
	}
	touch(t, a, "x")
	if e := nextEvent(t, n); e.Name != a+"/x" || !e.Has(fsnotify.Create) {
		t.Errorf("got %v", e)
	}
	touch(t, b, "y")
	if e := nextEvent(t, n); e.Name != b+"/y" {
		t.Errorf("got %v", e)
	}
	must(t, k.Remove(a))
	touch(t, a, "z")
	must(t, os.RemoveAll(b))
	for {
		e := nextEvent(t, n)
		if strings.HasPrefix(e.Name, a) {
			t.Errorf("of a watch that was removed: %v", e)
		}
		if e.Name == b && e.Has(fsnotify.Remove) {
			break
		}
	}
}

// openDescriptors are those of this process beneath the temporary directory.
func openDescriptors(t *testing.T) (open []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, os.TempDir()) {
			open = append(open, to)
		}
	}
	return open
}

// No two watches have one number, numbers rest, and their number is bounded.
func TestNumbersOfWatchesAreTakenAgain(t *testing.T) {
	_, k := kernelNotify(t)
	root := tempRoot(t)
	stays := mkdir(t, root, "stays")
	watchOpen(t, k, stays)
	number := k.numbers[stays]
	for i := range 3 * restingNumbers {
		dir := filepath.Join(root, fmt.Sprint(i%7))
		_ = os.Mkdir(dir, 0o755)
		watchOpen(t, k, dir)
		if k.numbers[dir] == number {
			t.Fatal("two watches have one number")
		}
		must(t, k.Remove(dir))
	}
	if k.numbers[stays] != number || k.names[number] != stays || k.next > firstNumber+restingNumbers+10 || len(k.names) != 1 {
		t.Errorf("number %d of %d, next %d, %d names", k.numbers[stays], number, k.next, len(k.names))
	}
}

// blobs/ was exchanged with a link to another user's directory, 300 times a
// second: some time the watch was on that, and stayed there.
func TestNoWatchIsArmedThroughALink(t *testing.T) {
	base := tempRoot(t)
	secret := mkdir(t, base, "secret")
	hub := mkdir(t, base, "hub")
	repo := filepath.Join(hub, "models--a--b")
	blobs := mkdir(t, repo, "blobs")
	must(t, os.Symlink(secret, filepath.Join(repo, "link")))
	var st unix.Stat_t
	must(t, unix.Stat(hub, &st))
	root := &Root{Path: hub, Dev: st.Dev, Inode: st.Ino}
	n, _ := kernelNotify(t)
	notify := newNotifier(fsys.Real{}, func() (*Notifications, error) { return n, nil }, nil, quietLog())
	notify.from = n
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, blobs, unix.AT_FDCWD, filepath.Join(repo, "link"), unix.RENAME_EXCHANGE)
			}
		}
	}()
	armed := 0
	for range 3000 {
		if notify.add(request{dir: blobs, root: root}) == nil {
			armed++
		}
	}
	close(stop)
	<-ended
	if armed == 0 {
		t.Skip("no watch was armed: this proves nothing")
	}
	must(t, unix.Stat(secret, &st))
	for _, info := range inotifyInfo(t) {
		if strings.Contains(info, fmt.Sprintf(" ino:%x ", st.Ino)) {
			t.Errorf("after %d: the other's directory is watched: %s", armed, info)
		}
	}
}

// inotifyInfo are the lines that the kernel has about this process's watches.
func inotifyInfo(t *testing.T) (lines []string) {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	must(t, err)
	for _, path := range infos {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // closed meanwhile
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "inotify ") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func TestAWatchIsOfTheRootThatWasMeant(t *testing.T) {
	hub := mkdir(t, tempRoot(t), "hub")
	var st unix.Stat_t
	must(t, unix.Stat(hub, &st))
	root := &Root{Path: hub, Dev: st.Dev, Inode: st.Ino}
	d, err := request{dir: hub, root: root}.open(fsys.Real{})
	must(t, err)
	d.Close()
	root.Inode++
	for _, dir := range []string{hub, hub + "/x"} {
		if _, err := (request{dir: dir, root: root}).open(fsys.Real{}); err == nil {
			t.Errorf("%s of another directory is watched", dir)
		}
	}
}
