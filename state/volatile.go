package state

import (
	"log/slog"

	"progressd/hfcache"
)

// Volatile returns a store that has no directory: it serves one life, and
// nothing of it is left behind.
func Volatile(log *slog.Logger) *Store {
	return &Store{
		log: log, disk: osDisk{},
		repos:    map[repoKey]*repoRecord{},
		logs:     map[string]repoKey{},
		episodes: map[string]*episode{},
		closed:   map[string]struct{}{},
	}
}

// forget counts as written what a volatile store holds.
func (s *Store) forget() {
	s.stateDirty = false
	clear(s.closed)
	for _, e := range s.episodes {
		e.dirty = false
	}
}

// LogName gives the name of a repository's log file, and keeps it for that
// repository.
func (s *Store) LogName(root string, repo hfcache.Repo) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.logName(repoKey{root, repo})
	s.syncUnlessBroken()
	return name
}

// NameLog has a repository's log file be called so: as another store has it.
// It is called before anything is told of that repository.
func (s *Store) NameLog(root string, repo hfcache.Repo, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := repoKey{root, repo}
	s.repoRecord(key).Log = name
	s.logs[name] = key
}
