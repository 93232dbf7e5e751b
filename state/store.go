// Package state remembers over restarts what was told: the baseline of each
// root, the last download of each repository, one record for each download
// under way, and the verdicts that are not safely written yet.
//
// The Store is the memory; the Ledger takes what the engine decides, has it
// remembered and only then passes it on. So a kill at any point may lose a
// line of progress, but no verdict, and tells none twice.
package state

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"progressd/account"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// What lies in a state directory.
const (
	lockFile      = "lock"
	rootsDir      = "roots"
	recordsSuffix = ".log"
)

// What is read, and so what is kept, has these bounds, and those of package account.
var (
	maxRoots    = int(account.Roots.Limit().All)
	maxEpisodes = int(account.Ends.Limit().All) // pending ones among them
	maxVerdicts = int(account.Shown.Limit().All)
)

// What is read of one line, one root and one episode has these.
const (
	maxLineBytes = 1 << 20
	maxBaselines = 16 // of one root
	maxPending   = 16 // of one episode
)

// Store is the memory over restarts, kept in one directory that it has for
// itself. Every method may be called from any goroutine; one that changes
// something waits for the disk. Where the directory can't be written the
// store works on from memory, and whatever has to be durable, and a running
// Ledger with growing pauses, tries again.
type Store struct {
	dir      string
	accounts *account.Book
	log      *slog.Logger
	disk     disk

	mu       sync.Mutex
	lock     *dirLock // nil while the directory can't be used
	shut     bool     // Close was called
	roots    map[string]*records
	changed  map[*records]struct{}    // those of which something is to be written
	episodes map[string]*episode      // by id
	pending  map[string]*episode      // by the id of a verdict that waits
	logs     map[string]hfcache.Place // names given to log files
	names    map[account.User]int     // repositories that are remembered
	allNames int
	verdicts []Verdict // as they were told, at most one of a repository
	last     uint64    // number of the newest episode
	found    uint64    // counts the roots that were found
	awaited  []string  // sinks that confirm verdicts

	gone    map[string]struct{} // files of roots that are to be removed
	aside   []string            // files that are to be kept aside
	former  []string            // files of the version before, to be removed
	trouble trouble
}

// Open locks the state directory, which is made if missing, and reads it. What is
// remembered is charged to accounts. The
// only error is one that matches ErrLocked. A file that can't be used is kept
// aside with a warning, and a directory that can't be used is one warning.
func Open(dir string, accounts *account.Book, log *slog.Logger) (*Store, error) {
	return open(dir, accounts, log, osDisk{})
}

func newStore(dir string, accounts *account.Book, log *slog.Logger, on disk) *Store {
	return &Store{
		dir: dir, accounts: accounts, log: log, disk: on,
		roots:    map[string]*records{},
		changed:  map[*records]struct{}{},
		episodes: map[string]*episode{},
		pending:  map[string]*episode{},
		logs:     map[string]hfcache.Place{},
		names:    map[account.User]int{},
		gone:     map[string]struct{}{},
	}
}

func open(dir string, accounts *account.Book, log *slog.Logger, on disk) (*Store, error) {
	s := newStore(dir, accounts, log, on)
	if err := s.enter(); err != nil {
		return nil, err
	}
	return s, nil
}

// enter takes the directory and reads it.
func (s *Store) enter() error {
	lock, err := awaitLock(s.dir)
	if errors.Is(err, ErrLocked) {
		return err
	}
	if err != nil {
		s.judge(err)
		return nil
	}
	s.lock = lock
	s.load()
	_ = s.sync() // it says itself what fails
	return nil
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
	for _, e := range s.episodes {
		s.accounts.Give(e.payer, account.Records, int64(e.size))
		e.size = 0
	}
	return err
}

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

// baseline finds that of a directory; it prefers what is surely that one.
func (r *records) baseline(home fsys.Identity) int {
	found := -1
	for i, b := range r.baselines {
		if b.Sure(home) {
			return i
		}
		if b.Same(home) {
			found = i
		}
	}
	return found
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

func (r *records) addBaseline(b baseline) {
	r.baselines = slices.DeleteFunc(r.baselines, func(other baseline) bool { return other.Identity == b.Identity })
	r.baselines = append(r.baselines, b)
	r.baselines = r.baselines[max(0, len(r.baselines)-maxBaselines):]
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

// touch has the changes of a root written at the next sync.
func (s *Store) touch(r *records) { s.changed[r] = struct{}{} }

// Repo gives what is remembered about a repository in the directory that its
// root is: the memory of its open episode, else that after its last one, of which
// only Since and CutOffs are set.
func (s *Store) Repo(root string, home fsys.Identity, repo hfcache.Repo) (sizer.Memory, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.roots[root]
	if r == nil {
		return sizer.Memory{}, false
	}
	var last sizer.Memory
	var number uint64
	if rec := r.repos[repo]; rec != nil && rec.Home.Same(home) {
		last, number = sizer.Memory{Since: rec.Since, CutOffs: rec.CutOffs}, rec.Number
	}
	for _, e := range r.episodes {
		switch {
		case e.Episode.Repo != repo, !e.played(), !e.Episode.Home.Same(home):
		case !e.Episode.Over():
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

func copyOpen(all map[string]*episode) []tracker.Episode {
	var open []tracker.Episode
	for _, e := range inOrder(all) {
		if !e.Episode.Over() {
			open = append(open, copyEpisode(e.Episode))
		}
	}
	return open
}

func inOrder(all map[string]*episode) []*episode {
	return slices.SortedFunc(maps.Values(all), byNumber)
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }
