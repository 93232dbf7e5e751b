package watcher

import (
	"sort"
	"time"
)

// RootStatus is how one root stands, for an operator.
type RootStatus struct {
	// Path of the root, or the pattern where that leads to none, or a place
	// that a pattern leads to and that doesn't answer.
	Path string
	// Pattern is the one of Options.Roots.
	Pattern string
	// Present: there is a directory, and it is looked after. Dev and Inode
	// are then its identity.
	Present    bool
	Dev, Inode uint64
	// Owner is the user whose directory it is, by number, -1 while that isn't
	// known.
	Owner int
	// Polled: no events for this root.
	Polled bool
	// Remote names the network file system it is on, if any.
	Remote string
	// Failing is why it can't be read now, nil if it can.
	Failing error
	// BusySince is when the operation that is under way began, zero if
	// none is: one that lasts tells of a file system that hangs.
	BusySince time.Time
	// Repos counts the repositories, Watches the directories watched.
	Repos, Watches int
	// Links counts the symbolic links where a repository, or a directory that
	// a client fills, may be: they are not followed.
	Links int
}

// Status says how the roots stand, sorted by path. It never waits for a file
// system and may be called by any goroutine.
func (w *Watcher) Status() []RootStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []RootStatus
	for _, r := range w.runners {
		all = append(all, r.status())
	}
	for _, f := range w.finders {
		all = append(all, w.delayed(f)...)
		busy := since(f.busy.Load())
		if f.empty.Load() || !busy.IsZero() && time.Since(busy) > w.opts.Poll {
			all = append(all, RootStatus{Path: f.pattern, Pattern: f.pattern, BusySince: busy, Owner: -1})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Path < all[j].Path })
	return all
}

// delayed are the places of a pattern from which no answer has come, and in
// which no root is watched that says so itself.
func (w *Watcher) delayed(f *finder) (all []RootStatus) {
	delayed := f.delayed.Load()
	if delayed == nil {
		return nil
	}
	for _, d := range *delayed {
		if w.runners[d.path] == nil {
			all = append(all, RootStatus{Path: d.path, Pattern: f.pattern, BusySince: d.since, Owner: -1})
		}
	}
	return all
}

func since(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func (r *runner) status() RootStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.said
	s.BusySince = since(r.busy.Load())
	return s
}

// publish renews what Status says.
func (r *runner) publish() {
	s := RootStatus{
		Path: r.root.Path, Pattern: r.root.Pattern, Present: true,
		Dev: r.root.Dev, Inode: r.root.Inode, Owner: r.owner,
		Polled: r.notify == nil, Remote: r.remote, Failing: r.fail.err,
	}
	if r.index != nil {
		s.Links = r.hints.links
		s.Repos, s.Watches = r.index.len(), int(r.box.watches.Load())
	}
	r.mu.Lock()
	r.said = s
	r.mu.Unlock()
}
