package tracker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/sizer"
)

// A witness looks at what a writer does to a real cache, at each of its stages
// and on a clock that runs ahead between them, and judges it. Locks are those
// that are truly held; /proc is made up, so that a writer can die.
type witness struct {
	t      *testing.T
	hub    *hub.Hub
	hh     client.HH
	files  map[string]hub.Entry
	root   *sizer.Root
	d      *download
	events []Event
	looks  int

	mu      sync.Mutex
	proc    string
	blind   bool // no lock is visible
	again   bool // a second attempt may lose what the first has brought
	ahead   time.Duration
	highest int64
	last    sizer.Look
}

const (
	writerPID = 4711
	piece     = 64 << 10
	folder    = "models--org--demo"
)

var demoRepo = hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}

// bigFile is what the stages are about; the others are beside it.
const bigFile = "model-00002-of-00002.safetensors"

func newWitness(t *testing.T) *witness {
	t.Helper()
	base := t.TempDir()
	w := &witness{t: t, hub: hub.New(hub.Options{}), files: map[string]hub.Entry{}, proc: filepath.Join(base, "proc")}
	must(t, w.hub.Start())
	t.Cleanup(func() { must(t, w.hub.Close()) })
	_, entries, err := w.hub.Publish(demoRepo, "main",
		hub.File{Path: "config.json", Size: 600},
		hub.File{Path: "model-00001-of-00002.safetensors", Size: 2 * piece, Storage: hub.Xet},
		hub.File{Path: bigFile, Size: 7*piece + 5000, Storage: hub.Xet},
		hub.File{Path: "sub/tokenizer.json", Size: 5000, Storage: hub.LFS})
	must(t, err)
	for _, e := range entries {
		w.files[e.Path] = e
	}
	w.hh = client.HH{
		Endpoint: w.hub.URL(), Root: filepath.Join(base, "hub"), Chunk: piece, Ahead: 3, Burst: 3 * piece,
		Pause: func(_ context.Context, at client.Stage, path string) error { return w.stage(at, path) },
	}
	must(t, os.MkdirAll(w.hh.Root, 0o755))
	w.live()
	w.watch(time.Now().Add(-time.Minute), nil)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *witness) watch(since time.Time, recall func(hfcache.Repo) (sizer.Checkpoint, bool)) {
	var st syscall.Stat_t
	must(w.t, syscall.Stat(w.hh.Root, &st))
	w.root = sizer.NewRoot(sizer.Options{
		Path: w.hh.Root, Dev: st.Dev, Inode: st.Ino, Since: since, Opened: since, Recall: recall, Procs: downloader.NewShared(downloader.ProcDir(w.proc)),
		Judged: w.judged, Log: slog.New(slog.DiscardHandler),
	})
}

// judged is what the tracker says of the newest look.
func (w *witness) judged(hfcache.Repo) (time.Time, sizer.Interest) {
	if w.d == nil {
		return time.Time{}, sizer.Open
	}
	return w.last.At, w.d.interest()
}

// live lets the writer's process be there, die lets it go.
func (w *witness) live() { w.liveSince(1000) }

// liveAnew begins another process than those that have written so far, as exactly as the
// kernel's clocks tell.
func (w *witness) liveAnew() {
	before := ticks(w.t)
	for ticks(w.t) < before+3 {
		runtime.Gosched()
	}
	w.liveSince(ticks(w.t))
}

// ticks is the time since the machine's start, as /proc tells it.
func ticks(t *testing.T) int64 {
	t.Helper()
	var boot unix.Timespec
	must(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot))
	return boot.Nano() / int64(10*time.Millisecond)
}

