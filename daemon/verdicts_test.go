package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/config"
	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/state"
	"progressd/tracker"
	"progressd/watcher"
)

// A timing is what a configuration says of when.
type timing struct{ poll, quiet, interrupt, stall time.Duration }

// timings are the shipped one, and what else the configuration admits: each
// before and after each other.
var timings = []timing{
	{5 * time.Second, 30 * time.Second, time.Minute, 10 * time.Minute},
	{time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second},
	{100 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second},
	{time.Minute, 30 * time.Second, time.Minute, 10 * time.Minute},
	{10 * time.Minute, 30 * time.Second, time.Minute, 10 * time.Minute},
	{time.Hour, 13 * time.Second, 14 * time.Second, 15 * time.Second},
	{5 * time.Second, 20 * time.Minute, 10 * time.Minute, time.Minute},
	{7 * time.Second, 25 * time.Minute, 30 * time.Minute, 20 * time.Minute},
}

func (tm timing) String() string {
	return fmt.Sprintf("poll %v quiet %v interrupt %v stall %v", tm.poll, tm.quiet, tm.interrupt, tm.stall)
}

// A made is what a made-up client writes, on a clock that runs ahead of the
// kernel's: the times of its files are set.
type made struct {
	t    *testing.T
	base string
	// after is called behind each change, as an event would be.
	after func()
}

const (
	madeFolder = "models--org--demo"
	madeCommit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	madePID    = 4242
)

var madeFiles = map[string]string{
	"config.json":       strings.Repeat("c", 64),
	"model.safetensors": strings.Repeat("d", 64),
	"README.md":         strings.Repeat("e", 64),
}

func (m *made) in(parts ...string) string {
	return filepath.Join(append([]string{m.base}, parts...)...)
}

func (m *made) repo(parts ...string) string {
	return m.in(append([]string{"hub", madeFolder}, parts...)...)
}

func (m *made) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// stamp gives the present time to what was changed.
func (m *made) stamp(paths ...string) {
	m.t.Helper()
	now := time.Now()
	for _, path := range paths {
		m.must(os.Chtimes(path, now, now))
	}
	if m.after != nil {
		m.after()
	}
}

func (m *made) put(path, text string) {
	m.t.Helper()
	m.must(os.MkdirAll(filepath.Dir(path), 0o755))
	m.must(os.WriteFile(path, []byte(text), 0o644))
	m.stamp(path, filepath.Dir(path))
}

// proc makes the process of the client, or lets it go; files are those of which
// it holds the locks.
func (m *made) proc(lives bool, files ...string) {
	m.t.Helper()
	dir := m.in("proc", fmt.Sprint(madePID))
	m.must(os.RemoveAll(dir))
	if lives {
		for name, text := range map[string]string{
			"stat": fmt.Sprintf("%d (python3) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1000 0 0\n", madePID),
			"comm": "python3\n", "cmdline": "python3\x00fetch.py\x00", "cgroup": "0::/\n",
		} {
			m.must(errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)))
		}
	}
	var lines strings.Builder
	for _, file := range files {
		path := m.in("hub", ".locks", madeFolder, madeFiles[file]+".lock")
		m.put(path, "")
		var st syscall.Stat_t
		m.must(syscall.Stat(path, &st))
		fmt.Fprintf(&lines, "1: FLOCK  ADVISORY  WRITE %d %02x:%02x:%d 0 EOF\n", madePID, st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00, st.Ino)
	}
	m.must(errors.Join(os.MkdirAll(m.in("proc"), 0o755), os.WriteFile(m.in("proc", "locks"), []byte(lines.String()), 0o644)))
}

// grow writes a partial on.
func (m *made) grow(file string, n int) {
	m.t.Helper()
	path := m.repo("blobs", madeFiles[file]+".incomplete")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	m.must(err)
	_, err = f.Write(make([]byte, n))
	m.must(errors.Join(err, f.Close()))
	m.stamp(path, filepath.Dir(path))
}

