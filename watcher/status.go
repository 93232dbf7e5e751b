package watcher

import (
	"sort"
	"time"
)

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
		s.Repos, s.Watches = r.index.len(), int(r.mailbox.watches.Load())
	}
	r.mu.Lock()
	r.said = s
	r.mu.Unlock()
}
