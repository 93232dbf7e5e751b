package state

import (
	"errors"
	"slices"

	"progressd/hfcache"
	"progressd/tracker"
)

// adopt takes over a repository's record, but no log name that could lead
// elsewhere or that another repository has.
func (s *Store) adopt(r *records, rec repoRecord) {
	key := hfcache.Place{Root: r.root, Repo: rec.Repo}
	if holder, taken := s.logs[rec.Log]; !safeName(rec.Log) || taken && holder != key {
		rec.Log = ""
	}
	if former := r.repos[rec.Repo]; former != nil {
		if former.Log != rec.Log {
			delete(s.logs, former.Log)
		}
	} else {
		s.names[r.payer]++
		s.allNames++
	}
	if rec.Log != "" {
		s.logs[rec.Log] = key
	}
	r.repos[rec.Repo] = &rec
	s.last = max(s.last, rec.Number)
}

// adoptEpisode takes over what is remembered of a download, if its user has
// room for it.
func (s *Store) adoptEpisode(r *records, rec episodeRecord, size int) error {
	rec.Episode.Root = r.root
	e := r.episodes[rec.Episode.ID]
	if e == nil {
		if s.episodes[rec.Episode.ID] != nil {
			return errors.New("it holds an episode of another root")
		}
		e = &episode{of: r, payer: r.payer}
	}
	for _, p := range e.Pending {
		delete(s.pending, p.Event.ID)
	}
	if !e.charge(s.accounts, size) {
		delete(r.episodes, rec.Episode.ID)
		delete(s.episodes, rec.Episode.ID)
		return nil
	}
	e.episodeRecord = rec
	r.episodes[rec.Episode.ID], s.episodes[rec.Episode.ID] = e, e
	for _, p := range rec.Pending {
		s.pending[p.Event.ID] = e
	}
	s.last = max(s.last, rec.Number)
	return nil
}

// endOlderTwins leaves each repository of a directory one open episode.
func (s *Store) endOlderTwins(r *records) {
	newest := map[hfcache.Repo][]*episode{}
	for _, e := range inOrder(r.episodes) {
		if e.Episode.Over() {
			continue
		}
		others := slices.DeleteFunc(newest[e.Episode.Repo], func(older *episode) bool {
			if !older.Episode.Home.Same(e.Episode.Home) {
				return false
			}
			older.Episode.Phase = tracker.PhaseOver
			s.touchEpisode(older)
			return true
		})
		newest[e.Episode.Repo] = append(others, e)
	}
}
