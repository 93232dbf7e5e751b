package daemon

import (
	"sync"
	"time"

	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// An Attendance keeps what the tracker has last said of the repositories that
// something moved in, for those who look at them.
type Attendance struct {
	mu     sync.Mutex
	latest map[hfcache.Place]tracker.Attention
}

// NewAttendance makes one that knows nothing yet.
func NewAttendance() *Attendance {
	return &Attendance{latest: make(map[hfcache.Place]tracker.Attention)}
}

// note takes what the tracker says.
func (a *Attendance) note(said tracker.Attention) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.latest[hfcache.Place{Root: said.Root, Repo: said.Repo}] = said
}

// Judged gives it for the repositories of one root.
func (a *Attendance) Judged(root string) func(hfcache.Repo) (time.Time, sizer.Interest) {
	return func(repo hfcache.Repo) (time.Time, sizer.Interest) {
		a.mu.Lock()
		defer a.mu.Unlock()
		said := a.latest[hfcache.Place{Root: root, Repo: repo}]
		return said.Seen, said.Interest
	}
}

// forget is for a look at which nothing moves any more.
func (a *Attendance) forget(look sizer.Look) {
	if look.InPlay || look.Unreadable != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if at := (hfcache.Place{Root: look.Root, Repo: look.Repo}); a.latest[at].Interest == sizer.Settled {
		delete(a.latest, at)
	}
}
