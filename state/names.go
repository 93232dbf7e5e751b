package state

import (
	"progressd/hfcache"
)

// logName gives the repository's log file name: that which it was given
// before, else the plain one, else one with a part of the root's hash. Two
// repositories never have the same.
func (s *Store) logName(key hfcache.Place) string {
	rec := s.repoRecord(key)
	if rec.Log != "" {
		return rec.Log
	}
	slug, hash := key.Repo.Slug(), hexHash(key.Root)
	if key.Repo.Type == hfcache.Local {
		// Named by its directory, and so for ever: what is downloaded
		// there may become known only later.
		slug, hash = key.Repo.LocalName(key.Root).ID+"@"+string(hfcache.Local), hexHash(key.Repo.Within(key.Root))
	}
	name := slug + ".log"
	s.makeRoom(name, key)
	for n := 8; n <= 40 && s.logTaken(name); n += 8 {
		name = slug + "@" + hash[:n] + ".log"
	}
	rec.Log, rec.given = name, true
	s.logs[name] = key
	s.touchRepo(key.Root, rec)
	return name
}

// makeRoom takes a name from a root that a pattern has led to, for one that is
// configured by name: whoever may make a cache where the pattern looks could
// otherwise have the log that others follow. Its file is given another name when
// the first line of the one that has it now is written (sink).
func (s *Store) makeRoom(name string, key hfcache.Place) {
	holder, taken := s.logs[name]
	if !taken || !s.of(key.Root).named || s.of(holder.Root).named {
		return
	}
	rec := s.roots[holder.Root].repos[holder.Repo]
	if rec == nil {
		return
	}
	rec.Log = ""
	s.logName(holder) // while the name is still taken
	rec.given = false // its file goes with it
	delete(s.logs, name)
}

func (s *Store) touchRepo(root string, rec *repoRecord) {
	r := s.of(root)
	r.touch(rec)
	s.touch(r)
}

func (s *Store) logTaken(name string) bool {
	_, taken := s.logs[name]
	return taken
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
