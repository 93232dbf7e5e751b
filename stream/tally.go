package stream

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"progressd/hfcache"
	"progressd/record"
	"progressd/socket"
	"progressd/tracker"
)

const (
	// leftoverFor is how long leftovers that were told count: they are told
	// anew each day for as long as they are there.
	leftoverFor = 25 * time.Hour
	// maxCounted bounds the roots and the leftovers that are counted: nobody
	// has so many, but names come from outside.
	maxCounted = 1000
)

// A tally counts what was told since it began.
type tally struct {
	began    time.Time
	finished map[string]int64
	received map[string]int64 // by root
	leftover map[hfcache.Place]leftover
	gone     map[string]bool // roots that were there
}

type leftover struct {
	bytes int64
	at    time.Time
}

func newTally(now time.Time) tally {
	t := tally{began: now, finished: map[string]int64{}, received: map[string]int64{}, leftover: map[hfcache.Place]leftover{}, gone: map[string]bool{}}
	for _, kind := range finishes() { // a counter that appears with its first event has no increase
		t.finished[string(kind)] = 0
	}
	return t
}

// finishes are the verdicts after which no byte is expected.
func finishes() []tracker.Kind {
	return []tracker.Kind{tracker.Completed, tracker.Ended, tracker.Interrupted, tracker.Failed, tracker.Removed}
}

// grew counts what has come into a root.
func (t *tally) grew(root string, bytes int64) {
	if _, known := t.received[root]; bytes > 0 && (known || len(t.received) < maxCounted) {
		t.received[root] += bytes
	}
}

// told counts an event.
func (t *tally) told(e tracker.Event) {
	at := hfcache.Place{Root: cmp.Or(e.Tenant.Root, e.Root), Repo: e.Repo}
	switch {
	case slices.Contains(finishes(), e.Kind):
		t.finished[string(e.Kind)]++
		if e.Kind == tracker.Removed {
			delete(t.leftover, at)
		}
	case e.Kind == tracker.RootGone:
		if len(t.gone) < maxCounted {
			t.gone[e.Root] = true
		}
	case e.Kind == tracker.RootBack:
		delete(t.gone, e.Root)
	case e.Kind == tracker.OrphansFound:
		maps.DeleteFunc(t.leftover, func(_ hfcache.Place, l leftover) bool { return e.At.Sub(l.at) > leftoverFor })
		if len(t.leftover) < maxCounted {
			t.leftover[at] = leftover{e.Lost, e.At}
		}
	}
}

// Facts are what the Board knows of how the daemon fares, nil for those who
// don't see all. A root is named where anything was counted of it, or where it has
// gone; the others are up to the caller to name.
func (b *Board) Facts(by socket.Reader) *socket.Facts {
	if !b.opts.Rights.all(by) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &socket.Facts{Version: b.opts.Version, Started: b.tally.began.UTC().Truncate(time.Millisecond), Finished: maps.Clone(b.tally.finished)}
	roots := map[string]*socket.RootFacts{}
	of := func(root string) *socket.RootFacts {
		if roots[root] == nil {
			roots[root] = &socket.RootFacts{Path: root}
		}
		return roots[root]
	}
	for root, bytes := range b.tally.received {
		of(root).Received += bytes
	}
	for at, l := range b.tally.leftover {
		if time.Since(l.at) <= leftoverFor {
			of(at.Root).Leftover += l.bytes
		}
	}
	for root := range b.tally.gone {
		of(root)
	}
	for _, path := range slices.Sorted(maps.Keys(roots)) {
		f.Roots = append(f.Roots, *roots[path])
		f.Roots[len(f.Roots)-1].Path = record.Clean(path)
	}
	return f
}
