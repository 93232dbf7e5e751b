// Package state remembers over restarts what was told: the baseline of each
// root, the last download of each repository, one record for each download
// under way, and the verdicts that are not safely written yet.
//
// The Store is the memory; the Ledger takes what the engine decides, has it
// remembered and only then passes it on. So a kill at any point may lose a
// line of progress, but no verdict, and tells none twice.
package state

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// What lies in a state directory.
const (
	lockFile     = "lock"
	stateFile    = "state.json"
	episodesDir  = "episodes"
	recordSuffix = ".json"
)

// What is read, and so what is kept, has these bounds.
const (
	maxStateBytes   = 64 << 20
	maxEpisodeBytes = 1 << 20
	maxEpisodes     = 10_000
	maxRoots        = 1_000
	maxRepos        = 50_000
	maxPending      = 16 // of one episode
)

// Store is the memory over restarts, kept in one directory that it has for
// itself. Every method may be called from any goroutine; one that changes
// something waits for the disk. Where the directory can't be written the
// store works on from memory, and whatever has to be durable, and a running
// Ledger with growing pauses, tries again.
type Store struct {
	dir  string
	log  *slog.Logger
	disk disk

	mu       sync.Mutex
	lock     *dirLock // nil while the directory can't be used
	shut     bool     // Close was called
	roots    []rootRecord
	repos    map[repoKey]*repoRecord
	logs     map[string]repoKey // names given to log files
	episodes map[string]*episode
	verdicts []Verdict // as they were told, at most one of a repository
	last     uint64    // number of the newest episode
	awaited  []string  // sinks that confirm verdicts

	stateDirty bool
	closed     map[string]struct{} // files of episodes that are to be removed
	aside      []string            // files that are to be kept aside
	trouble    trouble
}

// episode is one that is open, or over with a verdict pending.
type episode struct {
	episodeRecord
	dirty bool
}

// played: something of it was seen on disk. Else its memory is empty, and what
// the one before has left stands.
func (e *episode) played() bool { return e.Episode.Play != "" }

func (e *episode) key() repoKey { return repoKey{e.Episode.Root, e.Episode.Repo} }

// Open locks the state directory, which is made if missing, and reads it. The
// only error is one that matches ErrLocked. A file that can't be used is kept
// aside with a warning, and a directory that can't be used is one warning.
func Open(dir string, log *slog.Logger) (*Store, error) {
	return open(dir, log, osDisk{})
}

func open(dir string, log *slog.Logger, on disk) (*Store, error) {
	s := &Store{
		dir: dir, log: log, disk: on,
		repos:    map[repoKey]*repoRecord{},
		logs:     map[string]repoKey{},
		episodes: map[string]*episode{},
		closed:   map[string]struct{}{},
	}
	lock, err := awaitLock(dir)
	if errors.Is(err, ErrLocked) {
		return nil, err
	}
	if err != nil {
		s.judge(err)
		return s, nil
	}
	s.lock = lock
	s.load()
	_ = s.sync() // it says itself what fails
	return s, nil
}

// Close writes what is not written yet and lets another daemon have the
// directory. The error says what a restart won't remember.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.sync()
	s.lock.release()
	s.lock = nil
	s.shut = true
	return err
}

// Root gives the baseline of the root that is that directory at that path, in
// time of its file system.
func (s *Store) Root(path string, home fsys.Identity) (since time.Time, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.findRoot(path, home)
	if i < 0 {
		return time.Time{}, false
	}
	return s.roots[i].Since, true
}

// NoteRoot notes the baseline of a root in one atomic step. After an error it
// is known until the daemon ends, and written as soon as that can be done.
func (s *Store) NoteRoot(path string, home fsys.Identity, since time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.findRoot(path, home); i >= 0 {
		s.roots = slices.Delete(s.roots, i, i+1)
	}
	s.roots = append(s.roots, rootRecord{Path: path, Identity: home, Since: sane(since)})
	if over := len(s.roots) - maxRoots; over > 0 {
		s.roots = slices.Delete(s.roots, 0, over)
	}
	s.stateDirty = true
	err := s.sync()
	if !s.stateDirty {
		return nil
	}
	return fmt.Errorf("cannot note root %q: %w", path, err)
}

// findRoot prefers what is surely that directory.
func (s *Store) findRoot(path string, home fsys.Identity) int {
	found := -1
	for i, r := range s.roots {
		if r.Path == path && r.Identity.Sure(home) {
			return i
		}
		if r.Path == path && r.Identity.Same(home) {
			found = i
		}
	}
	return found
}

// Repo gives what is remembered about a repository in the directory that its
// root is: the memory of its open episode, else that after its last one, of which
// only Since and CutOffs are set.
func (s *Store) Repo(root string, home fsys.Identity, repo hfcache.Repo) (sizer.Memory, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := repoKey{root, repo}
	var last sizer.Memory
	var number uint64
	if rec := s.repos[key]; rec != nil && rec.Home.Same(home) {
		last, number = sizer.Memory{Since: rec.Since, CutOffs: rec.CutOffs}, rec.Number
	}
	for _, e := range s.episodes {
		switch {
		case e.key() != key, !e.played(), !e.Episode.Home.Same(home):
		case !e.Episode.Over:
			return copyMemory(e.Episode.Memory), true
		case e.Number > number:
			last, number = sizer.Memory{Since: e.Episode.Memory.Since, CutOffs: e.Episode.Memory.CutOffs}, e.Number
		}
	}
	return copyMemory(last), number > 0
}

// Episodes gives the open ones, oldest first.
func (s *Store) Episodes() []tracker.Episode {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []tracker.Episode
	for _, e := range s.inOrder() {
		if !e.Episode.Over {
			open = append(open, copyEpisode(e.Episode))
		}
	}
	return open
}

func (s *Store) inOrder() []*episode {
	all := make([]*episode, 0, len(s.episodes))
	for _, e := range s.episodes {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *episode) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// repoRecord gives the record of a repository, a new one if there is none.
func (s *Store) repoRecord(key repoKey) *repoRecord {
	rec := s.repos[key]
	if rec == nil {
		s.boundRepos()
		rec = &repoRecord{Root: key.root, Repo: key.repo}
		s.repos[key] = rec
	}
	return rec
}

// boundRepos forgets a tenth of too many repositories, those first whose last
// download is the longest ago. What is forgotten may be told once more.
func (s *Store) boundRepos() {
	if len(s.repos) < maxRepos {
		return
	}
	recs := make([]*repoRecord, 0, len(s.repos))
	for _, rec := range s.repos {
		recs = append(recs, rec)
	}
	slices.SortFunc(recs, func(a, b *repoRecord) int { return cmp.Compare(a.Number, b.Number) })
	for _, rec := range recs[:maxRepos/10] {
		delete(s.repos, repoKey{rec.Root, rec.Repo})
		delete(s.logs, rec.Log)
	}
	s.log.Warn("too many repositories to remember: the oldest are forgotten", "limit", maxRepos)
}
