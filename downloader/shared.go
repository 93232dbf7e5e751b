package downloader

import (
	"sync"
	"time"

	"progressd/hfcache"
)

// Shared asks a Proc for all who look, in goroutines of their own: so /proc/locks and
// all command lines are read once for many of them.
type Shared struct {
	proc Proc

	mu    sync.Mutex
	locks Locks
	at    time.Time
	err   error
	// rest is for how long no other reading is made, for what the last one took;
	// crowded: that it was slow was said.
	rest    time.Duration
	crowded bool
	// commands are what programs fetch, as it was at foundAt.
	commands map[hfcache.Repo]Commands
	foundAt  time.Time
	findRest time.Duration
}

// NewShared asks proc.
func NewShared(proc Proc) *Shared { return &Shared{proc: proc} }

// Snapshot is for one who looks.
func (s *Shared) Snapshot() Snapshot { return Snapshot{proc: s.proc} }

// LocksAge is how long one reading of /proc/locks serves: shorter than the time between
// two looks, long enough for all roots of one tick.
const LocksAge = 100 * time.Millisecond

// Locks gives the locks as they were, by the caller's clock, no longer ago than
// oldest.
func (s *Shared) Locks(now time.Time, oldest time.Duration) (Locks, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.at); s.at.IsZero() || age < 0 || age >= max(oldest, s.rest) {
		start := time.Now()
		s.locks, s.err = s.proc.Locks()
		s.at, s.rest = now, 0
		if took := time.Since(start); took >= slowReading && s.locks.Many() {
			s.rest = locksShare * took
		}
	}
	return s.locks, s.err
}

const (
	// slowReading is how long a reading of very many locks may take. A longer one is
	// followed by locksShare times as long without another: nobody on the machine gets
	// a lock while they are read. Of few locks each reading counts, however long it
	// took: on a busy machine the very first one tells who downloads.
	slowReading = 50 * time.Millisecond
	locksShare  = 20
)

// Crowd gives, once, the process that holds so many locks that not all are read; 0
// if there is nothing to say.
func (s *Shared) Crowd() (crowd int, said bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut, crowd := s.locks.Cut()
	said = cut && !s.crowded
	s.crowded = s.crowded || cut
	return crowd, said
}

const (
	// CommandsAge is how long one reading of all command lines serves.
	CommandsAge = 10 * time.Second
	// commandsShare is how many times as long as it took, if that is longer: there
	// may be tens of thousands.
	commandsShare = 50
)

// Fetched gives what the programs that run fetch of a repository, as it was no
// longer ago than oldest.
func (s *Shared) Fetched(now time.Time, name hfcache.Repo, oldest time.Duration) Commands {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.foundAt); s.foundAt.IsZero() || age < 0 || age >= max(oldest, s.findRest) {
		start := time.Now()
		// Where it can't be read, none is known.
		s.commands, _ = s.proc.Commands()
		s.foundAt, s.findRest = now, commandsShare*time.Since(start)
	}
	return s.commands[name]
}
