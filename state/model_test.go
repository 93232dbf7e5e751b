package state

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"progressd/hfcache"
	"progressd/tracker"
)

var sinks = []string{"log", "journal"}

// modelEpisode is an episode as a simple mind remembers it.
type modelEpisode struct {
	ep      tracker.Episode
	pending []modelVerdict
}

type modelVerdict struct {
	id      string
	size    int64 // of its position, -1 if it has none
	written map[string]bool
}

// model is the store without a disk: all episodes that ever were, in order.
type model struct {
	all   []*modelEpisode
	since map[hfcache.Repo]time.Time // of the last that ended
}

func (m *model) open(repo hfcache.Repo) *modelEpisode {
	for _, e := range m.all {
		if e.ep.Repo == repo && !e.ep.Over() {
			return e
		}
	}
	return nil
}

func (m *model) pending(sink string) []string {
	out := []string{}
	for _, e := range m.all {
		for _, v := range e.pending {
			if !v.written[sink] {
				out = append(out, v.id)
			}
		}
	}
	return out
}

func (m *model) find(id string) *modelVerdict {
	for _, e := range m.all {
		for i := range e.pending {
			if e.pending[i].id == id {
				return &e.pending[i]
			}
		}
	}
	return nil
}

func (m *model) forgetWritten() {
	for _, e := range m.all {
		e.pending = slices.DeleteFunc(e.pending, func(v modelVerdict) bool { return len(v.written) == len(sinks) })
	}
}

// machine drives a store and the model by the same random history.
type machine struct {
	dir   string
	store *Store
	l     *Ledger
	model model
	made  int
}

func TestStoreBehavesAsItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{dir: quickDir(t), model: model{since: map[hfcache.Repo]time.Time{}}}
		m.reopen(t)
		defer func() { kill(m.store) }()
		rt.Repeat(map[string]func(*rapid.T){
			"progress": func(rt *rapid.T) { m.tell(rt, false, tracker.Progress) },
			"stalled":  func(rt *rapid.T) { m.tell(rt, false, tracker.Stalled) },
			"end":      func(rt *rapid.T) { m.tell(rt, true, tracker.Completed) },
			"endMute":  func(rt *rapid.T) { m.tell(rt, true, tracker.Progress) },
			"placing":  m.placing,
			"written":  m.written,
			"kill":     func(*rapid.T) { kill(m.store); m.reopen(t) },
			"":         m.check,
		})
	})
}

func (m *machine) reopen(tb testing.TB) {
	tb.Helper()
	m.store, _ = openStore(tb, m.dir, &testDisk{})
	m.l, _, _ = start(m.store)
}

// tell goes on with the open episode of some repository, or opens one.
func (m *machine) tell(rt *rapid.T, end bool, kind tracker.Kind) {
	repo := rapid.SampledFrom([]hfcache.Repo{llama, qwen}).Draw(rt, "repo")
	e := m.model.open(repo)
	if e == nil {
		m.made++
		e = &modelEpisode{ep: record(fmt.Sprint("e", m.made), repo, rapid.IntRange(0, 99).Draw(rt, "minute"))}
		m.model.all = append(m.model.all, e)
	}
	e.ep.Seq++
	if end {
		e.ep = over(e.ep)
		m.model.since[repo] = e.ep.Checkpoint.Since
	}
	ev := event(e.ep, kind)
	ev.ID = fmt.Sprint(e.ep.ID, "-", e.ep.Seq)
	if ev.Verdict() {
		e.pending = append(e.pending, modelVerdict{id: ev.ID, size: -1, written: map[string]bool{}})
		if len(e.pending) > maxPending {
			e.pending = e.pending[1:]
		}
	}
	m.l.Commit(&e.ep, []tracker.Event{ev})
	m.l.pass()
}

// anyID is that of some verdict, or of none.
func (m *machine) anyID(rt *rapid.T) string {
	known := append(m.model.pending("log"), m.model.pending("journal")...)
	return rapid.SampledFrom(append(known, "unknown")).Draw(rt, "id")
}

func (m *machine) placing(rt *rapid.T) {
	id := m.anyID(rt)
	at := tracker.Position{Size: rapid.Int64Range(0, 99).Draw(rt, "size"), Line: id}
	err := placing(m.store, id, at)
	v := m.model.find(id)
	if (err == nil) != (v != nil) {
		rt.Fatalf("Placing %s: %v", id, err)
	}
	if v != nil {
		v.size = at.Size
	}
}

