package state

import (
	"cmp"
	"maps"
	"slices"

	"progressd/account"
	"progressd/hfcache"
)

// repoRecord gives the record of a repository, a new one if there is none.
func (s *Store) repoRecord(key hfcache.Place) *repoRecord {
	r := s.of(key.Root)
	rec := r.repos[key.Repo]
	if rec == nil {
		s.boundNames()
		rec = &repoRecord{Repo: key.Repo}
		r.repos[key.Repo] = rec
		s.names[r.payer]++
		s.allNames++
	}
	return rec
}

// boundNames has the user of whom the most repositories are remembered forget a
// tenth of them, those first whose last download is the longest ago. What is
// forgotten may be told once more. One with a download under way is kept.
func (s *Store) boundNames() {
	limit := int(account.Names.Limit().All)
	if s.allNames < limit {
		return
	}
	most := account.Most(s.names)
	type place struct {
		of  *records
		rec *repoRecord
	}
	var all []place
	for _, r := range s.roots {
		if r.payer != most {
			continue
		}
		busy := r.busy()
		for _, rec := range r.repos {
			if !busy[rec.Repo] {
				all = append(all, place{r, rec})
			}
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.rec.Number, b.rec.Number) })
	gone := make(map[hfcache.Place]bool)
	for _, p := range all[:min(len(all), max(len(all)/10, 1))] {
		gone[hfcache.Place{Root: p.of.root, Repo: p.rec.Repo}] = true
		p.of.forget(p.rec)
		s.touch(p.of)
		delete(s.logs, p.rec.Log)
		s.names[most]--
		s.allNames--
	}
	s.verdicts = slices.DeleteFunc(s.verdicts, func(v Verdict) bool { return gone[hfcache.Place{Root: v.Root, Repo: v.Repo}] })
	s.accounts.Refused(most, account.Names)
}

// busy are the repositories of which an episode is remembered.
func (r *records) busy() map[hfcache.Repo]bool {
	busy := make(map[hfcache.Repo]bool, len(r.episodes))
	for _, e := range r.episodes {
		busy[e.Episode.Repo] = true
	}
	return busy
}

// boundRoots has the user with the most roots forget the one that was found the
// longest ago, if there are too many. One that is watched now is forgotten last.
func (s *Store) boundRoots() {
	if len(s.roots) < maxRoots {
		return
	}
	most := account.MostOf(s.accounts, maps.Values(s.roots), func(r *records) account.User { return r.payer })
	// In this order: whose it is, whether it has a download, when it was found.
	rank := func(r *records) (n int) {
		if r.payer != most {
			n += 2
		}
		if len(r.episodes) > 0 {
			n++
		}
		return n
	}
	oldest := slices.MinFunc(slices.Collect(maps.Values(s.roots)), func(a, b *records) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.found, b.found), cmp.Compare(a.root, b.root))
	})
	s.accounts.Refused(most, account.Roots)
	s.drop(oldest)
}

// drop forgets a root.
func (s *Store) drop(r *records) {
	for _, e := range r.episodes {
		s.forgetEpisode(e)
	}
	for _, rec := range r.repos {
		delete(s.logs, rec.Log)
	}
	s.names[r.payer] -= len(r.repos)
	s.allNames -= len(r.repos)
	s.verdicts = slices.DeleteFunc(s.verdicts, func(v Verdict) bool { return v.Root == r.root })
	delete(s.roots, r.root)
	delete(s.changed, r)
	s.gone[r.file()] = struct{}{}
}

// forgetEpisode takes an episode off the lists of the store.
func (s *Store) forgetEpisode(e *episode) {
	delete(s.episodes, e.Episode.ID)
	for _, p := range e.Pending {
		delete(s.pending, p.Event.ID)
	}
	s.accounts.Give(e.payer, account.Records, int64(e.size))
	e.size = 0
}

// of gives the records of a root, which are made if there are none.
func (s *Store) of(path string) *records {
	r := s.roots[path]
	if r == nil {
		s.boundRoots()
		r = newRecords(path)
		s.roots[path] = r
		s.touch(r)
	}
	return r
}

// own has another user pay for what is remembered of a root.
func (s *Store) own(r *records, owner account.User) {
	payer := s.accounts.Whose(owner)
	s.names[r.payer] -= len(r.repos)
	s.names[payer] += len(r.repos)
	r.owner, r.payer = owner, payer
	for _, e := range r.episodes {
		if e.size > 0 {
			e.charge(s.accounts, e.size)
		}
	}
}
