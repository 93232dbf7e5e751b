package state

import (
	"cmp"
	"slices"

	"progressd/hfcache"
	"progressd/tracker"
)

// noteLeftovers remembers with its repository when leftovers were told.
func (s *Store) noteLeftovers(of hfcache.Place, e tracker.Event) {
	if e.Kind != tracker.OrphansFound {
		return
	}
	rec := s.repoRecord(of)
	rec.Leftovers = sane(e.At.Round(0))
	s.touchRepo(of.Root, rec)
}

// Reported gives when the leftovers of each repository were told last.
func (s *Store) Reported() []tracker.Reported {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []tracker.Reported
	for _, r := range s.roots {
		for repo, rec := range r.repos {
			if !rec.Leftovers.IsZero() {
				all = append(all, tracker.Reported{Root: r.root, Repo: repo, At: rec.Leftovers})
			}
		}
	}
	slices.SortFunc(all, func(a, b tracker.Reported) int {
		return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Repo.Type, b.Repo.Type), cmp.Compare(a.Repo.ID, b.Repo.ID))
	})
	return all
}
