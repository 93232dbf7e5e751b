// Package stream is what the daemon shows: how every download stands, and what
// was told, for those who watch. It takes what the tracker publishes and the
// ledger passes on, and gives each reader what that may see. Nothing in it
// waits, and where nobody watches nothing runs.
package stream

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"progressd/account"
	"progressd/hfcache"
	"progressd/record"
	"progressd/socket"
	"progressd/tracker"
)

const (
	// shownFor is how long a download that has ended is shown.
	shownFor = 24 * time.Hour
	// maxBehind is how many frames a reader may be behind before it is cut
	// off; levels are left out before.
	maxBehind = 256
	// levelsAtRest is how often the level of a download is sent that doesn't
	// move.
	levelsAtRest = 10 * time.Second
)

// maxEnded bounds those that have ended. Beyond it, the user with the most loses the
// oldest.
var maxEnded = int(account.Shown.Limit().All)

// Options are what a Board is made of; all but Accounts are needed.
type Options struct {
	// Epoch tells this life of the daemon from others, Version the program.
	Epoch, Version string
	// Record says an event in numbers.
	Record func(tracker.Event) record.Record
	Rights Rights
	// Ended are the last events of downloads that ended in former lives, as
	// they were told.
	Ended []tracker.Event
	// Accounts tell whose what is kept is; nil: each number is a user.
	Accounts *account.Book
}

// Board is what is shown now. All its methods may be called by any goroutine.
type Board struct {
	opts Options

	mu    sync.Mutex
	open  map[string]*open // by key
	ended []end            // as they were told
	seq   uint64
	ring  ring
	subs  map[*subscriber]struct{}
	tally tally

	levels atomic.Int64 // how many want them
}

// payer is the user who pays for what is kept of a root.
func (o *Options) payer(root string) account.User {
	return o.Accounts.Whose(account.User(o.Rights.Owner(root)))
}

// open is a download that goes on.
type open struct {
	standing tracker.Standing
	// told is what was told of it last, nil if that was in a former life.
	told *record.Record
	// base are the bytes with which it was first seen.
	base int64
	// levelAt is when a level was sent last.
	levelAt time.Time
}

// still reports whether nothing but time has passed.
func (o *open) still(s tracker.Standing) bool {
	old, now := o.standing.Now, s.Now
	return o.standing.State == s.State && old.Bytes == now.Bytes && old.Total == now.Total && old.Rate == now.Rate &&
		old.FilesDone == now.FilesDone && old.Partials == now.Partials
}

// end is a download that has ended.
type end struct {
	root     string // of its looks, or where it lies
	owner    account.User
	at       time.Time
	repo     hfcache.Repo
	download record.Download
}

// NewBoard returns a Board.
func NewBoard(opts Options) *Board {
	b := &Board{opts: opts, open: map[string]*open{}, subs: map[*subscriber]struct{}{}, tally: newTally(time.Now(), opts.payer)}
	for _, e := range opts.Ended {
		b.end(e, opts.Record(e))
	}
	return b
}

// Watched reports whether somebody wants to know each second how downloads
// stand.
func (b *Board) Watched() bool { return b.levels.Load() > 0 }

// Shown takes how a download stands: the hook of the tracker.
func (b *Board) Shown(s tracker.Standing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.open[s.Episode]
	switch {
	case s.Silent:
		if o != nil {
			delete(b.open, s.Episode)
			b.publish(o.standing.Now.Root, o.standing.Now.Repo, nil, func(Visibility) *socket.Frame { return &socket.Frame{Gone: s.Episode} })
		}
		return
	case o == nil:
		o = &open{}
		b.open[s.Episode] = o
		b.ended = slices.DeleteFunc(b.ended, func(e end) bool { return e.root == s.Now.Root && e.repo == s.Now.Repo })
	}
	if o.standing.Episode == "" {
		o.base = s.Now.Bytes
	} else {
		b.tally.grew(s.Root, s.Now.Bytes-o.standing.Now.Bytes)
	}
	same := o.still(s)
	o.standing = s
	if s.Over || same && s.Now.At.Sub(o.levelAt) < levelsAtRest {
		return // its last line comes in a moment, or nothing has happened
	}
	o.levelAt = s.Now.At
	b.publish(s.Now.Root, s.Now.Repo, wantsLevels, func(v Visibility) *socket.Frame {
		return &socket.Frame{Download: v.Download(record.StandingOf(s, o.told))}
	})
}

