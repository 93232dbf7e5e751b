package tracker

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"progressd/sizer"
)

// shown keeps what a tracker publishes, and holds it against its lines.
type shown struct {
	commits
	all []Standing
}

func (s *shown) show(standing Standing) { s.all = append(s.all, standing) }

// Commit checks that who hears of a line finds how its download stands.
func (s *shown) Commit(ep *Episode, events []Event) {
	if ep != nil && len(events) > 0 {
		last := s.all[len(s.all)-1]
		if last.Episode != ep.ID || last.Now.Bytes != ep.Bytes || last.Over != ep.Over() || last.Silent {
			panic("a line is told of what was not published")
		}
	}
	s.commits.Commit(ep, events)
}

func publishing() (*Tracker, *shown) {
	s := &shown{}
	return New(defaults, s, Hooks{Shown: s.show}, slog.New(slog.DiscardHandler)), s
}

func TestHowADownloadStandsIsPublished(t *testing.T) {
	tr, s := publishing()
	now := time.Now()
	look := playing("org/a", now, 5*mb)
	look.Total, look.TotalSource, look.Files, look.FilesDone = 50*mb, sizer.FromListing, 9, 3
	look.Room = sizer.Room{Dev: 7, Size: 100 * mb, Free: 60 * mb}
	look.InFlight = []sizer.InFlight{{Name: "a", Etag: "e", Bytes: 5 * mb, Size: 10 * mb}}
	tr.observe(look)
	first := s.all[len(s.all)-1]
	if first.State != Progress || first.Over || first.Root != "/r" || first.Repo.ID != "org/a" || first.Device != 7 || first.Began.IsZero() {
		t.Errorf("%+v", first)
	}
	e := first.Now
	if e.ID != "" || e.Kind != "" || e.Bytes != 5*mb || e.Total != 50*mb || e.Files != 9 || e.FilesDone != 3 ||
		len(e.InFlight) != 1 || e.Needed != 45*mb || e.Free != 60*mb {
		t.Errorf("%+v", e)
	}
	if !strings.HasPrefix(s.events[0].ID, first.Episode+"-") {
		t.Errorf("episode %s, event %s", first.Episode, s.events[0].ID)
	}
	// While time passes it is published now and then, and more often for those
	// who watch.
	for watched, want := range map[bool]int{false: 2, true: 10} {
		tr.hooks.Watched = func() bool { return watched }
		now, n := look.At, len(s.all)
		for i := range 100 {
			look.At = now.Add(time.Duration(i+1) * 100 * time.Millisecond)
			look.Bytes, look.Arrived = look.Bytes+1, 1
			tr.observe(look)
		}
		if got := len(s.all) - n; got != want {
			t.Errorf("watched %v: published %d times in 10 s, want %d", watched, got, want)
		}
	}
	if grown := s.all[len(s.all)-1].Grown; !grown.Equal(look.At.Round(0)) {
		t.Errorf("grown at %v, want %v", grown, look.At)
	}
	look.Bytes, look.Proof = 50*mb, sizer.ProvenByListing
	tr.observe(look)
	if last := s.all[len(s.all)-1]; !last.Over || last.Silent || last.Now.Bytes != 50*mb {
		t.Errorf("%+v", last)
	}
}

func TestWhatIsRestoredIsPublishedAsItStood(t *testing.T) {
	tr, s := publishing()
	now := time.Now()
	tr.Restore([]Episode{
		{ID: "e1", Root: "/r", Repo: model, Play: "1", Seq: 3, Bytes: 5 * mb, Began: now.Add(-time.Hour), LastByteAt: now.Add(-time.Minute), Phase: PhaseStalled},
		{ID: "e2", Root: "/r2", Repo: model, Play: "1", Seq: 3, Phase: PhaseInterrupted},
		{ID: "e3", Root: "/r3", Repo: model, Play: "1", Seq: 3, Phase: PhaseFailed},
		{ID: "e4", Root: "/r4", Repo: model, Seq: 1},
	}, now)
	var states []string
	for _, standing := range s.all {
		states = append(states, standing.Episode+" "+string(standing.State))
	}
	if got := strings.Join(states, ", "); got != "e1 stalled, e2 interrupted, e3 failed, e4 preparing" {
		t.Errorf("%s", got)
	}
	if first := s.all[0]; first.Now.Bytes != 5*mb || now.Sub(first.Grown).Round(time.Second) != time.Minute {
		t.Errorf("%+v", first)
	}
}

// What was begun and is given up without a word is no more.
func TestWhatEndsWithoutALineIsPublishedAsOver(t *testing.T) {
	tr, s := publishing()
	now := time.Now()
	tr.report(Report{Root: "/r", Repo: model, At: now, Kind: RunBegan, Process: cli, Only: true})
	if last := s.all[len(s.all)-1]; last.State != Preparing || last.Over {
		t.Errorf("%+v", last)
	}
	tr.report(Report{Root: "/r", Repo: model, At: now, Kind: RunLost})
	tr.tick(now.Add(time.Minute))
	if last := s.all[len(s.all)-1]; !last.Over || !last.Silent {
		t.Errorf("%+v", last)
	}
}
