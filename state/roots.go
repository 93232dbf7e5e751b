package state

import (
	"fmt"
	"slices"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// Root gives the baseline of the root that is that directory at that path, in
// time of its file system.
func (s *Store) Root(path string, home fsys.Identity) (since time.Time, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.roots[path]
	if r == nil {
		return time.Time{}, false
	}
	i := r.baseline(home)
	if i < 0 {
		return time.Time{}, false
	}
	return r.baselines[i].Since, true
}

// NoteRoot notes the baseline of a root in one atomic step. After an error it
// is known until the daemon ends, and written as soon as that can be done.
func (s *Store) NoteRoot(path string, home fsys.Identity, since time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(path)
	if i := r.baseline(home); i >= 0 {
		r.baselines = slices.Delete(r.baselines, i, i+1)
		r.changed.all = true // a line alone doesn't take it back
	}
	r.addBaseline(baseline{Identity: home, Since: sane(since)})
	r.changed.baselines, r.changed.durably = true, true
	s.touch(r)
	err := s.sync()
	if !r.changed.some() {
		return nil
	}
	return fmt.Errorf("cannot note root %q: %w", path, err)
}

// Found notes for whom a root is watched, when it is found.
func (s *Store) Found(t tracker.Tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(t.Root)
	r.named = t.Named
	s.found++
	r.found = s.found
	if r.owner == t.Owner {
		return
	}
	s.own(r, t.Owner)
	r.changed.head = true
	s.touch(r)
	s.syncUnlessBroken()
}

// Repo gives what is remembered about a repository in the directory that its
// root is: the memory of its open episode, else that after its last one, of which
// only Since and CutOffs are set.
func (s *Store) Repo(root string, home fsys.Identity, repo hfcache.Repo) (sizer.Checkpoint, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.roots[root]
	if r == nil {
		return sizer.Checkpoint{}, false
	}
	var last sizer.Checkpoint
	var number uint64
	if rec := r.repos[repo]; rec != nil && rec.Home.Same(home) {
		last, number = sizer.Checkpoint{Since: rec.Since, CutOffs: rec.CutOffs}, rec.Number
	}
	for _, e := range r.episodes {
		switch {
		case e.Episode.Repo != repo, !e.played(), !e.Episode.Home.Same(home):
		case !e.Episode.Over():
			return e.Episode.Checkpoint.Copied(), true
		case e.Number > number:
			last, number = sizer.Checkpoint{Since: e.Episode.Checkpoint.Since, CutOffs: e.Episode.Checkpoint.CutOffs}, e.Number
		}
	}
	return last.Copied(), number > 0
}

// Episodes gives the open ones, oldest first.
func (s *Store) Episodes() []tracker.Episode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return copyOpen(s.episodes)
}

// EpisodesOf gives those of one root.
func (s *Store) EpisodesOf(root string) []tracker.Episode {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.roots[root]; r != nil {
		return copyOpen(r.episodes)
	}
	return nil
}

// Tenant tells whom a root is watched for.
func (s *Store) Tenant(root string) tracker.Tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tenant(root)
}
