package state

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/account"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const root = "/cache/hub"

var (
	llama = hfcache.Repo{Type: hfcache.Model, ID: "org/llama"}
	qwen  = hfcache.Repo{Type: hfcache.Model, ID: "org/qwen"}
	day   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// diagnostics collects what a store or ledger says.
type diagnostics struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diagnostics) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diagnostics) logger() *slog.Logger { return slog.New(slog.NewTextHandler(d, nil)) }

func (d *diagnostics) count(word string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.text.String(), word)
}

func (d *diagnostics) wantCount(t *testing.T, word string, want int) {
	t.Helper()
	if got := d.count(word); got != want {
		t.Errorf("said %q %d times, want %d; all of it:\n%s", word, got, want, d.text.String())
	}
}

// testDisk is the real disk but for fsync, which only takes time here. Hooks
// are called before each operation.
type testDisk struct {
	osDisk
	before func(op, path string) error
	mu     sync.Mutex
	ops    []string
}

func (d *testDisk) begin(op, path string) error {
	d.mu.Lock()
	name := filepath.Base(path)
	if name == filepath.Base(newRecords(root).file()) {
		name = "root"
	}
	d.ops = append(d.ops, op+" "+name)
	d.mu.Unlock()
	if d.before == nil {
		return nil
	}
	return d.before(op, path)
}

func (d *testDisk) extend(path string, size int64, data []byte, durably bool) error {
	op := "extend"
	if durably {
		op = "durably"
	}
	if err := d.begin(op, path); err != nil {
		return err
	}
	return d.osDisk.extend(path, size, data, false)
}

func (d *testDisk) rewrite(path string, write func(io.Writer) error) error {
	if err := d.begin("rewrite", path); err != nil {
		return err
	}
	var all bytes.Buffer
	if err := write(&all); err != nil {
		return err
	}
	return os.WriteFile(path, all.Bytes(), 0o600)
}

func (d *testDisk) remove(path string) error {
	if err := d.begin("remove", path); err != nil {
		return err
	}
	return d.osDisk.remove(path)
}

func (d *testDisk) takeOps() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	ops := d.ops
	d.ops = nil
	return ops
}

// outletFunc makes a Putter of a function.
type outletFunc func(tracker.Event)

func (f outletFunc) Put(e tracker.Event) { f(e) }

// told keeps what an outlet was given.
type told struct {
	mu     sync.Mutex
	events []tracker.Event
}

func (q *told) Put(e tracker.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, e)
}

func (q *told) ids() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return ids(q.events)
}

func ids(events []tracker.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

// newAccounts are those of a machine on which nobody has taken anything.
func newAccounts() *account.Book {
	return account.NewBook(nil, slog.New(slog.DiscardHandler))
}

// recordsOf are the lines that a store's directory has of a root.
func recordsOf(t *testing.T, dir, root string) []line {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, newRecords(root).file()))
	if err != nil {
		t.Fatal(err)
	}
	var lines []line
	for text := range bytes.Lines(data) {
		l, err := decodeLine(text)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// newestEpisode is the last that was written of an episode, if it isn't closed.
func newestEpisode(lines []line, id string) *episodeRecord {
	var newest *episodeRecord
	for _, l := range lines {
		switch {
		case l.Episode != nil && l.Episode.Episode.ID == id:
			newest = l.Episode
		case l.Closed == id:
			newest = nil
		}
	}
	return newest
}

// left are the ids of the episodes that a store's directory has of a root.
func left(t *testing.T, dir, root string) []string {
	t.Helper()
	open := map[string]bool{}
	for _, l := range recordsOf(t, dir, root) {
		if l.Episode != nil {
			open[l.Episode.Episode.ID] = true
		}
		delete(open, l.Closed)
	}
	return slices.Sorted(maps.Keys(open))
}

// placing notes where one verdict goes.
func placing(s *Store, id string, at tracker.Position) error {
	return s.Placing([]tracker.Placement{{Event: id, At: at}})
}

func openStore(tb testing.TB, dir string, on disk) (*Store, *diagnostics) {
	tb.Helper()
	said := &diagnostics{}
	s, err := open(dir, newAccounts(), said.logger(), on)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { kill(s) })
	return s, said
}

// kill ends a store as SIGKILL would: nothing more is written.
func kill(s *Store) {
	s.lock.release()
	s.lock = nil
	s.shut = true
}

// record is an episode that began at a minute of the test's day.
func record(id string, repo hfcache.Repo, minute int) tracker.Episode {
	at := day.Add(time.Duration(minute) * time.Minute)
	return tracker.Episode{
		Phase: tracker.PhaseActive,
		ID:    id, Root: root, Repo: repo, Play: id, Began: at,
		Checkpoint: sizer.Checkpoint{Since: at, Facts: sizer.Facts{Play: id, Revisions: []string{"abc"}}, CutOffs: []sizer.CutOff{{Etag: id}}},
	}
}

// over is that record after its end, a minute later.
func over(ep tracker.Episode) tracker.Episode {
	ep.Phase = tracker.PhaseOver
	ep.Checkpoint.Since, ep.Checkpoint.Play = ep.Began.Add(time.Minute), ""
	return ep
}

func event(ep tracker.Episode, kind tracker.Kind) tracker.Event {
	return tracker.Event{ID: ep.ID + "-" + string(kind), Kind: kind, At: ep.Began, Root: ep.Root, Repo: ep.Repo}
}

// commit has a ledger do its work here and now.
func commit(l *Ledger, ep tracker.Episode, kinds ...tracker.Kind) {
	var events []tracker.Event
	for _, kind := range kinds {
		events = append(events, event(ep, kind))
	}
	l.Commit(&ep, events)
	l.pass()
}

// start makes a ledger that waits for a log and a journal, without running it.
func start(s *Store) (l *Ledger, log, journal *told) {
	log, journal = &told{}, &told{}
	l = NewLedger(s, []Outlet{{"log", log}, {"journal", journal}, {"", &told{}}}, slog.New(slog.DiscardHandler))
	l.replay()
	return l, log, journal
}

// run runs a ledger until the test, or the returned function, ends it.
func run(t *testing.T, l *Ledger) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run gave %v", err)
		}
	}
}

func same[T comparable](t *testing.T, what string, got []T, want ...T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// files lists the names in a directory that begin with prefix.
func files(t *testing.T, dir, prefix string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// quickDir is a new directory in memory where that can be had: thousands of
// small files are slow on a disk.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "progressd-state-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// home is the directory that root is, in nearly all tests.
var home = numbered(7)

// numbered is a directory of which the inode alone is known.
func numbered(inode uint64) fsys.Identity { return fsys.Identity{Inode: inode} }