// Put takes an event that was told. The Board is an outlet of the ledger.
func (b *Board) Put(e tracker.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.opts.Record(e)
	key := record.KeyOf(e)
	if o := b.open[key]; o != nil {
		o.told = &r
		if e.Kind == tracker.Started { // nothing was there before
			b.tally.grew(o.standing.Root, o.base)
		}
	}
	if record.EndOf(e) != "" {
		delete(b.open, key)
		b.end(e, r)
	}
	b.tally.told(e)
	b.seq++
	item := &item{seq: b.seq, key: key, root: e.Root, owner: ownerOf(e), repo: e.Repo, logged: e.Log != "", verdict: e.Verdict(), passing: passing(e.Kind), record: r}
	b.ring.push(item, b.opts.Accounts)
	b.publish(e.Root, e.Repo, item.shownTo, func(v Visibility) *socket.Frame { return b.frame(item, v) })
}

// passing is what is of no interest when more of it has come.
func passing(k tracker.Kind) bool { return k == tracker.Progress || k == tracker.Keepalive }

func (b *Board) end(e tracker.Event, r record.Record) {
	b.ended = slices.DeleteFunc(b.ended, func(old end) bool {
		return old.root == e.Root && old.repo == e.Repo || e.At.Sub(old.at) > shownFor
	})
	b.ended = append(b.ended, end{e.Root, ownerOf(e), e.At, e.Repo, record.Last(e, r)})
	if len(b.ended) > maxEnded {
		most := account.MostOf(b.opts.Accounts, slices.Values(b.ended), func(e end) account.User { return e.owner })
		at := slices.IndexFunc(b.ended, func(e end) bool { return b.opts.Accounts.Whose(e.owner) == most })
		b.ended = slices.Delete(b.ended, at, at+1)
	}
}

// ownerOf is the user whom an event is told for.
func ownerOf(e tracker.Event) account.User {
	if e.Tenant.Root == "" {
		return account.Unknown // of a former life
	}
	return e.Tenant.Owner
}

// id is a place in the stream.
func (b *Board) id(seq uint64) string { return b.opts.Epoch + "-" + strconv.FormatUint(seq, 10) }

// frame is an event for one who may see so much.
func (b *Board) frame(i *item, v Visibility) *socket.Frame {
	r := i.record
	if v != Full {
		r = r.Public()
	}
	return &socket.Frame{ID: b.id(i.seq), Key: i.key, Event: &r}
}

// standings are all downloads that one may see, the oldest first.
func (b *Board) standings(sees func(root string) Visibility, want hfcache.Repo) []record.Download {
	var all []record.Download
	add := func(root string, repo hfcache.Repo, d record.Download) {
		if v := sees(root); v != Nothing && (want.ID == "" || want == repo) {
			all = append(all, *v.Download(d))
		}
	}
	for _, e := range b.ended {
		if time.Since(e.at) <= shownFor {
			add(e.root, e.repo, e.download)
		}
	}
	for _, o := range b.open {
		add(o.standing.Now.Root, o.standing.Now.Repo, record.StandingOf(o.standing, o.told))
	}
	slices.SortFunc(all, func(x, y record.Download) int {
		return cmp.Or(x.Started.Compare(y.Started), cmp.Compare(x.Model, y.Model), cmp.Compare(x.Key, y.Key))
	})
	return all
}

// Standing gives the download of a repository that goes on, if one does. Root
// and repo are those of its looks.
func (b *Board) Standing(root string, repo hfcache.Repo) (record.Download, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.open {
		if o.standing.Root == root && o.standing.Repo == repo && !o.standing.Over {
			return record.StandingOf(o.standing, o.told), true
		}
	}
	return record.Download{}, false
}

// Keys are those under which downloads of a repository go on in a root: its own,
// and those of directories that it is downloaded into.
func (b *Board) Keys(root string, repo hfcache.Repo) []hfcache.Repo {
	b.mu.Lock()
	defer b.mu.Unlock()
	var keys []hfcache.Repo
	for _, o := range b.open {
		if o.standing.Root == root && o.standing.Now.Repo == repo {
			keys = append(keys, o.standing.Repo)
		}
	}
	return keys
}
