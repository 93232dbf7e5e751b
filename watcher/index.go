package watcher

import (
	"container/heap"
	"time"
)

// blobsSuffix leads from a repository's folder to the directory whose time
// stamp moves whenever a file of a download comes or goes.
const blobsSuffix = "/blobs"

// young is how long a time stamp isn't trusted: a change in the same tick of
// the file system's clock would not show, and some clocks tick every 2 s.
const young = 2 * time.Second

// A repo is what is kept about one repository: some 200 bytes, its name
// included. Times are since the runner began.
type repo struct {
	// blobs is "<folder>/blobs", or a local one's stage; empty for the
	// root itself.
	blobs string
	// listed is the inode by which the root's listing knew the folder.
	listed uint64
	// stamp is what the last visit saw; young, that it may have missed
	// something for the stamp's youth.
	stamp stamp
	watch watch
	// due is when to visit, if heaped; rest is until when not to. paid is
	// when all looks so far will have had their rest; found when a local one
	// appeared.
	due, rest, paid, found time.Duration
	heaped                 int32 // index in the heap + 1
	seen                   uint32
	events                 uint32 // in that second
	second                 uint32
	pace                   Pace
	fails                  uint8
	chain                  uint8
	young                  bool
	looked                 bool
	noisy                  bool
	gone                   bool
	local                  bool
}

// A stamp tells by one stat whether anything came or went.
type stamp struct {
	inode uint64
	mtime int64 // nanoseconds
	where where
}

// where a watch belongs.
type where int8

const (
	nowhere where = iota
	onRoot
	// onFolder: there is no blobs directory yet.
	onFolder
	onBlobs
	// onMeta: a local one has no stage yet.
	onMeta
)

// A watch is the one that a repository at rest has.
type watch struct {
	where where
	// waiting for the armer's answer to the request seq.
	waiting    bool
	epoch, seq uint32
	inode      uint64
}

func newRepo(folder string, listed uint64) *repo {
	return &repo{blobs: folder + blobsSuffix, listed: listed}
}

func (p *repo) folder() string {
	if p.local {
		return p.blobs[:len(p.blobs)-len(localSuffix)]
	}
	return p.blobs[:len(p.blobs)-len(blobsSuffix)]
}

// pay books a look from start to end that has used so much of a processor: the
// next one waits as long as that took, and for what is owed beyond the credit.
// The first look is free: it comes once, and what begins right after shall not
// wait for it.
func (p *repo) pay(start, end, used time.Duration) {
	if p.looked {
		p.paid = max(p.paid, start) + (share+1)*used
	}
	p.rest = max(end+eventGap, end+(end-start), p.paid-credit)
}

// watched reports whether events tell what becomes of what the stamp is of.
func (p *repo) watched() bool {
	return p.watch.where != nowhere && p.watch.where == p.stamp.where && !p.watch.waiting
}

// youngAt reports whether a stamp read at that time can hide a change. A
// stamp from the future is another machine's clock and proves nothing.
func (s stamp) youngAt(now time.Time) bool {
	age := now.UnixNano() - s.mtime
	return age < int64(young) && age > -int64(young)
}

// An index holds the repositories of one root.
type index struct {
	byFolder map[string]*repo
	// order is for going through all of them in pieces; those that are
	// gone leave it when prune comes by.
	order []*repo
	due   dueHeap
	// fresh were found while watching, backlog by the first listing.
	fresh, backlog []*repo
}

func newIndex() *index { return &index{byFolder: make(map[string]*repo)} }

func (x *index) add(p *repo) {
	x.byFolder[p.folder()] = p
	x.order = append(x.order, p)
}

// remove forgets p.
func (x *index) remove(p *repo) {
	p.gone = true
	delete(x.byFolder, p.folder())
	if p.heaped > 0 {
		heap.Remove(&x.due, int(p.heaped-1))
	}
}

// prune takes the repo at place i out of the order if it is gone. Going down
// from the end, none is missed: the one that takes the place was seen before.
func (x *index) prune(i int) bool {
	if !x.order[i].gone {
		return false
	}
	last := len(x.order) - 1
	x.order[i], x.order[last] = x.order[last], nil
	x.order = x.order[:last]
	return true
}

// next takes one that was never looked at, the newly found first.
func (x *index) next() *repo {
	for _, queue := range []*[]*repo{&x.fresh, &x.backlog} {
		for len(*queue) > 0 {
			p := (*queue)[0]
			(*queue)[0] = nil
			*queue = (*queue)[1:]
			if !p.gone && !p.looked && p.heaped == 0 {
				return p
			}
		}
		*queue = nil
	}
	return nil
}

func (x *index) unvisited() bool { return len(x.fresh)+len(x.backlog) > 0 }

// at plans a visit, no later than one that is planned already.
func (x *index) at(p *repo, t time.Duration) {
	t = max(t, p.rest)
	switch {
	case p.heaped == 0:
		p.due = t
		heap.Push(&x.due, p)
	case t < p.due:
		p.due = t
		heap.Fix(&x.due, int(p.heaped-1))
	}
}

// popDue takes one whose visit is due at t.
func (x *index) popDue(t time.Duration) *repo {
	if len(x.due) == 0 || x.due[0].due > t {
		return nil
	}
	return heap.Pop(&x.due).(*repo)
}

// dueHeap is a heap.Interface by time.
type dueHeap []*repo

func (h *dueHeap) Len() int           { return len(*h) }
func (h *dueHeap) Less(i, j int) bool { return (*h)[i].due < (*h)[j].due }
func (h *dueHeap) Swap(i, j int) {
	s := *h
	s[i], s[j] = s[j], s[i]
	s[i].heaped, s[j].heaped = int32(i+1), int32(j+1) //nolint:gosec // no directory holds 2^31 repositories
}

func (h *dueHeap) Push(x any) {
	p := x.(*repo)
	*h = append(*h, p)
	p.heaped = int32(len(*h)) //nolint:gosec // no directory holds 2^31 repositories
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	p.heaped = 0
	return p
}
