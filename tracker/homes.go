package tracker

import (
	"fmt"
	"time"

	"progressd/hfcache"
)

// A root is a path, and what a path leads to changes: a disk is unmounted and
// leaves the empty directory below it, another one is mounted over it. A
// download belongs to the directory that it was seen in, its home. While another
// directory is there, nothing is known of the download and nothing is said.

// waitsAtMost is how long a download of which nothing was heard waits for its
// home to come back.
const waitsAtMost = 30 * 24 * time.Hour

// root takes in what a root's path leads to now.
func (t *Tracker) root(change RootChange) {
	for k, e := range t.open {
		if k.Root == change.Root {
			e.clocks.blind()
			e.here = false
		}
	}
	defer t.attendRoot(change.Root)
	if change.Gone {
		t.homes.away[change.Root] = true
		t.sayRoot(RootGone, change, "")
		return
	}
	before, known := t.homes.at[change.Root]
	back := t.homes.away[change.Root]
	delete(t.homes.away, change.Root)
	t.homes.at[change.Root] = change.Home
	waiting, returned := t.part(change), t.gather(change)
	switch {
	case back && (!known || before.Same(change.Home)):
		t.sayRoot(RootBack, change, "")
	case back && returned > 0:
		t.sayRoot(RootBack, change, "the directory for which "+downloads(returned, "has", "have")+" waited")
	case waiting > 0 && back:
		t.sayRoot(RootBack, change, "another directory than before, for which "+downloads(waiting, "waits", "wait"))
	case waiting > 0:
		t.sayRoot(RootGone, change, "another directory is there, "+downloads(waiting, "waits", "wait"))
	case back:
		t.sayRoot(RootBack, change, "another directory than before")
	}
}

// attendRoot says how closely what is open in a root has to be looked at from
// now on.
func (t *Tracker) attendRoot(root string) {
	for k, e := range t.open {
		if k.Root == root {
			t.attend(k, e)
		}
	}
}

func downloads(n int, one, many string) string {
	if n == 1 {
		return "1 download " + one
	}
	return fmt.Sprintf("%d downloads %s", n, many)
}

func (t *Tracker) sayRoot(kind Kind, change RootChange, reason string) {
	t.rec.Commit(nil, []Event{{
		ID:   episodeID(change.Root, hfcache.Repo{}, change.At) + "-" + string(kind),
		Kind: kind, Root: change.Root, At: change.At, Reason: reason,
	}})
}

// part sets aside the downloads whose home is another directory, and counts
// them. Of a run of which nothing shows on disk yet none is known.
func (t *Tracker) part(change RootChange) (waiting int) {
	for k, e := range t.open {
		if k.Root != change.Root || e.unplayed() || e.ep.Home.Same(change.Home) {
			continue
		}
		if e.forgotten(change.At) {
			t.discard(k, e)
			continue
		}
		t.setAside(k, e)
	}
	for k, all := range t.homes.absent {
		if k.Root == change.Root {
			waiting += len(all)
			for _, e := range all {
				if e.ep.Home.Same(change.Home) {
					waiting--
				}
			}
		}
	}
	return waiting
}

// forgotten: nothing was heard of it for so long that it waits no longer.
func (d *download) forgotten(now time.Time) bool {
	last := d.ep.LastByteAt
	if d.seen || last.IsZero() {
		last = d.lastByte
	}
	return now.Sub(last) > waitsAtMost
}

// setAside takes a download out of what is watched until it is seen again.
func (t *Tracker) setAside(k hfcache.Place, e *entry) {
	e.run, e.here = nil, false
	t.commit(e, nil)
	delete(t.open, k)
	t.release(k, e, time.Time{})
	t.homes.absent[k] = append(t.homes.absent[k], e)
	t.log.Debug("download set aside: its directory isn't there now", "root", k.Root, "repo", k.Repo.ID, "episode", e.ep.ID)
}

// gather goes on with the downloads whose home is there again, and counts them.
func (t *Tracker) gather(change RootChange) (returned int) {
	for k := range t.homes.absent {
		if k.Root == change.Root && t.open[k] == nil && t.takeBack(k) {
			returned++
		}
	}
	return returned
}

// takeBack goes on with a download of that key whose home may be what is there
// now. It reports whether there is one.
func (t *Tracker) takeBack(k hfcache.Place) bool {
	all := t.homes.absent[k]
	for i, e := range all {
		if !e.ep.Home.Same(t.homes.at[k.Root]) {
			continue
		}
		if all = append(all[:i:i], all[i+1:]...); len(all) > 0 {
			t.homes.absent[k] = all
		} else {
			delete(t.homes.absent, k)
		}
		e.clocks.blind()
		e.run, e.attended = t.runs[k], Attention{}
		t.open[k] = e
		return true
	}
	return false
}

// sighted notes that a download was seen in the directory that is there now.
func (t *Tracker) sighted(k hfcache.Place, e *entry) {
	e.here = true
	if home, known := t.homes.at[k.Root]; known {
		e.ep.Home = home
	}
}

// deleted reports whether a repository that isn't there has been deleted, as
// against lying in a directory that isn't there now: it was seen to vanish, or
// this is surely the directory in which it was.
func (t *Tracker) deleted(k hfcache.Place, e *entry) bool {
	home, known := t.homes.at[k.Root]
	return e.here || !known || e.ep.Home.Sure(home)
}