// finish puts a partial in its place.
func (m *made) finish(file string) {
	m.t.Helper()
	blob := m.repo("blobs", madeFiles[file])
	m.must(os.Rename(blob+".incomplete", blob))
	m.must(os.Symlink("../../blobs/"+madeFiles[file], m.repo("snapshots", madeCommit, file)))
	m.stamp(blob, m.repo("blobs"), m.repo("snapshots", madeCommit))
}

// list writes a listing of all files.
func (m *made) list(sizes map[string]int) {
	m.t.Helper()
	files := map[string]any{}
	for path, size := range sizes {
		files[path] = map[string]any{"size": size, "blob_id": madeFiles[path]}
	}
	text, err := json.Marshal(map[string]any{"format_version": 1, "files": files})
	m.must(err)
	m.put(m.repo("trees", madeCommit+".json"), string(text))
}

// A heard keeps what is told.
type heard struct {
	mu     sync.Mutex
	events []tracker.Event
}

func (h *heard) Put(e tracker.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *heard) all() []tracker.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// A bubble is the daemon's pipeline in time of its own, with a recorder for
// sinks and no events, which would be those of the kernel.
type bubble struct {
	*made
	timing
	heard heard
	store *state.Store
	parts *Pipeline
	stop  func()
	// recordInto is a directory in which the pipeline keeps what it judges by.
	recordInto string
}

// inBubble runs a test in a bubble whose clock is set to the real one first.
func inBubble(t *testing.T, tm timing, events bool, test func(b *bubble)) {
	t.Helper()
	base, err := filepath.EvalSymlinks(quickDir(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(base, "hub"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second)
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(before))
		b := &bubble{made: &made{t: t, base: base}, timing: tm, store: state.Volatile(slog.New(slog.DiscardHandler))}
		b.proc(false)
		if events {
			b.after = func() { b.parts.watcher.Ask(b.in("hub"), madeFolder) }
		}
		b.start()
		pass(10 * time.Second)
		test(b)
		b.stop()
	})
}

// stamped is the real file system, where files were made when their contents say so:
// of their inodes the time can't be set, and is that outside of the bubble.
type stamped struct{ fsys.Real }

func (s stamped) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	err := s.Real.Fstatat(at, name, st, flags)
	st.Ctim = st.Mtim
	return err
}

// quickDir is a new directory in memory where that can be had: the files of a
// bubble are written and looked at as fast as they can be.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "progressd-daemon-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// pass lets the bubble's time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (b *bubble) start() {
	log := slog.New(slog.DiscardHandler)
	set := config.Settings{Config: config.Default(), Roots: []string{b.in("hub")}}
	set.PollInterval, set.Journal.Enabled = config.Duration(b.poll), false
	set.Download.QuietAfter, set.Download.InterruptAfter = config.Duration(b.quiet), config.Duration(b.interrupt)
	set.Download.StallAfter = config.Duration(b.stall)
	ctx, stop := context.WithCancel(b.t.Context())
	p := newPipeline(Options{Settings: set, Store: b.store, Log: log}, NewAttendance())
	p.looks, p.roots = make(chan sizer.Look), make(chan tracker.RootChange)
	p.ledger = state.NewLedger(b.store, []state.Outlet{{Queue: &b.heard}}, log)
	hooks := tracker.Hooks{Attend: p.attend}
	if b.recordInto != "" {
		p.set.Diagnostics.Recording, p.set.StateDir = 1<<30, b.recordInto
		p.recording = p.record(time.Now())
		hooks.Given = p.recording.Given
	}
	p.tracker = tracker.New(limits(set), p.ledger, hooks, log)
	p.tracker.Restore(b.store.Episodes(), time.Now())
	watches := p.watches(ctx, &scannerFactory{
		store: b.store, looks: p.looks, attended: p.attended, opened: time.Now(), log: log, procs: downloader.NewShared(downloader.ProcDir(b.in("proc"))),
		files: func(account.User) fsys.Kernel { return stamped{} }, machine: &Machine{FS: stamped{}},
	})
	watches.Notify = false
	p.watcher = watcher.New(watches)
	b.parts = p
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Carry(ctx, Start(ctx, "watcher", p.watcher.Run, log))
	}()
	b.stop = func() { stop(); <-done }
}

// begin has a client write for a while: so long that it is seen by a poll.
func (b *bubble) begin(locks bool) {
	b.must(os.MkdirAll(b.repo("blobs"), 0o755))
	b.must(os.MkdirAll(b.repo("snapshots", madeCommit), 0o755))
	if locks {
		b.proc(true, "model.safetensors")
	}
	b.grow("model.safetensors", 1000)
	if b.after == nil {
		pass(b.poll + time.Second)
	}
	for range 10 {
		pass(time.Second)
		b.grow("model.safetensors", 100_000)
	}
}

func (b *bubble) end() {
	b.grow("config.json", 700)
	b.finish("config.json")
	b.finish("model.safetensors")
}

func (b *bubble) endWeights() { b.finish("model.safetensors") }

// verdictsAfter are those told since a time, each with how long after it.
func (b *bubble) verdictsAfter(at time.Time) (kinds []string, after []time.Duration) {
	for _, e := range b.heard.all() {
		if e.Verdict() && !e.At.Before(at) {
			kinds, after = append(kinds, string(e.Kind)), append(after, e.At.Sub(at))
		}
	}
	return kinds, after
}

// A fate is what becomes of a download that has brought its last byte: which
// verdict is due, and how long after.
type fate struct {
	name string
	// locks: it holds the locks of what it writes; lives: it goes on living.
	locks, lives bool
	end          func(b *bubble)
	verdict      tracker.Kind
	due          func(tm timing) time.Duration
}

var fates = []fate{
	{"completed without a listing", true, false, (*bubble).end, tracker.Completed, timing.quietly},
	{"completed without a listing, its server lives on", true, true, (*bubble).end, tracker.Completed, timing.quietly},
	{"completed without a listing and by no kind, its script lives on", true, true, (*bubble).endWeights, tracker.Completed, timing.restless},
	{"completed without a listing and locks", false, false, (*bubble).end, tracker.Completed, timing.quietly},
	{"interrupted", true, false, nil, tracker.Interrupted, timing.interrupted},
	{"interrupted, and nobody knows who it was", false, false, nil, tracker.Interrupted, timing.stalled},
	{"ended", true, false, func(b *bubble) {
		b.list(map[string]int{"config.json": 700, "model.safetensors": 1_001_000, "README.md": 10})
		b.end()
	}, tracker.Ended, timing.quietly},
	{"ended, its script lives on", true, true, func(b *bubble) {
		b.list(map[string]int{"config.json": 700, "model.safetensors": 1_001_000, "README.md": 10})
		b.end()
	}, tracker.Ended, timing.restless},
	{"stalled", true, true, nil, tracker.Stalled, timing.stalled},
}

func (tm timing) quietly() time.Duration     { return tm.quiet }
func (tm timing) interrupted() time.Duration { return tm.interrupt }
func (tm timing) stalled() time.Duration     { return tm.stall }
func (tm timing) restless() time.Duration    { return max(tm.stall, tm.quiet) }

// late is how much later than promised a verdict may come: what moved last has
// to be seen, and one reading of locks serves for a while.
func (f fate) late() time.Duration {
	if f.lives {
		return 10 * time.Second
	}
	return 2 * time.Second
}

// meet lets a download meet its fate, and gives when.
func (b *bubble) meet(f fate) (at time.Time) {
	b.begin(f.locks)
	if f.end != nil {
		f.end(b)
	}
	if f.end != nil || !f.lives {
		b.proc(f.lives)
	}
	return time.Now()
}

// judge holds what was told after that against what was due, and when at the
// latest.
func (b *bubble) judge(f fate, at time.Time, latest time.Duration) {
	b.t.Helper()
	kinds, after := b.verdictsAfter(at)
	due := f.due(b.timing)
	if len(kinds) != 1 || kinds[0] != string(f.verdict) || after[0] < due || after[0] > latest {
		b.t.Errorf("verdicts %v %v after, want %s after %v", kinds, after, f.verdict, due)
		return
	}
	if f.verdict == tracker.Completed || f.verdict == tracker.Ended {
		seen, _ := b.parts.attended.Judged(b.in("hub"))(hfcache.Repo{Type: hfcache.Model, ID: "org/demo"})
		if more := seen.Sub(at) - after[0]; more > time.Second && !seen.IsZero() {
			b.t.Errorf("still looked at %v after the verdict", more)
		}
	}
	if f.lives && f.end == nil {
		b.noLongSilence(at)
	}
}

// noLongSilence: as long as somebody is at it, each minute has its line.
func (b *bubble) noLongSilence(until time.Time) {
	b.t.Helper()
	keepalive := time.Duration(b.parts.set.KeepaliveInterval)
	events := b.heard.all()
	last := events[0].At
	for _, e := range append(events, tracker.Event{At: until}) {
		if gap := e.At.Sub(last); gap > keepalive+2*time.Second {
			b.t.Errorf("no line for %v before %s", gap, e.Kind)
		}
		last = e.At
	}
}

func TestEachVerdictComesInItsTimeHoweverItIsConfigured(t *testing.T) {
	for _, tm := range timings {
		for _, f := range fates {
			for how, events := range map[string]bool{"by poll": false, "by events": true} {
				t.Run(fmt.Sprint(tm, " ", f.name, " ", how), func(t *testing.T) {
					t.Parallel()
					inBubble(t, tm, events, func(b *bubble) {
						at := b.meet(f)
						pass(f.due(tm) + f.late() + time.Minute)
						b.judge(f, at, f.due(tm)+f.late())
					})
				})
			}
		}
	}
}

func TestNoVerdictIsLostInARestart(t *testing.T) {
	for _, tm := range timings {
		for _, f := range fates {
			t.Run(fmt.Sprint(tm, " ", f.name), func(t *testing.T) {
				t.Parallel()
				inBubble(t, tm, false, func(b *bubble) {
					at := b.meet(f)
					pass(max(f.due(tm)/2, time.Second)) // so long that the end was seen
					if kinds, _ := b.verdictsAfter(at); len(kinds) == 0 {
						b.stop()
						b.start()
					}
					pass(f.due(tm) + f.late() + time.Minute)
					b.judge(f, at, f.due(tm)*3/2+f.late()+time.Second)
				})
			})
		}
	}
}

// A download that goes into a directory of its own leaves no listing before
// huggingface_hub 1.22.
func TestADownloadIntoADirectoryOfItsOwnComesToItsEnd(t *testing.T) {
	for _, tm := range timings {
		t.Run(tm.String(), func(t *testing.T) {
			t.Parallel()
			inBubble(t, tm, false, func(b *bubble) {
				dir := b.in("hub", "mine")
				stage := filepath.Join(dir, hfcache.LocalStage)
				partial := filepath.Join(stage, "model.safetensors."+madeFiles["model.safetensors"]+".incomplete")
				b.put(partial, "some")
				pass(b.poll + time.Second)
				for n := range 10 {
					pass(time.Second)
					b.put(partial, strings.Repeat("x", 1000*(n+1)))
				}
				b.put(filepath.Join(dir, "config.json"), "{}")
				b.must(os.Rename(partial, filepath.Join(dir, "model.safetensors")))
				for _, file := range []string{"config.json", "model.safetensors"} {
					b.put(filepath.Join(stage, hfcache.LocalNote(file)), fmt.Sprintf("%s\n%s\n%d.5\n", madeCommit, madeFiles[file], time.Now().Unix()))
				}
				at := time.Now()
				pass(tm.quiet + time.Minute)
				kinds, after := b.verdictsAfter(at)
				if len(kinds) != 1 || kinds[0] != string(tracker.Completed) || after[0] < tm.quiet || after[0] > tm.quiet+2*time.Second {
					t.Errorf("verdicts %v %v after", kinds, after)
				}
			})
		})
	}
}
