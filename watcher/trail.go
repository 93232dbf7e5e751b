package watcher

import (
	"errors"
	"path/filepath"
	"time"

	"progressd/account"
	"progressd/fsys"
)

// A trail is what a pattern has led to. To go the whole way anew to hundreds of
// places, element by element, costs more than to look after what lies there. So
// where one call says that a directory is as it was, what was found there stands:
// for a minute, since it doesn't show whether a link on the way leads there now.
type trail struct {
	began    time.Time
	listings map[string]listing // by directory and part of the pattern
	places   map[string]place   // by via
	absent   []string           // paths at which there was nothing
	// vague: something was found that one call can't tell to be as it was, or
	// not found out at all.
	vague bool
	// stops are what is asked about on it, former those of the trail before, turn is whose
	// turn it is; proven are how many turns in a row have shown that no link has come on
	// the way.
	stops  []stop
	former []stop
	turn   int
	proven int
}

const trailAge = time.Minute

// next is an empty trail that goes on from t, or begins anew where that is too old.
func (t *trail) next(now time.Time) trail {
	if now.Sub(t.began) >= trailAge {
		*t = trail{began: now}
	}
	return trail{began: t.began, turn: t.turn, former: t.stops, listings: make(map[string]listing), places: make(map[string]place)}
}

// add notes what came of a question. It is nil if no answer has come.
func (t *trail) add(q question, a *answer) {
	switch {
	case a == nil:
		t.vague = true
	case absent(a.err):
		t.absent = append(t.absent, q.path)
	case a.err != nil:
		t.vague = true
	case a.place.path != "":
		t.places[a.place.via] = a.place
		t.vague = t.vague || a.place.via != a.place.path || a.place.remote != ""
	default:
		t.listings[q.key] = a.listing
		t.vague = t.vague || a.listing.mark == mark{}
	}
}

// is reports whether that is the directory which was found there, unless its number
// was given to another one: that is found out by who looks after the root.
func (p place) is(e fsys.Entry) bool {
	return e.IsDir() && p.dev == e.Dev && p.inode == e.Inode && p.owner == int(e.UID)
}

// A listing are the names in a directory that a part of a pattern matches.
type listing struct {
	dir   string
	names []string
	// mark is the directory as it was before it was read; zero if that isn't
	// enough to see that names have come or gone.
	mark mark
}

// A mark is how a directory looks from outside. What is reached through links
// has none: who may follow them is found out by following them.
type mark struct {
	dev, inode   uint64
	mtime, ctime int64 // nanoseconds
	payer        account.User
}

func markOf(e fsys.Entry) mark {
	return mark{e.Dev, e.Inode, e.Mtime.UnixNano(), e.Ctime.UnixNano(), payerOf(e)}
}

// lasting is the mark of a directory, if names can't come and go there without
// moving it.
func lasting(d fsys.Dir) mark {
	e, err := d.Stat()
	if err != nil || stampOf(e, nowhere).youngAt(time.Now()) {
		return mark{}
	}
	if kind, err := d.Network(); err != nil || kind != "" {
		return mark{}
	}
	return markOf(e)
}

// list gives the names in dir that part matches.
func list(kernel fsys.Kernel, dir, part string, old listing) (listing, error) {
	e, err := fsys.PeekAt(kernel, dir)
	switch {
	case absent(err):
		return listing{}, err
	case err == nil && old.mark != mark{} && old.mark == markOf(e):
		return old, nil
	}
	d, resolved, err := fsys.Follow(kernel, dir)
	if errors.Is(err, fsys.ErrNotDirectory) {
		return listing{dir: dir}, nil // nothing lies in it
	}
	if err != nil {
		return listing{}, err
	}
	defer d.Close()
	l := listing{dir: dir}
	if resolved == dir {
		l.mark = lasting(d)
	}
	err = d.List(func(items []fsys.Item) error {
		for _, item := range items {
			if ok, _ := filepath.Match(part, string(item.Name)); ok {
				l.names = append(l.names, string(item.Name))
			}
		}
		return nil
	})
	if err != nil {
		l.mark = mark{}
	}
	return l, err
}

// locate gives the directory at path.
func locate(kernel fsys.Kernel, path string, old place) (place, error) {
	e, err := fsys.PeekAt(kernel, path)
	switch {
	case absent(err):
		return place{}, err
	case err == nil && old.path == path && old.remote == "" && old.is(e):
		old.mtime = e.Mtime.UnixNano()
		return old, nil
	}
	d, final, err := fsys.Follow(kernel, path)
	if err != nil {
		return place{}, err
	}
	defer d.Close()
	e, err = d.Stat()
	if err != nil {
		return place{}, err
	}
	home, err := d.Identity()
	if err != nil {
		return place{}, err
	}
	kind, err := d.Network()
	if err != nil {
		return place{}, err
	}
	return place{via: path, path: final, dev: e.Dev, inode: e.Inode, mtime: e.Mtime.UnixNano(), home: home, owner: int(e.UID), remote: kind}, nil
}
