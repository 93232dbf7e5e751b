package sim

import (
	"slices"
	"sync"
	"time"

	"progressd/hfcache"
	"progressd/sink"
	"progressd/tracker"
)

// A line is one that the daemon has said, and what was true then.
type line struct {
	at    time.Time
	event tracker.Event
	text  string
	life  int // of the daemon
	// key is whose line it is: empty for one of a root.
	key  hfcache.Repo
	disk disk
}

// A recorder takes the lines.
type recorder struct {
	life *life

	mu    sync.Mutex
	lines []line
	after time.Time // what is said later is lost, if it isn't zero
}

// Put implements state.Putter.
func (r *recorder) Put(e tracker.Event) {
	now := time.Now()
	l := line{at: now, event: e, text: sink.Message(e), life: r.life.daemon.number}
	repo := r.life.find(e)
	if repo != nil {
		l.key, l.disk = repo.key(), repo.truth.survey()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.after.IsZero() {
		return
	}
	r.lines = append(r.lines, l)
}

// cut loses what is said from now on, until proceed.
func (r *recorder) cut(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = at
}

func (r *recorder) proceed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = time.Time{}
}

// all are the lines so far.
func (r *recorder) all() []line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// find is the repository that an event is about, nil if there is none.
func (l *life) find(e tracker.Event) *repository {
	for _, r := range l.repos {
		if r.local != "" && e.Root == r.dir() || r.local == "" && e.Repo == r.repo && e.Root == r.root {
			return r
		}
	}
	return nil
}

func inOrder(strikes []strike) []strike {
	strikes = slices.Clone(strikes)
	slices.SortStableFunc(strikes, func(a, b strike) int { return int(a.At - b.At) })
	return strikes
}