func (m *machine) written(rt *rapid.T) {
	id, sink := m.anyID(rt), rapid.SampledFrom(sinks).Draw(rt, "sink")
	m.store.Written(id, sink)
	if v := m.model.find(id); v != nil {
		v.written[sink] = true
	}
	m.model.forgetWritten()
}

func (m *machine) check(rt *rapid.T) {
	want := []string{}
	for _, e := range m.model.all {
		if !e.ep.Over() {
			want = append(want, fmt.Sprint(e.ep))
		}
	}
	got := []string{}
	for _, ep := range m.store.Episodes() {
		got = append(got, fmt.Sprint(ep))
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("open:\ngot  %v\nwant %v", got, want)
	}
	for _, sink := range sinks {
		if got, want := ids(m.store.pendingFor(sink)), m.model.pending(sink); !slices.Equal(got, want) {
			rt.Fatalf("pending for the %s: got %v, want %v", sink, got, want)
		}
	}
	m.checkPlaced(rt)
	m.checkRepos(rt)
}

func (m *machine) checkPlaced(rt *rapid.T) {
	for _, e := range m.model.all {
		for _, v := range e.pending {
			at, placed := m.store.Placed(v.id)
			if placed != (v.size >= 0) || placed && at.Size != v.size {
				rt.Fatalf("%s placed at %+v, %v, want %d", v.id, at, placed, v.size)
			}
		}
	}
}

func (m *machine) checkRepos(rt *rapid.T) {
	for _, repo := range []hfcache.Repo{llama, qwen} {
		want, known := m.model.since[repo], slices.Contains(slices.Collect(maps.Keys(m.model.since)), repo)
		play := ""
		if e := m.model.open(repo); e != nil {
			want, known, play = e.ep.Checkpoint.Since, true, e.ep.ID
		}
		got, ok := m.store.Repo(root, home, repo)
		if ok != known || !got.Since.Equal(want) || got.Play != play {
			rt.Fatalf("%v: got %+v, %v, want %v, %q, %v", repo, got, ok, want, play, known)
		}
	}
}

func FuzzRecords(f *testing.F) {
	ep := over(record("e1", llama, 1))
	for _, l := range []line{
		{Head: &headRecord{Version: version, Root: root, Owner: 1000}},
		{Episode: &episodeRecord{Number: 3, Episode: ep, Pending: []pendingRecord{{
			Event: event(ep, tracker.Completed), Position: &tracker.Position{Size: 7, Line: "x"}, Written: []string{"log"},
		}}}},
	} {
		good, err := encode(l)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(good)
	}
	f.Add([]byte(`{"version":1,"roots":[{"path":"/a","inode":1,"since":"2026-01-01T00:00:00Z"}],"repos":[{"root":"/a","type":"model","id":"a/b","log":"a--b.log"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if head, err := decodeHead(data); err == nil && head.Version != version {
			t.Errorf("a head of version %d", head.Version)
		}
		if l, err := decodeLine(data); err == nil {
			if again, err := encode(l); err != nil && len(data) < maxLineBytes/8 {
				t.Errorf("read, but can't be written: %v %s", err, again)
			}
		}
	})
}

// Whatever lies in a file of records, what is understood of it can be read again.
func FuzzRecordsFile(f *testing.F) {
	head := `{"head":{"version":2,"root":"/cache/hub","owner":7}}` + "\n"
	f.Add([]byte(head + `{"repo":{"type":"model","id":"a/b","log":"a--b.log","number":3}}` + "\n" + `{"closed":"e1"}` + "\n" + `{"epi`))
	f.Add([]byte(head + "\x00\x00\n" + `{"baseline":{"inode":7,"since":"2026-01-01T00:00:00Z"}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := quickDir(t)
		write(t, filepath.Join(dir, newRecords(root).file()), string(data))
		s, _ := openStore(t, dir, &testDisk{})
		before := fmt.Sprint(s.Episodes(), s.Reported(), len(s.logs))
		kill(s)
		s, said := openStore(t, dir, &testDisk{})
		said.wantCount(t, "level=", 0)
		if got := fmt.Sprint(s.Episodes(), s.Reported(), len(s.logs)); got != before {
			t.Errorf("read again:\n%s\nbefore:\n%s", got, before)
		}
	})
}
