package state

import (
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"progressd/account"
	"progressd/hfcache"
	"progressd/tracker"
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

// trouble is a time in which state can't be written; zero if there is none.
type trouble struct {
	wait time.Duration
	next time.Time
}

// A Verdict is what ended the last download of a repository, for those who ask
// later. Root and Repo are those of its looks.
type Verdict struct {
	Root string `json:"root"`
	hfcache.Repo
	Event tracker.Event `json:"event"`
}

// verdictsKept is for how long other verdicts than successes are remembered: those are
// also what a later look at the same files is held against.
const verdictsKept = 24 * time.Hour

// touch has the changes of a root written at the next sync.
func (s *Store) touch(r *records) { s.changed[r] = struct{}{} }

func inOrder(all map[string]*episode) []*episode {
	return slices.SortedFunc(maps.Values(all), byNumber)
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Store) touchEpisode(e *episode) {
	e.touch()
	s.touch(e.of)
}

// touchDurably is for what a verdict depends on.
func (s *Store) touchDurably(e *episode) {
	s.touchEpisode(e)
	e.of.changed.durably = true
}

func (s *Store) tenant(root string) tracker.Tenant {
	r := s.roots[root]
	if r == nil {
		return tracker.Tenant{Owner: account.Unknown, Root: root}
	}
	return tracker.Tenant{Owner: r.owner, Named: r.named, Root: root}
}

func (s *Store) findPending(id string) (*episode, int) {
	e := s.pending[id]
	if e == nil {
		return nil, 0
	}
	return e, slices.IndexFunc(e.Pending, func(p pendingRecord) bool { return p.Event.ID == id })
}
