package sink

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
	"progressd/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is 10:01:15 PM in the zone of the tests.
var at = time.Date(2026, 10, 5, 22, 1, 15, 0, time.Local)

var ocr = hfcache.Repo{Type: hfcache.Model, ID: "deepseek-ai/deepseek-ocr"}

const ocrLog = "deepseek-ai--deepseek-ocr.log"

func event(kind tracker.Kind, id string) tracker.Event {
	return tracker.Event{ID: id, Kind: kind, At: at, Root: "/cache", Repo: ocr, Log: ocrLog}
}

func progressOf(bytes int64) tracker.Event {
	e := event(tracker.Progress, "")
	e.Bytes = bytes
	return e
}

var clock = Form{Text: Message, Stamp: Clock}

// memory is an Outbox that survives what the test calls a crash.
type memory struct {
	mu      sync.Mutex
	notes   map[string]tracker.Position
	written map[string]int
	syncs   int // how often Placing was called
	// broken is what Placing gives.
	broken error
}

func newMemory() *memory {
	return &memory{notes: map[string]tracker.Position{}, written: map[string]int{}}
}

func (m *memory) Placing(placements []tracker.Placement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.syncs++
	for _, p := range placements {
		if m.broken == nil {
			m.notes[p.Event] = p.At
		}
	}
	return m.broken
}

func (m *memory) Placed(id string) (tracker.Position, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.notes[id]
	return at, ok
}

func (m *memory) Written(id, sink string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.notes, id)
	m.written[id+" "+sink]++
}

// diagnostics collects what is logged.
type diagnostics struct {
	mu   sync.Mutex
	text strings.Builder
}

func (d *diagnostics) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diagnostics) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(d, nil))
}

// count is how many lines of this level were logged.
func (d *diagnostics) count(level string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.text.String(), "level="+level)
}

func newLog(t *testing.T, out Outbox) (*ModelLog, *diagnostics) {
	t.Helper()
	d := &diagnostics{}
	return NewModelLog(filepath.Join(t.TempDir(), "logs"), clock, out, d.logger()), d
}

func write(t *testing.T, s Sink, events ...tracker.Event) {
	t.Helper()
	for _, e := range events {
		if err := s.Write(context.Background(), e); err != nil {
			t.Fatalf("cannot write %s: %v", e.Kind, err)
		}
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	held, wanted := strings.SplitAfter(string(got), "\n"), strings.SplitAfter(want, "\n")
	for i := range max(len(held), len(wanted)) {
		var h, w string
		if i < len(held) {
			h = held[i]
		}
		if i < len(wanted) {
			w = wanted[i]
		}
		if h != w {
			t.Fatalf("%s: line %d of %d is\n%q\nwant\n%q", filepath.Base(path), i+1, len(held)-1, h, w)
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may do this")
	}
}
