package state

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/tracker"
)

// world is what survives a kill: the directory, the log and the journal.
type world struct {
	dir     string
	log     []string
	journal map[string]int
	// left is how many points may still be passed in this life.
	left int
	// points counts those passed in all.
	points int
}

// killed is the panic that stands for SIGKILL.
type killed struct{}

// point is a place at which the daemon may die.
func (w *world) point() {
	w.points++
	if w.left--; w.left == 0 {
		panic(killed{})
	}
}

// mortalDisk can die before, in the middle of and after each operation.
type mortalDisk struct {
	osDisk
	w *world
}

func (d mortalDisk) extend(path string, size int64, data []byte, durably bool) error {
	d.w.point()
	if d.w.left == 1 { // it dies at the next point, in the middle of this
		data = data[:len(data)/2]
	}
	err := d.osDisk.extend(path, size, data, false)
	d.w.point()
	return err
}

func (d mortalDisk) rewrite(path string, write func(io.Writer) error) error {
	d.w.point()
	if err := os.WriteFile(path+tempSuffix, []byte(`{"head":`), 0o600); err != nil {
		return err
	}
	d.w.point()
	err := (&testDisk{}).rewrite(path, write)
	d.w.point()
	return err
}

func (d mortalDisk) remove(path string) error {
	d.w.point()
	err := d.osDisk.remove(path)
	d.w.point()
	return err
}

// download is one that the engine sees; at is when its last blob finished.
type download struct {
	id   string
	repo hfcache.Repo
	at   time.Time
	// seen in one look, or in several with an interruption.
	atOnce bool
}

var downloads = []download{
	{"slow", llama, day.Add(1 * time.Hour), false},
	{"quick", qwen, day.Add(2 * time.Hour), true},
	{"again", llama, day.Add(3 * time.Hour), true},
	{"slowly", qwen, day.Add(4 * time.Hour), false},
}

// live is one life of a daemon in that world; it reports whether it came to
// its natural end.
func (w *world) live(t *testing.T) (whole bool) {
	s := newStore(w.dir, newAccounts(), slog.New(slog.DiscardHandler), mortalDisk{w: w})
	defer func() {
		kill(s)
		switch r := recover(); r.(type) {
		case nil, killed:
		default:
			panic(r)
		}
	}()
	if err := s.enter(); err != nil {
		t.Fatal(err)
	}
	d := newDaemon(w, s)
	for _, dl := range downloads {
		d.see(t, dl)
	}
	same(t, "pending at the end", append(ids(s.pendingFor("log")), ids(s.pendingFor("journal"))...))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return true
}

// daemon is an engine and two sinks around a store.
type daemon struct {
	w            *world
	s            *Store
	l            *Ledger
	log, journal told
	open         map[string]tracker.Episode
}

func newDaemon(w *world, s *Store) *daemon {
	d := &daemon{w: w, s: s, open: map[string]tracker.Episode{}}
	d.l = NewLedger(s, []Outlet{{"log", &d.log}, {"journal", &d.journal}}, slog.New(slog.DiscardHandler))
	if _, known := s.Root(root, numbered(7)); !known {
		if err := s.NoteRoot(root, numbered(7), day); err != nil {
			panic(err)
		}
	}
	for _, ep := range s.Episodes() {
		d.open[ep.ID] = ep
	}
	d.l.replay()
	d.deliver()
	return d
}

// see is the engine: it judges by what the store remembers and nothing else.
func (d *daemon) see(t *testing.T, dl download) {
	ep, going := d.open[dl.id]
	if !going {
		since, _ := d.s.Root(root, numbered(7))
		if m, known := d.s.Repo(root, home, dl.repo); known {
			since = m.Since
		}
		if !dl.at.After(since) {
			return // told before
		}
		ep = record(dl.id, dl.repo, 0)
		ep.Checkpoint.Since = since
	}
	end := ep
	end.Phase = tracker.PhaseOver
	end.Checkpoint.Since = dl.at
	if dl.atOnce {
		d.commit(end, tracker.Preparing, tracker.Completed)
		return
	}
	if ep.Announced == 0 {
		ep.Announced = 100
		d.commit(ep, tracker.Preparing, tracker.Progress)
	}
	if ep.Phase != tracker.PhaseInterrupted {
		ep.Phase = tracker.PhaseInterrupted
		d.commit(ep, tracker.Interrupted)
	}
	d.commit(end, tracker.Completed)
}

func (d *daemon) commit(ep tracker.Episode, kinds ...tracker.Kind) {
	d.w.point()
	commit(d.l, ep, kinds...)
	d.w.point()
	d.deliver()
}

// deliver is both sinks, as they use the outbox.
func (d *daemon) deliver() {
	for _, e := range d.journal.events {
		d.w.point()
		d.w.journal[e.ID]++
		d.w.point()
		d.s.Written(e.ID, "journal")
	}
	for _, e := range d.log.events {
		d.w.point()
		if e.Verdict() {
			d.place(e)
		} else {
			d.w.log = append(d.w.log, e.ID)
		}
	}
	d.journal.events, d.log.events = nil, nil
}

func (d *daemon) place(e tracker.Event) {
	at, placed := d.s.Placed(e.ID)
	if !placed {
		at = tracker.Position{Size: int64(len(d.w.log)), Line: e.ID}
		if err := placing(d.s, e.ID, at); err != nil {
			panic(err)
		}
	}
	d.w.point()
	if !slices.Contains(d.w.log[at.Size:], at.Line) {
		d.w.log = append(d.w.log, at.Line)
	}
	d.w.point()
	d.s.Written(e.ID, "log")
}

// judge wants every verdict exactly once in the log, at least once in the
// journal, no step twice, and nothing left behind.
func (w *world) judge(t *testing.T) {
	t.Helper()
	count := map[string]int{}
	for _, line := range w.log {
		count[line]++
	}
	for _, dl := range downloads {
		verdicts := []string{dl.id + "-completed"}
		if !dl.atOnce {
			verdicts = append(verdicts, dl.id+"-interrupted")
		}
		for _, v := range verdicts {
			if count[v] != 1 || w.journal[v] < 1 {
				t.Errorf("%s: %d times in the log, %d in the journal", v, count[v], w.journal[v])
			}
		}
	}
	for line, n := range count {
		if n > 1 {
			t.Errorf("%s: %d times in the log", line, n)
		}
	}
	same(t, "records left", left(t, w.dir, root))
	for _, name := range files(t, filepath.Join(w.dir, rootsDir), "") {
		if strings.Contains(name, asideMark) {
			t.Errorf("%s was kept aside", name)
		}
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{dir: quickDir(t), journal: map[string]int{}}
}

func testKilledAnywhere(t *testing.T) {
	whole := newWorld(t)
	whole.live(t)
	whole.judge(t)
	if whole.points < 50 {
		t.Fatalf("only %d points: this tests nothing", whole.points)
	}
	for n := 1; n <= whole.points && !t.Failed(); n++ {
		w := newWorld(t)
		w.left = n
		if w.live(t) {
			t.Fatalf("kill %d did not happen", n)
		}
		w.left = 0
		w.live(t)
		w.judge(t)
		if t.Failed() {
			t.Errorf("killed at point %d of %d; log %v", n, whole.points, w.log)
		}
	}
}

func testKilledOften(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for kills := 0; kills < 1000 && !t.Failed(); {
		w := newWorld(t)
		for w.left = 1 + random.IntN(40); !w.live(t); w.left = 1 + random.IntN(40) {
			kills++
		}
		w.judge(t)
	}
}
