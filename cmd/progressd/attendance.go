package main

import (
	"sync"
	"time"

	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

// An attendance keeps what the tracker has last said of the repositories that
// something moved in, for those who look at them.
type attendance struct {
	mu     sync.Mutex
	latest map[target]tracker.Attention
}

func newAttendance() *attendance {
	return &attendance{latest: make(map[target]tracker.Attention)}
}

// note takes what the tracker says.
func (a *attendance) note(said tracker.Attention) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.latest[target{said.Root, said.Repo}] = said
}

// judged gives it for the repositories of one root.
func (a *attendance) judged(root string) func(hfcache.Repo) (time.Time, sizer.Interest) {
	return func(repo hfcache.Repo) (time.Time, sizer.Interest) {
		a.mu.Lock()
		defer a.mu.Unlock()
		said := a.latest[target{root, repo}]
		return said.Seen, said.Interest
	}
}

// forget is for a look at which nothing moves any more.
func (a *attendance) forget(look sizer.Look) {
	if look.InPlay || look.Unreadable != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if at := (target{look.Root, look.Repo}); a.latest[at].Interest == sizer.Settled {
		delete(a.latest, at)
	}
}
