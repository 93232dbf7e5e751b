package watcher

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// madeUp are notifications that a test makes.
type madeUp struct {
	events chan fsnotify.Event
	errors chan error
	mu     sync.Mutex
	dirs   []string
	// added counts what was asked to be watched.
	added atomic.Int64
}

func (m *madeUp) Add(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirs = append(m.dirs, dir)
	m.added.Add(1)
	return nil
}

func (m *madeUp) Remove(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirs = slices.DeleteFunc(m.dirs, func(d string) bool { return d == dir })
	return nil
}

func (m *madeUp) Close() error {
	close(m.events)
	close(m.errors)
	return nil
}

func (m *madeUp) watched() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(slices.Values(m.dirs))
}

// looks counts the looks at each folder.
type looks struct {
	mu sync.Mutex
	n  map[string]int
	// stirred are the folders for which something moves in the root itself.
	stirred []string
	// came is since when folders are known not to have been there.
	came map[string]time.Time
	// kernel counts what is asked of it.
	kernel counting
	roots  sync.Map // by path
}

func (l *looks) Came(folder string, absent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came[folder] = absent
}

func (l *looks) Stirred(context.Context) ([]string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stirred, len(l.stirred) > 0
}

func (l *looks) Look(_ context.Context, folder string, _ func() time.Duration) Pace {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n[folder]++
	return Idle
}

func (l *looks) take() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.n
	l.n = make(map[string]int)
	return n
}

// pass lets time go by, and all be done that is due.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// virtual runs a watcher that polls once an hour, in time of its own.
func virtual(t *testing.T, root string, test func(m *madeUp, l *looks)) {
	t.Helper()
	polling(t, time.Hour, root, test)
}

// polling runs a watcher with that poll interval, in time of its own.
func polling(t *testing.T, poll time.Duration, root string, test func(m *madeUp, l *looks)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &madeUp{events: make(chan fsnotify.Event), errors: make(chan error)}
		l, used := &looks{n: make(map[string]int), came: make(map[string]time.Time)}, new(atomic.Int64)
		w := New(Options{
			FS: &l.kernel, Roots: []string{root}, Poll: poll, Active: time.Second, Steady: 2 * time.Second, Notify: true,
			OpenNotify: func() (*Notifications, error) {
				return &Notifications{Watches: m, Events: m.events, Errors: m.errors}, nil
			},
			ProcessorTime: func() time.Duration { return time.Duration(used.Add(int64(time.Millisecond))) },
			IsRepo:        isRepo, IsLocal: isShelf, NewLooker: func(r Root) Looker { l.roots.Store(r.Path, r); return l }, Log: quietLog(),
			Accounts: newBook(),
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		<-w.Ready()
		pass(3 * poll)
		l.take()
		test(m, l)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestRunsOnAVirtualClock: nothing in a watcher waits for anything but its
// clock, its notifications and its files, so that hours of it can be played in
// moments.
func TestRunsOnAVirtualClock(t *testing.T) {
	root := tempRoot(t)
	blobs := mkdir(t, root, "models--a--b", "blobs")
	age(t, blobs)
	virtual(t, root, func(m *madeUp, l *looks) {
		if got := m.watched(); !slices.Equal(got, []string{root, filepath.Join(root, "models--a--b", "blobs")}) {
			t.Errorf("watched are %q", got)
		}
		m.events <- fsnotify.Event{Name: filepath.Join(blobs, "x"), Op: fsnotify.Create}
		pass(time.Second)
		if n := l.take()["models--a--b"]; n != 1 {
			t.Errorf("an event makes %d looks, want 1", n)
		}
		touch(t, blobs, "y") // of which no event tells
		pass(turns * time.Hour)
		if n := l.take()["models--a--b"]; n == 0 {
			t.Error("what no event has told of is never looked at")
		}
	})
}

// A file in the root itself is in no repository's directory: whose it may be,
// only the Looker can know.
func TestWhatStirsInTheRootIsLookedAt(t *testing.T) {
	root := tempRoot(t)
	for _, folder := range []string{"models--a--b", "models--c--d"} {
		age(t, mkdir(t, root, folder, "blobs"))
	}
	virtual(t, root, func(m *madeUp, l *looks) {
		pass(turns * time.Hour)
		if n := l.take(); len(n) > 0 {
			t.Errorf("looks at rest: %v", n)
		}
		l.mu.Lock()
		l.stirred = []string{"models--c--d", "models--not--there"}
		l.mu.Unlock()
		touch(t, root, "tmpabcdefgh")
		m.events <- fsnotify.Event{Name: filepath.Join(root, "tmpabcdefgh"), Op: fsnotify.Create}
		pass(time.Second)
		if n := l.take(); len(n) != 1 || n["models--c--d"] != 1 {
			t.Errorf("looks behind an event: %v", n)
		}
		pass(time.Hour) // and no event
		if n := l.take(); len(n) != 1 || n["models--c--d"] == 0 {
			t.Errorf("looks at a poll: %v", n)
		}
	})
}

// isShelf: directories for other things may be filled by a client, or hold such.
func isShelf(rel string) bool { return strings.HasPrefix(rel, "shelf") }

// When a folder was last known not to be there says what was not fetched there.
func TestWhatComesIsToldOfWithTheTimeOfItsAbsence(t *testing.T) {
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	mkdir(t, root, "shelf")
	age(t, root)
	age(t, root, "shelf")
	virtual(t, root, func(m *madeUp, l *looks) {
		if len(l.came) > 0 {
			t.Errorf("what was there has come: %v", l.came)
		}
		poll := time.Now().Truncate(time.Hour)
		pass(time.Until(poll.Add(90 * time.Minute))) // one poll more, and half an hour
		poll = poll.Add(time.Hour)
		for _, dir := range []string{"models--c--d", "shelf/x", "shelf2"} {
			mkdir(t, root, dir)
		}
		m.events <- fsnotify.Event{Name: filepath.Join(root, "models--c--d"), Op: fsnotify.Create}
		pass(time.Hour)
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, folder := range []string{"models--c--d", "shelf/x", "shelf2"} {
			if since := poll.Sub(l.came[folder]); since < 0 || since > time.Minute {
				t.Errorf("%s was last known not to be there at %v, %v before the last poll", folder, l.came[folder], since)
			}
		}
		if len(l.came) != 3 {
			t.Errorf("came: %v", l.came)
		}
	})
}
