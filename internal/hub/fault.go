package hub

import (
	"sync"

	"progressd/hfcache"
)

// Fault is what goes wrong with a file, or with a whole repository. Several
// of its parts may be set.
type Fault struct {
	// Status answers instead of the content, with ErrorCode in
	// X-Error-Code (GatedRepo, RepoNotFound, EntryNotFound, ...) and
	// RetryAfter in Retry-After where they are not empty.
	Status     int
	ErrorCode  string
	RetryAfter string
	// CutAt breaks the connection when a response has come to that offset
	// of the file. 0 is never.
	CutAt int64
	// Gate holds every response back when it comes to GateAt.
	Gate   *Gate
	GateAt int64
	// IgnoreRange answers a request for a part with the whole.
	IgnoreRange bool
	// Short ends the body at that offset as if it were the file's end: the
	// length that is announced for GET is Short, too. 0 is not at all.
	Short int64
	// Times is how many requests for content the fault is for; 0 is all.
	Times int
}

// Gate holds responses back until it is opened. It is opened once, for ever.
type Gate struct {
	reachedOnce, openOnce sync.Once
	reached, open         chan struct{}
}

// NewGate returns a closed gate.
func NewGate() *Gate {
	return &Gate{reached: make(chan struct{}), open: make(chan struct{})}
}

// Reached is closed when the first response stands at the gate.
func (g *Gate) Reached() <-chan struct{} { return g.reached }

// Open lets all pass. It may be called more than once.
func (g *Gate) Open() { g.openOnce.Do(func() { close(g.open) }) }

func (g *Gate) arrive() <-chan struct{} {
	g.reachedOnce.Do(func() { close(g.reached) })
	return g.open
}

type faultKey struct {
	repo hfcache.Repo
	path string
}

// Break sets what goes wrong with one file of a repository, in all its
// revisions, or with everything in it, its API too, where path is empty. The
// zero Fault mends it.
func (h *Hub) Break(repo hfcache.Repo, path string, f Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f == (Fault{}) {
		delete(h.faults, faultKey{repo, path})
		return
	}
	h.faults[faultKey{repo, path}] = &f
}

// fault is what is wrong with a path now.
func (h *Hub) fault(repo hfcache.Repo, path string) Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.faults[h.broken(repo, path)]; f != nil {
		return *f
	}
	return Fault{}
}

// spend is fault for a request that asks for content: it uses up one time.
func (h *Hub) spend(repo hfcache.Repo, path string) Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := h.broken(repo, path)
	f := h.faults[key]
	if f == nil {
		return Fault{}
	}
	found := *f
	if f.Times > 0 {
		if f.Times--; f.Times == 0 {
			delete(h.faults, key)
		}
	}
	return found
}

// broken finds the fault that is nearest to a path.
func (h *Hub) broken(repo hfcache.Repo, path string) faultKey {
	if key := (faultKey{repo, path}); h.faults[key] != nil {
		return key
	}
	return faultKey{repo, ""}
}
