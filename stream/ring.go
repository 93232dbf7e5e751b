package stream

import (
	"slices"

	"progressd/account"
	"progressd/hfcache"
	"progressd/record"
)

// ringSize is how many events are kept for readers that come again.
var ringSize = int(account.Kept.Limit().All)

// item is an event in the ring.
type item struct {
	seq    uint64
	key    string
	root   string
	owner  account.User
	repo   hfcache.Repo
	record record.Record
	// logged: it stands in a model's log.
	logged, verdict, passing bool
}

// A ring keeps the newest events. Of one download it keeps the newest progress
// alone; what must go beyond that is of the user with the most, and no verdict, as
// long as there is anything else.
type ring struct {
	items []*item
	// lost is the newest event that had to go.
	lost uint64
}

func (r *ring) push(i *item, accounts *account.Book) {
	if i.passing {
		r.items = slices.DeleteFunc(r.items, func(old *item) bool { return old.passing && old.key == i.key })
	}
	r.items = append(r.items, i)
	if len(r.items) <= ringSize {
		return
	}
	most := account.MostOf(accounts, slices.Values(r.items), func(i *item) account.User { return i.owner })
	at := slices.IndexFunc(r.items, func(old *item) bool { return accounts.Whose(old.owner) == most && !old.verdict })
	if at < 0 {
		at = slices.IndexFunc(r.items, func(old *item) bool { return accounts.Whose(old.owner) == most })
	}
	r.lost = max(r.lost, r.items[at].seq)
	r.items = slices.Delete(r.items, at, at+1)
}

// since are the events after one; ok is false if some of them had to go.
func (r *ring) since(seq uint64) (items []*item, ok bool) {
	at := slices.IndexFunc(r.items, func(i *item) bool { return i.seq > seq })
	if at < 0 {
		at = len(r.items)
	}
	return r.items[at:], seq >= r.lost
}
