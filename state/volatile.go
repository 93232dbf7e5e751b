package state

import (
	"log/slog"

	"progressd/hfcache"
)

// Volatile returns a store that has no directory: it serves one life, and
// nothing of it is left behind.
func Volatile(log *slog.Logger) *Store {
	return newStore("", nil, log, osDisk{})
}

// pretend counts as written what a volatile store holds.
func (s *Store) pretend() {
	for r := range s.changed {
		r.clean()
	}
	clear(s.changed)
	clear(s.gone)
}

// LogName gives the name of a repository's log file, and keeps it for that
// repository.
func (s *Store) LogName(root string, repo hfcache.Repo) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.logName(hfcache.Place{Root: root, Repo: repo})
	s.syncUnlessBroken()
	return name
}

// NameLog has a repository's log file be called so: as another store has it.
// It is called before anything is told of that repository.
func (s *Store) NameLog(root string, repo hfcache.Repo, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := hfcache.Place{Root: root, Repo: repo}
	rec := s.repoRecord(key)
	if rec.Log != "" {
		delete(s.logs, rec.Log)
	}
	rec.Log = name
	s.logs[name] = key
}
