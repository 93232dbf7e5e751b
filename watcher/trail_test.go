package watcher

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/fsys"
)

// counting is a kernel that counts what it is asked.
type counting struct {
	fsys.Real
	calls atomic.Int64
	// waits holds up who asks about a path; nil: nobody.
	waits atomic.Pointer[func(path string)]
}

func (c *counting) Openat(at int, name string, flags int) (int, error) {
	c.calls.Add(1)
	return c.Real.Openat(at, name, flags)
}

func (c *counting) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	c.calls.Add(1)
	if waits := c.waits.Load(); waits != nil {
		(*waits)(name)
	}
	return c.Real.Fstatat(at, name, st, flags)
}

// Where nothing has changed a pattern costs one call a directory and a place; what
// has is found all the same.
func TestAWayThatHasNotChangedIsNotGoneAgain(t *testing.T) {
	t.Parallel()
	base, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	hub := func(pod string) string { return filepath.Join(base, "pods", pod, "volumes", "cache", "hub") }
	old := time.Now().Add(-time.Hour)
	for _, pod := range []string{"a", "b", "c"} {
		must(t, os.MkdirAll(hub(pod), 0o755))
		must(t, os.Chtimes(filepath.Join(base, "pods", pod, "volumes"), old, old))
	}
	must(t, os.Chtimes(filepath.Join(base, "pods"), old, old))
	kernel := &counting{}
	f := newFinder(New(Options{FS: kernel}), filepath.Join(base, "pods/*/volumes/*/hub"))
	survey := func() (found []string, calls int64) {
		before := kernel.calls.Load()
		for _, p := range f.resolve(t.Context()).places {
			found = append(found, p.path)
		}
		return found, kernel.calls.Load() - before
	}
	expect := func(what string, want ...string) (calls int64) {
		t.Helper()
		if again := strings.Contains(what, "again"); !again && f.asBefore(t.Context()) {
			t.Errorf("%s: it is taken for what was there before", what)
		}
		found, calls := survey()
		if slices.Sort(found); !slices.Equal(found, want) {
			t.Errorf("%s: found %q, want %q", what, found, want)
		}
		return calls
	}
	expect("at first", hub("a"), hub("b"), hub("c"))
	if calls := expect("again", hub("a"), hub("b"), hub("c")); calls != 1+3+3 {
		t.Errorf("%d calls, for 4 directories and 3 places", calls)
	}
	before := kernel.calls.Load()
	if !f.asBefore(t.Context()) || kernel.calls.Load()-before != 1+3+3 {
		t.Errorf("nothing has changed, and that is not seen, or not by %d calls", kernel.calls.Load()-before)
	}
	must(t, os.MkdirAll(hub("d"), 0o755))
	expect("one more", hub("a"), hub("b"), hub("c"), hub("d"))
	must(t, os.Rename(filepath.Join(base, "pods/b"), filepath.Join(base, "b")))
	expect("one less", hub("a"), hub("c"), hub("d"))

	// Another directory in a place is found to be another, and so is who owns it.
	must(t, os.Rename(hub("a"), hub("a")+".old"))
	must(t, os.Mkdir(hub("a"), 0o755))
	was := f.trail.places[hub("a")]
	expect("another", hub("a"), hub("c"), hub("d"))
	if is := f.trail.places[hub("a")]; is.inode == was.inode || is.home.Same(was.home) {
		t.Errorf("it is taken for the one before: %+v", is)
	}
	if os.Getuid() == 0 {
		must(t, os.Chown(hub("a"), 4242, 4242))
		expect("another's", hub("a"), hub("c"), hub("d"))
		if is := f.trail.places[hub("a")]; is.owner != 4242 {
			t.Errorf("it is taken for the former owner's: %+v", is)
		}
	}

	// A link on the way is followed each time, since it depends on whose it is. That one
	// has come is seen within a minute.
	must(t, os.Rename(filepath.Join(base, "pods/c"), filepath.Join(base, "c")))
	must(t, os.Symlink(filepath.Join(base, "c"), filepath.Join(base, "pods/c")))
	f.trail.began = time.Now().Add(-trailAge)
	linked := filepath.Join(base, "c/volumes/cache/hub")
	expect("by a link", linked, hub("a"), hub("d"))
	first := expect("by a link, again", linked, hub("a"), hub("d"))
	if second := expect("by a link again, once more", linked, hub("a"), hub("d")); second != first || second <= 1+3+3 {
		t.Errorf("%d calls, then %d: as if there were no link", first, second)
	}
}

// A root that was lost, and is back at the next poll, was lost for a minute: its
// finder was woken when the poll was due, and saw that all was as before.
func TestWhoIsWokenWhenThePollIsDueGoesTheWholeWay(t *testing.T) {
	for _, due := range []time.Duration{-time.Second, 0, far} {
		f := &finder{box: newMailbox(account.Unknown), trail: trail{began: time.Now()}}
		f.box.rouse()
		if !f.pause(t.Context(), due) || !f.trail.began.IsZero() {
			t.Errorf("with a poll due in %v it goes by what it has found", due)
		}
	}
	f := &finder{box: newMailbox(account.Unknown), trail: trail{began: time.Now()}}
	if !f.pause(t.Context(), 0) || f.trail.began.IsZero() {
		t.Error("nothing has happened, and it goes the whole way")
	}
}
