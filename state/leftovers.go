package state

import (
	"cmp"
	"slices"

	"progressd/tracker"
)

// noteLeftovers remembers with its repository when leftovers were told.
func (s *Store) noteLeftovers(of repoKey, e tracker.Event) {
	if e.Kind != tracker.OrphansFound {
		return
	}
	s.repoRecord(of).Leftovers = sane(e.At.Round(0))
	s.stateDirty = true
}

// Reported gives when the leftovers of each repository were told last.
func (s *Store) Reported() []tracker.Reported {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []tracker.Reported
	for key, rec := range s.repos {
		if !rec.Leftovers.IsZero() {
			all = append(all, tracker.Reported{Root: key.root, Repo: key.repo, At: rec.Leftovers})
		}
	}
	slices.SortFunc(all, func(a, b tracker.Reported) int {
		return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Repo.Type, b.Repo.Type), cmp.Compare(a.Repo.ID, b.Repo.ID))
	})
	return all
}
