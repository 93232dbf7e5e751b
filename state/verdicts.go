package state

import (
	"slices"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/tracker"
)

const (
	// maxVerdicts bounds the verdicts that are remembered, the newest.
	maxVerdicts = 500
	// verdictsKept is for how long others than successes are: those are also
	// what a later look at the same files is held against.
	verdictsKept = 24 * time.Hour
)

// A Verdict is what ended the last download of a repository, for those who ask
// later. Root and Repo are those of its looks.
type Verdict struct {
	Root string `json:"root"`
	hfcache.Repo
	Event tracker.Event `json:"event"`
}

// noteVerdict remembers what has ended a download. It is written when that is
// closed, and pending until then.
func (s *Store) noteVerdict(of repoKey, e tracker.Event) {
	switch e.Kind {
	case tracker.Completed, tracker.Ended, tracker.Removed:
	default:
		return
	}
	e.InFlight = nil
	if p := e.Downloader; p != nil { // what it asked for is over
		e.Downloader = &downloader.Process{PID: p.PID, Started: p.Started, Command: p.Command, Unit: p.Unit, Container: p.Container, User: p.User}
	}
	oldest := e.At.Add(-verdictsKept)
	s.verdicts = slices.DeleteFunc(s.verdicts, func(v Verdict) bool {
		return v.Root == of.root && v.Repo == of.repo || v.Event.Kind != tracker.Completed && v.Event.At.Before(oldest)
	})
	s.verdicts = append(s.verdicts, Verdict{of.root, of.repo, e})
	if over := len(s.verdicts) - maxVerdicts; over > 0 {
		s.verdicts = slices.Delete(s.verdicts, 0, over)
	}
}

// recallVerdicts takes up those that are pending.
func (s *Store) recallVerdicts() {
	for _, e := range s.inOrder() {
		for _, p := range e.Pending {
			s.noteVerdict(e.key(), p.Event)
		}
	}
}

// Verdicts are those that are remembered, in the order in which they were told.
func (s *Store) Verdicts() []Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.verdicts)
}

// Verdict is the last one on a repository.
func (s *Store) Verdict(root string, repo hfcache.Repo) (tracker.Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.verdicts, func(v Verdict) bool { return v.Root == root && v.Repo == repo })
	if i < 0 {
		return tracker.Event{}, false
	}
	return s.verdicts[i].Event, true
}

// LogOf is the name of a repository's log file, empty if it was given none.
func (s *Store) LogOf(root string, repo hfcache.Repo) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rec := s.repos[repoKey{root, repo}]; rec != nil {
		return rec.Log
	}
	return ""
}
