package state

import (
	"slices"

	"progressd/account"
	"progressd/downloader"
	"progressd/hfcache"
	"progressd/tracker"
)

// noteVerdict remembers what has ended a download. It is written when that is
// closed, and pending until then.
func (s *Store) noteVerdict(of hfcache.Place, e tracker.Event) {
	switch e.Kind {
	case tracker.Completed, tracker.Ended, tracker.Removed:
	default:
		return
	}
	e.InFlight = nil
	if p := e.Downloader; p != nil { // what it asked for is over
		e.Downloader = &downloader.Process{
			PID: p.PID, Started: p.Started, Command: p.Command, Unit: p.Unit, Container: p.Container, User: p.User, Namespace: p.Namespace, Pod: p.Pod,
		}
	}
	s.addVerdict(Verdict{of.Root, of.Repo, e})
	rec := s.repoRecord(of)
	rec.Verdict = &e
	s.touchRepo(of.Root, rec)
}

// addVerdict adds one to those that are remembered. Where these are too many, the
// user of whom most are loses the oldest.
func (s *Store) addVerdict(v Verdict) {
	oldest := v.Event.At.Add(-verdictsKept)
	s.dropVerdicts(func(other Verdict) bool {
		return other.Root == v.Root && other.Repo == v.Repo || other.Event.Kind != tracker.Completed && other.Event.At.Before(oldest)
	})
	s.verdicts = append(s.verdicts, v)
	if len(s.verdicts) <= maxVerdicts {
		return
	}
	most := account.MostOf(s.accounts, slices.Values(s.verdicts), func(v Verdict) account.User { return s.of(v.Root).payer })
	dropped := false
	s.dropVerdicts(func(other Verdict) bool {
		first := !dropped && s.of(other.Root).payer == most
		dropped = dropped || first
		return first
	})
}

// dropVerdicts forgets some. They are gone from the disk when their root's records
// are written afresh.
func (s *Store) dropVerdicts(which func(Verdict) bool) {
	s.verdicts = slices.DeleteFunc(s.verdicts, func(v Verdict) bool {
		if !which(v) {
			return false
		}
		if rec := s.of(v.Root).repos[v.Repo]; rec != nil {
			rec.Verdict = nil
		}
		return true
	})
}

// recallVerdicts takes up those that are remembered with their repositories, and
// those that are pending.
func (s *Store) recallVerdicts() {
	var all []Verdict
	for _, r := range s.roots {
		for _, rec := range r.repos {
			if rec.Verdict != nil {
				all = append(all, Verdict{r.root, rec.Repo, *rec.Verdict})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Verdict) int { return a.Event.At.Compare(b.Event.At) })
	for _, v := range all {
		s.addVerdict(v)
	}
	for _, e := range inOrder(s.episodes) {
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
	if r := s.roots[root]; r != nil && r.repos[repo] != nil {
		return r.repos[repo].Log
	}
	return ""
}
