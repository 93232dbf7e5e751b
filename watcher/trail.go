package watcher

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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

// A stop is a directory, or a place, about which is asked on a trail. One of both is nil.
type stop struct {
	listing *listing
	place   *place
	turn    int
	// guard and rest are the watch on the directory, or the root there that is left to the
	// finder, as they were found last.
	guard *repo
	rest  *rest
}

// A place is a directory that a pattern led to.
type place struct {
	// via is the path before links are resolved, path the one after.
	via, path  string
	dev, inode uint64
	mtime      int64 // nanoseconds, when it was located
	coarse     bool  // see fsys.Entry
	home       fsys.Identity
	owner      int // of the directory
	// remote names the network file system it is on; empty if local.
	remote string
}

// A listing are the names in a directory that a part of a pattern matches.
type listing struct {
	dir   string
	names []string
	// mark is the directory as it was before it was read; zero if that isn't
	// enough to see that names have come or gone.
	mark mark
}

// A question is one place to ask about, by a key of its own.
type question struct {
	key, path string
	ask       func() answer
}

// An answer is what there is at one place.
type answer struct {
	listing listing // for a list of names
	place   place
	found   finding // of a round
	err     error
}

// A delay is a place from which an answer is still to come.
type delay struct {
	path  string
	since time.Time
}

// A finding is what came of a round.
type finding struct {
	stirred []*mailbox // of roots in which something is not as it was left
	// changed: there is something else to be found by the pattern. strayed: or a link
	// has come on the way.
	changed, strayed bool
}

// survey is what one pattern leads to now.
//
//nolint:recvcheck // filled through a pointer by resolve, a value from then on
type survey struct {
	places []place
	// refused are the paths at which the way ended with an error other
	// than "not there": nothing is known about what lies beneath.
	refused []refusal
	// delayed are the paths about which no answer has come yet, the same.
	delayed []delay
	// asked is when the oldest of its answers was asked for, if that was before
	// this survey: an answer that came late says what was there then.
	asked time.Time
}

type refusal struct {
	path string
	err  error
}

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
	return place{via: path, path: final, dev: e.Dev, inode: e.Inode, mtime: e.Mtime.UnixNano(), coarse: e.Coarse(), home: home, owner: int(e.UID), remote: kind}, nil
}

// payerOf is whom a directory is charged to through which a pattern leads, or in which a
// root is awaited: its owner, if nobody else may write there. In one of root's others make
// events without that, as by the times of their homes, for which root's own caches would pay.
func payerOf(e fsys.Entry) account.User {
	const othersWrite = unix.S_IWGRP | unix.S_IWOTH
	if e.UID == 0 || e.Mode&othersWrite != 0 {
		return account.Unknown
	}
	return account.User(e.UID)
}

// plan gives a trail its stops, in the order of their paths: what lies together is asked
// about together, in one turn, as its directories are in the caches of the processor then.
// Each keeps its turn, whatever comes or goes elsewhere: so none misses it.
func (t *trail) plan() {
	if t.stops != nil {
		return
	}
	t.stops = make([]stop, 0, len(t.listings)+len(t.places))
	for _, l := range t.listings {
		t.stops = append(t.stops, stop{listing: &l})
	}
	for _, p := range t.places {
		t.stops = append(t.stops, stop{place: &p})
	}
	slices.SortFunc(t.stops, func(a, b stop) int { return strings.Compare(a.path(), b.path()) })
	former := make(map[string]int, len(t.former))
	for _, s := range t.former {
		former[s.path()] = s.turn
	}
	next := 0
	for i := range t.stops {
		s := &t.stops[i]
		turn, had := former[s.path()]
		switch {
		case had:
			s.turn = turn
		case i > 0 && s.place != nil && t.stops[i-1].place == nil:
			s.turn = t.stops[i-1].turn
		default:
			s.turn, next = next, (next+1)%turns
		}
	}
	t.former = nil
}

// rounds are how many polls it takes until all have been asked about.
func (t *trail) rounds() int {
	if len(t.stops) <= few {
		return 1
	}
	return turns
}

// sure reports whether it can be told by it whether all is as it was.
func (t *trail) sure() bool { return !t.vague && !t.began.IsZero() }

// few are so many directories and places that all of them are asked about at each poll.
// Of more, those of which events tell are asked about in turns, as repositories are.
const few = 64

func (s *stop) path() string {
	if s.place != nil {
		return s.place.path
	}
	return s.listing.dir
}

// clockSlack is by how much the clock of a file system may lag behind the
// wall clock, with as much for whoever reads it.
const clockSlack = 2 * fsys.Tick

// lag is by how much the times of what is made there may be too early.
func (p place) lag() time.Duration {
	if p.coarse {
		return fsys.Coarse
	}
	return clockSlack
}
