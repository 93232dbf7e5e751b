// Package account keeps what each user of the machine takes of the daemon, so
// that none can take what the others need. Whatever the daemon has a bound for
// is charged here to the user whom it is for: the owner of a cache's root, or
// who is at the other end of a connection.
//
// Three rules are all there is:
//
//   - What is held and can't be taken back (memory of a listing, a download
//     that is followed, a connection) may be taken as long as its user then has
//     no more than half of what the others leave; of connections a quarter, of
//     watches seven eighths. So there is always something left for the next one.
//   - What comes time and again (looks, lines, reports) fills a bucket of each
//     user's own: a burst, and then a steady rate.
//   - What can be given up (remembered names, lines that wait) is given up by
//     the user who has the most of it: see Most and MostOf.
package account

import (
	"cmp"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A User is whom things are charged to, by the number that stat(2) and
// SO_PEERCRED give.
type User int

// Unknown is the owner of what nobody is known to own: a root that was not
// found yet.
const Unknown User = -1

// String is the number, which needs no look-up that could hang.
func (u User) String() string {
	if u < 0 {
		return "unknown"
	}
	return strconv.Itoa(int(u))
}

// Told is how often it is said that the same user is over the same budget.
const Told = time.Hour

// lately is for how long a user counts as over a budget after the last refusal.
const lately = time.Minute

// A Book has the accounts of all users. Its methods may be called from any
// goroutine and wait for nothing. A nil Book has no bounds.
type Book struct {
	log    *slog.Logger
	owners *Owners

	mu    sync.Mutex
	held  [resources]held
	flows [resources]map[User]*bucket
	over  map[excess]*refusals
}

// excess is one user and one thing of which there is too much.
type excess struct {
	user User
	what Resource
}

// refusals is when that user was refused it.
type refusals struct{ last, told time.Time }

// held is what is held of one resource.
type held struct {
	all int64
	by  map[User]int64
	// has is what there is of it; 0 if its Limit says that.
	has int64
}

// allows reports whether a user may hold n more.
func (h *held) allows(u User, n int64, limit Limit) bool {
	most := cmp.Or(h.has, limit.All)
	if most == 0 {
		return true // nobody knows
	}
	mine, others := h.by[u], h.all-h.by[u]
	return n >= 0 && n <= most && 8*(mine+n) <= limit.Eighths*(most-others)
}

// NewBook opens a Book in which nothing is charged. owners tells whose a number
// is; nil: each is its own.
func NewBook(owners *Owners, log *slog.Logger) *Book {
	return &Book{log: log, owners: owners, over: make(map[excess]*refusals)}
}

// Whose is the user who pays for what a number does; see Owners.
func (b *Book) Whose(u User) User {
	if b == nil {
		return u
	}
	return b.owners.Of(u)
}

// Allow spends one of what comes time and again, if there is any left.
func (b *Book) Allow(u User, what Resource) bool {
	if b.Wait(u, what) > 0 {
		return false
	}
	b.Spend(u, what, 1)
	return true
}

// Take charges n of what is held to a user, if that is within the budget.
func (b *Book) Take(u User, what Resource, n int64) bool {
	if b == nil {
		return true
	}
	u = b.owners.Of(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &b.held[what]
	if !h.allows(u, n, what.Limit()) {
		b.refuse(u, what)
		return false
	}
	if h.by == nil {
		h.by = make(map[User]int64)
	}
	h.by[u] += n
	h.all += n
	return true
}

// Has says how much there is of what is held, where only the machine knows that;
// 0: nobody does, and there is no bound.
func (b *Book) Has(what Resource, all int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[what].has = all
}

// Give gives back what was taken.
func (b *Book) Give(u User, what Resource, n int64) {
	if b == nil {
		return
	}
	u = b.owners.Of(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &b.held[what]
	if n = min(n, h.by[u]); n <= 0 {
		return
	}
	h.all -= n
	if h.by[u] -= n; h.by[u] == 0 {
		delete(h.by, u)
	}
}

// Wait is how long it takes until a user may spend more of what comes time and
// again.
func (b *Book) Wait(u User, what Resource) time.Duration {
	if b == nil {
		return 0
	}
	u = b.owners.Of(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	wait := b.bucket(u, what, now).wait(what.Limit())
	if wait > 0 {
		b.refuse(u, what)
	}
	return wait
}

// Spend charges n of what comes time and again to a user, who may come to owe
// some: see Wait.
func (b *Book) Spend(u User, what Resource, n int64) {
	if b == nil {
		return
	}
	u = b.owners.Of(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bucket(u, what, time.Now()).left -= n
}

// Refused notes that a user had to give up something of which others have less.
func (b *Book) Refused(u User, what Resource) {
	if b == nil {
		return
	}
	u = b.owners.Of(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse(u, what)
}

// refuse remembers a refusal, and says it unless that was done lately.
func (b *Book) refuse(u User, what Resource) {
	now := time.Now()
	key := excess{u, what}
	r := b.over[key]
	if r == nil {
		b.trim(now)
		r = &refusals{}
		b.over[key] = r
	}
	r.last = now
	if !r.told.IsZero() && now.Sub(r.told) < Told {
		return
	}
	r.told = now
	b.log.Warn("a user is over a budget: it is kept to its share, others lose nothing (progressd(8), AMONG STRANGERS)",
		"uid", u, "budget", what.String(), "limit", what.Limit().String(), "effect", what.effect())
}

// maxOver bounds what is remembered of refusals.
const maxOver = 4096

// trim forgets refusals of which nothing more is to be said.
func (b *Book) trim(now time.Time) {
	if len(b.over) < maxOver {
		return
	}
	for key, r := range b.over {
		if now.Sub(r.told) >= Told {
			delete(b.over, key)
		}
	}
	if len(b.over) >= maxOver {
		clear(b.over)
	}
}

// Over names who was refused something within the last minute, and what, in
// words for an operator: "uid 1001: lines".
func (b *Book) Over() []string {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for key, r := range b.over {
		if time.Since(r.last) < lately {
			all = append(all, "uid "+key.user.String()+": "+key.what.String())
		}
	}
	slices.Sort(all)
	return all
}

// Held is how much a user holds of something.
func (b *Book) Held(u User, what Resource) int64 {
	if b == nil {
		return 0
	}
	u = b.owners.Of(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held[what].by[u]
}

// Most is the user who has the most of something, given how much each who pays has
// (see Whose), and the larger number of two who have as much; Unknown if nobody has any.
func Most(by map[User]int) User {
	most, n := Unknown, 0
	for u, has := range by {
		if has > n || has > 0 && has == n && u > most {
			most, n = u, has
		}
	}
	return most
}

// MostOf is the user who pays for the most of what is kept, given whose number each
// of it has.
func MostOf[T any](b *Book, kept iter.Seq[T], owner func(T) User) User {
	by := make(map[User]int)
	for one := range kept {
		by[b.Whose(owner(one))]++
	}
	return Most(by)
}
