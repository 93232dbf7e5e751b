package watcher

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
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
}

func (m *madeUp) Add(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirs = append(m.dirs, dir)
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
}

func (l *looks) Look(_ context.Context, folder string) Pace {
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

// TestRunsOnAVirtualClock: nothing in a watcher waits for anything but its
// clock, its notifications and its files, so that hours of it can be played in
// moments.
func TestRunsOnAVirtualClock(t *testing.T) {
	root := tempRoot(t)
	blobs := mkdir(t, root, "models--a--b", "blobs")
	age(t, blobs)
	synctest.Test(t, func(t *testing.T) {
		m := &madeUp{events: make(chan fsnotify.Event), errors: make(chan error)}
		l, used := &looks{n: make(map[string]int)}, time.Duration(0)
		w := New(Options{
			Roots: []string{root}, Poll: time.Hour, Active: time.Second, Steady: 2 * time.Second, Notify: true,
			OpenNotify: func() (*Notifications, error) {
				return &Notifications{Watches: m, Events: m.events, Errors: m.errors}, nil
			},
			ProcessorTime: func() time.Duration { used += time.Millisecond; return used },
			IsRepo:        isRepo, NewLooker: func(Root) Looker { return l }, Log: quietLog(),
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		<-w.Ready()
		pass(3 * time.Hour)
		if got := m.watched(); !slices.Equal(got, []string{root, filepath.Join(root, "models--a--b", "blobs")}) {
			t.Errorf("watched are %q", got)
		}
		l.take()
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
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
