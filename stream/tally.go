package stream

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"progressd/account"
	"progressd/hfcache"
	"progressd/socket"
	"progressd/tracker"
	"progressd/untrusted"
)

// leftoverFor is how long leftovers that were told count: they are told anew each day
// for as long as they are there.
const leftoverFor = 25 * time.Hour

// maxCounted bounds the roots and the leftovers that are counted: names come from
// outside.
var maxCounted = int(account.Counted.Limit().All)

// A tally counts what was told since it began.
type tally struct {
	began time.Time
	// payer is whom a root is charged to.
	payer    func(root string) account.User
	finished map[string]int64
	roots    map[string]counted
	leftover map[hfcache.Place]leftover
}

// counted is a root of which something has come, or that has gone.
type counted struct {
	received int64
	gone     bool
	payer    account.User
}

type leftover struct {
	bytes int64
	at    time.Time
	payer account.User
}

func newTally(now time.Time, payer func(root string) account.User) tally {
	t := tally{began: now, payer: payer, finished: map[string]int64{}, roots: map[string]counted{}, leftover: map[hfcache.Place]leftover{}}
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
	if bytes > 0 {
		t.count(root, func(c *counted) { c.received += bytes })
	}
}

// count counts something of a root. Where these are too many, the user with the most
// loses the one of which the least has come.
func (t *tally) count(root string, change func(*counted)) {
	c, known := t.roots[root]
	if !known {
		c.payer = t.payer(root)
		makeRoom(t.roots, func(c counted) account.User { return c.payer }, func(x, y counted) bool { return x.received < y.received })
	}
	change(&c)
	t.roots[root] = c
}

// makeRoom has the user with the most lose one of what is counted, the least of it, if
// that is too much.
func makeRoom[K comparable, V any](kept map[K]V, payer func(V) account.User, less func(x, y V) bool) {
	if len(kept) < maxCounted {
		return
	}
	most := account.MostOf(nil, maps.Values(kept), payer)
	var least *K
	for k, v := range kept {
		if payer(v) == most && (least == nil || less(v, kept[*least])) {
			least = &k
		}
	}
	delete(kept, *least)
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
		t.count(e.Root, func(c *counted) { c.gone = true })
	case e.Kind == tracker.RootBack:
		if c, known := t.roots[e.Root]; known {
			c.gone = false
			t.roots[e.Root] = c
		}
	case e.Kind == tracker.OrphansFound:
		maps.DeleteFunc(t.leftover, func(_ hfcache.Place, l leftover) bool { return e.At.Sub(l.at) > leftoverFor })
		delete(t.leftover, at)
		makeRoom(t.leftover, func(l leftover) account.User { return l.payer }, func(x, y leftover) bool { return x.at.Before(y.at) })
		t.leftover[at] = leftover{e.Lost, e.At, t.payer(at.Root)}
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
	for root, c := range b.tally.roots {
		if c.received > 0 || c.gone {
			of(root).Received += c.received
		}
	}
	for at, l := range b.tally.leftover {
		if time.Since(l.at) <= leftoverFor {
			of(at.Root).Leftover += l.bytes
		}
	}
	for _, path := range slices.Sorted(maps.Keys(roots)) {
		f.Roots = append(f.Roots, *roots[path])
		f.Roots[len(f.Roots)-1].Path = untrusted.Name(path)
	}
	return f
}
