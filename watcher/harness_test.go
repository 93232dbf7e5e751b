package watcher

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/internal/inside"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience is what a test waits for something that must come.
	patience = 10 * time.Second
	// soon is the poll interval where the poll has to tell, far where it
	// must not be what tells.
	soon = 40 * time.Millisecond
	far  = time.Hour
)

// A seen is one look.
type seen struct {
	root, folder string
	// files counts the entries of blobs; -1: the folder is gone.
	files int
	at    time.Time
}

// A rig is a Watcher with a Looker that tells what it saw.
type rig struct {
	t       *testing.T
	w       *Watcher
	looks   chan seen
	changes chan RootChange
	log     *logBook
	stop    func()

	mu   sync.Mutex
	pace map[string]Pace
	// stirred are the folders for which something moves in the root itself.
	stirred []string
	onLook  func(root Root, folder string)
}

func isRepo(name string) bool { return strings.HasPrefix(name, "models--") }

func newRig(t *testing.T, poll time.Duration, notify bool, roots ...string) *rig {
	t.Helper()
	g := &rig{
		t: t, looks: make(chan seen, 1<<18), changes: make(chan RootChange, 1<<10),
		log: &logBook{}, pace: make(map[string]Pace),
	}
	g.w = New(Options{
		Roots: roots, Poll: poll, Active: 30 * time.Millisecond, Steady: 60 * time.Millisecond, Notify: notify, IsRepo: isRepo,
		NewLooker: func(r Root) Looker { return &fakeLooker{g, r} },
		Changed:   func(_ context.Context, c RootChange) { g.changes <- c },
		Log:       slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	return g
}

// start runs the watcher and waits until it is ready.
func (g *rig) start() *rig {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.w.Run(ctx) }()
	var once sync.Once
	g.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					g.t.Error(err)
				}
			case <-time.After(patience):
				g.t.Error("Run did not return")
			}
		})
	}
	g.t.Cleanup(g.stop)
	select {
	case <-g.w.Ready():
	case <-time.After(patience):
		g.t.Fatal("not ready")
	}
	return g
}

func (g *rig) setPace(folder string, p Pace) {
	g.mu.Lock()
	g.pace[folder] = p
	g.mu.Unlock()
}

type fakeLooker struct {
	g    *rig
	root Root
}

func (l *fakeLooker) Came(string, time.Time) {}

func (l *fakeLooker) Stirred(context.Context) ([]string, bool) {
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	return l.g.stirred, len(l.g.stirred) > 0
}

func (l *fakeLooker) Look(_ context.Context, folder string, _ func() time.Duration) Pace {
	l.g.mu.Lock()
	pace, hook := l.g.pace[folder], l.g.onLook
	l.g.mu.Unlock()
	if hook != nil {
		hook(l.root, folder)
	}
	files := -1
	if _, err := os.Lstat(filepath.Join(l.root.Path, folder)); err == nil {
		names, _ := os.ReadDir(filepath.Join(l.root.Path, folder, "blobs"))
		files = len(names)
	}
	l.g.looks <- seen{l.root.Path, folder, files, time.Now()}
	return pace
}

// await reads looks until one fits.
func (g *rig) await(what string, fits func(seen) bool) seen {
	g.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-g.looks:
			if fits(s) {
				return s
			}
		case <-deadline:
			g.t.Fatalf("no look came: %s\nlog:\n%s", what, g.log)
		}
	}
}

func (g *rig) awaitLook(folder string, files int) seen {
	g.t.Helper()
	return g.await(folder, func(s seen) bool { return s.folder == folder && s.files == files })
}

// awaitAll waits for a look at each of the folders, in any order, at which it
// has that many blobs; -2 stands for any number.
func (g *rig) awaitAll(files int, folders ...string) {
	g.t.Helper()
	left := make(map[string]bool)
	for _, f := range folders {
		left[f] = true
	}
	for len(left) > 0 {
		g.await(fmt.Sprint(left), func(s seen) bool {
			if files == -2 || s.files == files {
				delete(left, s.folder)
			}
			return true
		})
	}
}

func (g *rig) awaitChange(k ChangeKind) RootChange {
	g.t.Helper()
	select {
	case c := <-g.changes:
		if c.Kind != k {
			g.t.Fatalf("root is %v, want %v\nlog:\n%s", c.Kind, k, g.log)
		}
		return c
	case <-time.After(patience):
		g.t.Fatalf("no word that the root is %v\nlog:\n%s", k, g.log)
	}
	panic("unreachable")
}

// awaitTrue waits for a state that nothing announces.
func (g *rig) awaitTrue(what string, is func() bool) {
	g.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			g.t.Fatalf("not so: %s\nstatus: %+v\nlog:\n%s", what, g.w.Status(), g.log)
		}
	}
}

// awaitWatches waits until that many directories are watched.
func (g *rig) awaitWatches(n int) {
	g.t.Helper()
	g.awaitTrue("watches are armed", func() bool {
		sum := 0
		for _, s := range g.w.Status() {
			sum += s.Watches
		}
		return sum == n
	})
}

// lookWithin reports whether a look that fits comes within d.
func (g *rig) lookWithin(d time.Duration, fits func(seen) bool) bool {
	end := time.After(d)
	for {
		select {
		case s := <-g.looks:
			if fits(s) {
				return true
			}
		case <-end:
			return false
		}
	}
}

// A logBook collects what is logged.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBook) count(text string) int { return strings.Count(b.String(), text) }

func (g *rig) wantLogged(text string, n int) {
	g.t.Helper()
	if got := g.log.count(text); got != n {
		g.t.Errorf("%q is logged %d times, want %d:\n%s", text, got, n, g.log)
	}
}

func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func mkdir(tb testing.TB, parts ...string) string {
	tb.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func touch(tb testing.TB, parts ...string) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(parts...), nil, 0o644); err != nil {
		tb.Fatal(err)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// tempRoot gives a directory by its real path.
func tempRoot(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	must(tb, err)
	return dir
}

// age makes a directory's time stamp old enough to be trusted.
func age(tb testing.TB, parts ...string) {
	tb.Helper()
	old := time.Now().Add(-time.Hour)
	must(tb, os.Chtimes(filepath.Join(parts...), old, old))
}

// inNamespace is inside.Namespace.
func inNamespace(t *testing.T, uid int) bool {
	t.Helper()
	return inside.Namespace(t, uid)
}