func (w *witness) liveSince(started int64) {
	dir := filepath.Join(w.proc, fmt.Sprint(writerPID))
	must(w.t, os.MkdirAll(dir, 0o755))
	stat := fmt.Sprintf("%d (writer) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", writerPID, started)
	for name, text := range map[string]string{"stat": stat, "comm": "writer\n", "cmdline": "writer\x00", "cgroup": "0::/\n"} {
		must(w.t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
}

func (w *witness) die() { must(w.t, os.RemoveAll(filepath.Join(w.proc, fmt.Sprint(writerPID)))) }

// readLocks writes down who holds what, by trying each lock.
func (w *witness) readLocks() {
	var lines strings.Builder
	err := filepath.WalkDir(w.hh.Root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || w.blind || e.IsDir() || filepath.Ext(path) != ".lock" {
			return nil // gone meanwhile
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer f.Close()
		var st syscall.Stat_t
		must(w.t, syscall.Fstat(int(f.Fd()), &st))
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
			fmt.Fprintf(&lines, "1: FLOCK  ADVISORY  WRITE %d %02x:%02x:%d 0 EOF\n",
				writerPID, st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00, st.Ino)
		}
		return nil
	})
	must(w.t, err)
	must(w.t, os.WriteFile(filepath.Join(w.proc, "locks"), []byte(lines.String()), 0o644))
}

// look passes once, d after the last look.
func (w *witness) look(d time.Duration) sizer.Look {
	w.t.Helper()
	w.readLocks()
	return w.pass(d)
}

// pass is look where nobody has taken a lock or let one go since.
func (w *witness) pass(d time.Duration) sizer.Look {
	w.t.Helper()
	w.looks++
	w.ahead += d
	now := time.Now().Add(w.ahead)
	w.last, _ = w.root.Look(now, folder)
	w.last.At = now
	switch {
	case w.d == nil && w.last.InPlay:
		w.d = newDownload(defaults, w.last, w.last.Base)
	case w.d == nil:
		return w.last
	}
	events := w.d.observe(w.last)
	w.events = append(w.events, append(events, w.d.tick(now)...)...)
	w.check(w.last)
	return w.last
}

// check holds a look against what is known for certain.
func (w *witness) check(l sizer.Look) {
	w.t.Helper()
	if !l.InPlay {
		return
	}
	var served int64
	for _, e := range w.files {
		served += w.hub.Served(e.Etag)
	}
	if l.Bytes > served {
		w.t.Errorf("look %d tells %d bytes, the hub has sent %d", w.looks, l.Bytes, served)
	}
	if l.Bytes < w.highest && !w.again {
		w.t.Errorf("look %d steps back from %d to %d", w.looks, w.highest, l.Bytes)
	}
	w.highest = max(w.highest, l.Bytes)
}

func (w *witness) stage(client.Stage, string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(0)
	return nil
}

// rest lets time pass. The writer does nothing meanwhile.
func (w *witness) rest(d time.Duration) {
	w.t.Helper()
	const step = 5 * time.Second
	for w.look(step); d > step; d -= step {
		w.pass(step)
	}
}

// told are the kinds of lines, keepalives and steps left out.
func (w *witness) told() string {
	var kinds []string
	for _, e := range w.events {
		if e.Kind != Keepalive && e.Kind != Progress {
			kinds = append(kinds, string(e.Kind))
		}
	}
	return strings.Join(kinds, " ")
}

// only leaves nothing to download but one file.
func (w *witness) only(file string) {
	w.hh.Include = func(path string) bool { return path == file }
	w.files = map[string]hub.Entry{file: w.files[file]}
}

func (w *witness) size() (n int64) {
	for _, e := range w.files {
		n += e.Size
	}
	return n
}

// writers are all there are, each as a way to download with what was set up.
func (w *witness) writers() map[string]func() error {
	hh := func(change func(*client.HH)) func() error {
		return func() error {
			h := w.hh
			change(&h)
			_, err := h.Download(w.t.Context(), demoRepo, "main")
			return err
		}
	}
	all := map[string]func() error{
		"hf_transfer":       hh(func(h *client.HH) { h.Generation, h.Transfer = client.HH023, client.HFTransfer }),
		"xet 1.2":           hh(func(h *client.HH) { h.Generation, h.Transfer = client.HH023, client.XetSparse }),
		"xet 1.3, listed":   hh(func(h *client.HH) { h.Transfer = client.XetBurst }),
		"xet 1.3, unlisted": hh(func(h *client.HH) { h.Generation, h.Transfer = client.HH118, client.XetBurst }),
		"no links, listed":  hh(func(h *client.HH) { h.NoSymlinks = true }),
		"no links, 1.18":    hh(func(h *client.HH) { h.Generation, h.NoSymlinks = client.HH118, true }),
		"no links, 0.23":    hh(func(h *client.HH) { h.Generation, h.NoSymlinks = client.HH023, true }),
	}
	for _, kind := range client.Kinds() {
		all[string(kind)] = func() error {
			_, err := (&client.Other{HH: w.hh, Kind: kind}).Download(w.t.Context(), demoRepo, "main")
			return err
		}
	}
	return all
}

func eachWriter(t *testing.T, run func(t *testing.T, w *witness, name string, download func() error)) {
	t.Helper()
	names := newWitness(t).writers()
	for name := range names {
		t.Run(name, func(t *testing.T) {
			w := newWitness(t)
			run(t, w, name, w.writers()[name])
		})
	}
}

func TestEveryClientsDownloadIsToldTruly(t *testing.T) {
	eachWriter(t, func(t *testing.T, w *witness, name string, download func() error) {
		must(t, download())
		w.die()
		w.rest(2 * time.Minute)
		want := "preparing started unlisted completed"
		if strings.Contains(name, ", listed") {
			want = "preparing started completed"
		}
		if got := w.told(); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		if w.highest != w.size() {
			t.Errorf("counted %d bytes, want %d", w.highest, w.size())
		}
		w.rest(12 * time.Minute)
		if w.last.InPlay {
			t.Errorf("it doesn't rest: %+v", w.last)
		}
	})
}

// killAt lets the writer die at its nth stage of that kind of the big file.
func (w *witness) killAt(at client.Stage, n int) {
	w.hh.Workers = 1
	w.hh.Pause = func(_ context.Context, stage client.Stage, path string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.look(0)
		if stage == at && path == bigFile {
			n--
		}
		if n <= 0 && (path == bigFile || stage != client.Written) {
			return client.ErrKilled // others come as far as their next step
		}
		return nil
	}
}

// since is how long after the first line a kind was told: the writers take no
// time.
func (w *witness) since(kind Kind) time.Duration {
	for _, e := range w.events {
		if e.Kind == kind {
			return e.At.Sub(w.events[0].At).Round(time.Minute)
		}
	}
	return -1
}

// whole reports whether all files are there with their sizes.
func (w *witness) whole() bool {
	snapshots, err := filepath.Glob(filepath.Join(w.hh.Root, folder, "snapshots", "*"))
	must(w.t, err)
	return slices.ContainsFunc(snapshots, func(dir string) bool {
		for path, e := range w.files {
			if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Size() != e.Size {
				return false
			}
		}
		return true
	})
}

// swift-huggingface copies a file to its blob's own name. What is left of that by
// one that dies is a whole blob to all clients.
func TestWhatIsLeftHalfCopiedIsNeverPartOfACompleteModel(t *testing.T) {
	taken := 0
	eachWriter(t, func(t *testing.T, w *witness, name string, _ func() error) {
		w.killAt(client.Written, 2)
		if err := w.writers()["swift"](); !errors.Is(err, client.ErrKilled) {
			t.Fatalf("got %v", err)
		}
		w.die()
		w.rest(2 * time.Minute)
		if told := w.told(); told != "preparing started interrupted" {
			t.Fatalf("told %s", told)
		}
		w.again = true
		w.liveAnew()
		w.hh.Pause = func(_ context.Context, at client.Stage, path string) error { return w.stage(at, path) }
		must(t, w.writers()[name]())
		w.die()
		w.rest(2 * time.Minute)
		completed := slices.ContainsFunc(w.events, func(e Event) bool { return e.Kind == Completed })
		if completed != w.whole() {
			t.Errorf("told %s, and whole: %v", w.told(), w.whole())
		}
		if !w.whole() {
			taken++
		}
	})
	if taken == 0 {
		t.Error("nobody took the half file for whole")
	}
}

// locksServe is longer than one reading of the locks serves.
const locksServe = 3 * time.Second

func TestEveryClientsDeathIsNoticedAndNeverCalledComplete(t *testing.T) {
	// Who is seen to be gone is given up a minute later. What is left is gone
	// on with, taken up from the beginning, or left lying as an orphan.
	const goesOn, anew, orphaned = " moving unlisted completed", " restarted unlisted completed", " restarted orphans unlisted completed"
	after := map[string]string{
		"hf_transfer": " moving restarted unlisted completed", "xet 1.2": goesOn,
		"xet 1.3, listed": " restarted orphans completed", "xet 1.3, unlisted": orphaned,
		"no links, listed": " restarted orphans completed", "no links, 1.18": orphaned, "no links, 0.23": goesOn,
		"rust-0.3": anew, "rust-0.3-tokio": anew, "rust-0.4": goesOn, "rust-0.4-tokio": goesOn, "rust-1": anew,
		"huggingface.js": anew, "llama.cpp": goesOn, "swift": goesOn,
		"go-huggingface": " moving restarted unlisted completed",
	}
	lockless := map[string]bool{"rust-0.3": true, "rust-0.3-tokio": true, "huggingface.js": true, "llama.cpp": true}
	again := func(t *testing.T, w *witness, name string, long bool) {
		w.killAt(client.Written, 2)
		if name == "swift" { // what it has copied in part has the name of a whole blob
			w.killAt(client.Locked, 1)
		}
		if err := w.writers()[name](); !errors.Is(err, client.ErrKilled) {
			t.Fatalf("got %v", err)
		}
		w.die()
		w.rest(12 * time.Minute)
		told, limit := "preparing started interrupted", defaults.InterruptAfter
		if lockless[name] {
			limit = defaults.StallAfter
		}
		if w.told() != told || w.since(Interrupted) != limit {
			t.Errorf("told %s after %v; want %s after %v", w.told(), w.since(Interrupted), told, limit)
		}
		if long {
			w.look(pauseLasts)
			w.look(time.Second) // is told that nothing is waited for
			if w.look(time.Second); w.last.InPlay {
				t.Errorf("it doesn't rest: %+v", w.last)
			}
		}
		w.again = true
		w.live()
		w.hh.Pause = func(_ context.Context, at client.Stage, path string) error {
			if at == client.Locked && !long { // or one reading of locks serves for all
				w.mu.Lock()
				w.look(locksServe)
				w.mu.Unlock()
			}
			return w.stage(at, path)
		}
		must(t, w.writers()[name]())
		w.die()
		w.rest(2 * time.Minute)
		all := w.told()
		if name == "rust-1" { // two at a time: one may move before the other, and each begins anew
			all = strings.Join(slices.Compact(strings.Fields(strings.Replace(all, " moving", "", 1))), " ")
		}
		next := after[name]
		if name == "swift" && long { // its half copy counts no more when it is copied anew
			next = anew
		}
		if want := told + next; all != want || w.last.Bytes != 0 || w.highest != w.size() {
			t.Errorf("told %s, want %s; at most %d bytes, want %d", w.told(), want, w.highest, w.size())
		}
	}
	for pause, long := range map[string]bool{"soon": false, "after more than a day": true} {
		t.Run(pause, func(t *testing.T) {
			eachWriter(t, func(t *testing.T, w *witness, name string, _ func() error) { again(t, w, name, long) })
		})
	}
}
