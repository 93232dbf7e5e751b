package state

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"progressd/hfcache"
)

// maxName is the longest file name that every Linux file system takes.
const maxName = 255

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

// safeName reports whether a name may be used as a file's as it is.
func safeName(name string) bool {
	if name == "" || len(name) > maxName || strings.HasPrefix(name, ".") {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '-', c == '_', c == '@':
		default:
			return false
		}
	}
	return true
}

func hexHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
