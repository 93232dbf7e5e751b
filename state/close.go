package state

import (
	"maps"
	"slices"

	"progressd/account"
)

// settle drops the notes of verdicts that every sink has, and closes an
// episode that is over with nothing pending.
func (s *Store) settle(e *episode) {
	before := len(e.Pending)
	e.Pending = slices.DeleteFunc(e.Pending, func(p pendingRecord) bool {
		waits := slices.ContainsFunc(s.awaited, func(sink string) bool { return !slices.Contains(p.Written, sink) })
		if !waits {
			delete(s.pending, p.Event.ID)
		}
		return !waits
	})
	if len(e.Pending) < before {
		s.touchEpisode(e)
	}
	if e.Episode.Over() && len(e.Pending) == 0 {
		s.close(e)
	}
}

func (s *Store) close(e *episode) {
	if rec := s.repoRecord(e.key()); e.played() && e.Number > rec.Number {
		rec.Number, rec.Home = e.Number, e.Episode.Home
		rec.Since, rec.CutOffs = e.Episode.Checkpoint.Since, e.Episode.Checkpoint.CutOffs
		e.of.touch(rec)
	}
	e.of.end(e)
	s.forgetEpisode(e)
	s.touch(e.of)
}

// boundEpisodes has the user with the most of them give up its oldest episode
// that only waits for its sinks.
func (s *Store) boundEpisodes() {
	if len(s.episodes) < maxEpisodes {
		return
	}
	most := account.MostOf(s.accounts, maps.Values(s.episodes), func(e *episode) account.User { return e.of.payer })
	for _, e := range inOrder(s.episodes) {
		if e.Episode.Over() && e.of.payer == most {
			s.accounts.Refused(most, account.Ends)
			s.close(e)
			return
		}
	}
}
