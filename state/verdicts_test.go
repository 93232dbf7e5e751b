package state

import (
	"fmt"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/tracker"
)

// ended has an episode end as the sinks of start confirm it, or not.
func ended(t *testing.T, s *Store, l *Ledger, id string, n int, kind tracker.Kind) {
	t.Helper()
	ep := record(id, llama, n)
	commit(l, ep, tracker.Preparing)
	commit(l, over(ep), kind)
}

func TestTheLastVerdictIsRememberedOverRestarts(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		t.Run(fmt.Sprint("confirmed ", confirmed), func(t *testing.T) {
			dir := t.TempDir()
			s, _ := openStore(t, dir, &testDisk{})
			l, _, _ := start(s)
			ended(t, s, l, "e1", 1, tracker.Ended)
			ended(t, s, l, "e2", 2, tracker.Completed)
			if confirmed {
				for _, id := range []string{"e1-ended", "e2-completed"} {
					s.Written(id, "log")
					s.Written(id, "journal")
				}
			}
			for _, life := range []string{"", " after a kill"} {
				if got := s.Verdicts(); len(got) != 1 || got[0].Root != root || got[0].Repo != llama || got[0].Event.ID != "e2-completed" {
					t.Errorf("verdicts%s: %+v", life, got)
				}
				if e, known := s.Verdict(root, llama); !known || e.Kind != tracker.Completed {
					t.Errorf("verdict%s: %+v, %v", life, e, known)
				}
				if _, known := s.Verdict(root, qwen); known {
					t.Errorf("another has a verdict%s", life)
				}
				kill(s)
				s, _ = openStore(t, dir, &testDisk{})
			}
		})
	}
}

func TestVerdictsAreBounded(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), &testDisk{})
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := hfcache.Place{Root: root, Repo: qwen}
	s.noteVerdict(failed, tracker.Event{ID: "old", Kind: tracker.Ended, At: day})
	for i := range maxVerdicts {
		key := failed
		key.Repo.ID = fmt.Sprint("org/m", i)
		s.noteVerdict(key, tracker.Event{
			ID: fmt.Sprint(i), Kind: tracker.Completed, At: day.Add(time.Hour + time.Duration(i)*time.Second), InFlight: []tracker.File{{}},
			Downloader: &downloader.Process{PID: 7, Request: &downloader.Request{}},
		})
	}
	if len(s.verdicts) != maxVerdicts || s.verdicts[0].Event.ID != "0" {
		t.Errorf("%d are kept, the first is %+v", len(s.verdicts), s.verdicts[0])
	}
	last := s.verdicts[maxVerdicts-1].Event
	if last.InFlight != nil || last.Downloader.PID != 7 || last.Downloader.Request != nil {
		t.Errorf("%+v", last)
	}
	// What has not succeeded is of no use after a day; what has is.
	s.verdicts = s.verdicts[:0]
	s.noteVerdict(failed, tracker.Event{ID: "old", Kind: tracker.Ended, At: day})
	done := failed
	done.Repo.ID = "org/done"
	s.noteVerdict(done, tracker.Event{ID: "done", Kind: tracker.Completed, At: day})
	s.noteVerdict(hfcache.Place{Root: root, Repo: llama}, tracker.Event{ID: "new", Kind: tracker.Ended, At: day.Add(verdictsKept + time.Second)})
	if len(s.verdicts) != 2 || s.verdicts[0].Event.ID != "done" || s.verdicts[1].Event.ID != "new" {
		t.Errorf("%+v", s.verdicts)
	}
	// A stall is no end.
	s.noteVerdict(done, tracker.Event{ID: "stalled", Kind: tracker.Stalled, At: day})
	if s.verdicts[0].Event.ID != "done" {
		t.Errorf("%+v", s.verdicts)
	}
}

func TestALogIsNotNamedByAsking(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), &testDisk{})
	if name := s.LogOf(root, llama); name != "" {
		t.Errorf("%q", name)
	}
	want := s.LogName(root, llama)
	if name := s.LogOf(root, llama); name != want || want == "" {
		t.Errorf("%q, want %q", name, want)
	}
}
