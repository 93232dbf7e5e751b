package watcher

import (
	"container/heap"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"progressd/fsys"
)

// blobsSuffix leads from a repository's folder to the directory whose time
// stamp moves whenever a file of a download comes or goes.
const blobsSuffix = "/blobs"

// young is how long a time stamp isn't trusted: a change in the same tick of
// the file system's clock would not show, and some clocks tick every 2 s.
const young = 2 * time.Second

// A repo is what is kept about one repository: some 180 bytes, its path
// included, for there may be ten thousand of them that rest.
type repo struct {
	// path is that of "<root>/<folder>/blobs", or of a local one's stage;
	// empty for the root itself.
	path string
	// listed is the inode by which the root's listing knew the folder.
	listed uint64
	// stamp is what the last visit saw; young, that it may have missed
	// something for the stamp's youth.
	stamp stamp
	watch watch
	// plan is nil for one that rests.
	plan *plan
	box  *inbox // of the root
	seen uint16
	base uint16 // where in path the folder begins
	turn uint8  // at which of the polls it is checked though it is watched
	pace Pace

	young, looked, noisy, gone, local bool
}

// A plan is what there is to know of a repository that was visited just now, or
// will be. Times are since the runner began.
type plan struct {
	// due is when to visit, if heaped; rest is until when not to. paid is
	// when all looks so far will have had their rest; found when a local one
	// appeared.
	due, rest, paid, found time.Duration
	heaped                 int32 // index in the heap + 1
	fails                  uint8
	chain                  uint8
}

// A stamp tells by one stat whether anything came or went.
type stamp struct {
	inode uint64
	mtime int64 // nanoseconds
	// names are those in a directory on the file system of a network, where
	// times may say nothing.
	names fsys.Tally
	where where
}

func stampOf(e fsys.Entry, where where) stamp {
	return stamp{inode: e.Inode, mtime: e.Mtime.UnixNano(), where: where}
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
	inode      uint64
	epoch, seq uint16
	where      where
	// waiting for the armer's answer to the request seq.
	waiting bool
}

// newRepo is the repo for a folder of a root.
func (r *runner) newRepo(folder string, listed uint64) *repo {
	return r.beneath(folder+blobsSuffix, listed)
}

func (r *runner) beneath(rel string, listed uint64) *repo {
	base := len(r.root.Path) + 1
	return &repo{path: r.root.Path + "/" + rel, base: uint16(base), listed: listed, box: r.box} //nolint:gosec // the kernel takes no path of 2^16 bytes
}

// rel is the path in the root.
func (p *repo) rel() string { return p.path[p.base:] }

func (p *repo) folder() string {
	if p.local {
		return p.path[p.base : len(p.path)-len(localSuffix)]
	}
	return p.path[p.base : len(p.path)-len(blobsSuffix)]
}

// planned gives the plan, for something that has to be kept in it.
func (p *repo) planned() *plan {
	if p.plan == nil {
		p.plan = &plan{}
	}
	return p.plan
}

func (p *repo) heaped() bool { return p.plan != nil && p.plan.heaped > 0 }

// settle drops a plan that is over at t: one that says no more than none does.
func (p *repo) settle(t time.Duration) {
	plan := p.plan
	if plan == nil || p.local || plan.heaped > 0 {
		return
	}
	if max(plan.rest, plan.paid) <= t {
		p.plan = nil
	}
}

// pay books a look from start to end that has used so much of a processor: the
// next one waits as long as that took, but no longer than a poll, and for what is owed
// beyond the credit.
// The first look is free: it comes once, and what begins right after shall not
// wait for it.
func (p *repo) pay(start, end, used, poll time.Duration) {
	plan := p.planned()
	if p.looked {
		plan.paid = max(plan.paid, start) + (lookShare+1)*used
	}
	plan.rest = max(end+eventGap, end+min(end-start, poll), plan.paid-credit)
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
	// order has them by folder, those that are gone among them, but for
	// those that came since it was last settled: they are in recent.
	order  []*repo
	recent map[string]*repo
	gone   int
	turn   uint8
	due    dueHeap
	// fresh were found while watching, backlog by the first listing.
	fresh, backlog []*repo
	// visited rest since just now: their plans are over soon.
	visited []*repo
}

func newIndex() *index { return &index{recent: make(map[string]*repo)} }

func (x *index) len() int { return len(x.order) - x.gone + len(x.recent) }

// find gives the one of that folder, nil if there is none.
func (x *index) find(folder []byte) *repo {
	if p := x.recent[string(folder)]; p != nil {
		return p
	}
	i := sort.Search(len(x.order), func(i int) bool { return x.order[i].folder() >= string(folder) })
	for ; i < len(x.order) && x.order[i].folder() == string(folder); i++ {
		if !x.order[i].gone {
			return x.order[i]
		}
	}
	return nil
}

func (x *index) add(p *repo) {
	x.turn = (x.turn + 1) % turns
	p.turn = x.turn
	x.recent[p.folder()] = p
}

// remove forgets p.
func (x *index) remove(p *repo) {
	if p.heaped() {
		heap.Remove(&x.due, int(p.plan.heaped-1))
	}
	p.gone = true
	if x.recent[p.folder()] == p {
		delete(x.recent, p.folder())
	} else {
		x.gone++
	}
}

// settle brings the order up to date. Nobody may be going through it.
func (x *index) settle() {
	if x.gone > 0 {
		x.order = slices.DeleteFunc(x.order, func(p *repo) bool { return p.gone })
		x.gone = 0
	}
	if len(x.recent) == 0 {
		return
	}
	came := slices.SortedFunc(maps.Values(x.recent), func(p, q *repo) int { return strings.Compare(p.folder(), q.folder()) })
	x.recent = make(map[string]*repo)
	old := len(x.order) - 1
	x.order = append(x.order, came...)
	for to := len(x.order) - 1; len(came) > 0; to-- {
		if last := came[len(came)-1]; old < 0 || x.order[old].folder() < last.folder() {
			x.order[to], came = last, came[:len(came)-1]
		} else {
			x.order[to] = x.order[old]
			old--
		}
	}
}

// next takes one that was never looked at, the newly found first.
func (x *index) next() *repo {
	for _, queue := range []*[]*repo{&x.fresh, &x.backlog} {
		for len(*queue) > 0 {
			p := (*queue)[0]
			(*queue)[0] = nil
			*queue = (*queue)[1:]
			if !p.gone && !p.looked && !p.heaped() {
				return p
			}
		}
		*queue = nil
	}
	return nil
}

// retire drops the plans of those whose rest after a visit is over at t. What
// still has one then has it until the next poll.
func (x *index) retire(t time.Duration) {
	done := 0
	for done < len(x.visited) && (x.visited[done].plan == nil || x.visited[done].plan.rest <= t) {
		x.visited[done].settle(t)
		done++
	}
	x.visited = slices.Delete(x.visited, 0, done)
}

// busy: some are yet to be visited.
func (x *index) busy() bool { return x.unvisited() || len(x.due)+len(x.recent) > 0 }

func (x *index) unvisited() bool { return len(x.fresh)+len(x.backlog) > 0 }

// at plans a visit, no later than one that is planned already.
func (x *index) at(p *repo, t time.Duration) {
	plan := p.planned()
	t = max(t, plan.rest)
	switch {
	case plan.heaped == 0:
		plan.due = t
		heap.Push(&x.due, p)
	case t < plan.due:
		plan.due = t
		heap.Fix(&x.due, int(plan.heaped-1))
	}
}

// popDue takes one whose visit is due at t.
func (x *index) popDue(t time.Duration) *repo {
	if len(x.due) == 0 || x.due[0].plan.due > t {
		return nil
	}
	return heap.Pop(&x.due).(*repo)
}

// dueHeap is a heap.Interface by time.
type dueHeap []*repo

func (h *dueHeap) Len() int           { return len(*h) }
func (h *dueHeap) Less(i, j int) bool { return (*h)[i].plan.due < (*h)[j].plan.due }
func (h *dueHeap) Swap(i, j int) {
	s := *h
	s[i], s[j] = s[j], s[i]
	s[i].plan.heaped, s[j].plan.heaped = int32(i+1), int32(j+1) //nolint:gosec // no directory holds 2^31 repositories
}

func (h *dueHeap) Push(x any) {
	p := x.(*repo)
	*h = append(*h, p)
	p.plan.heaped = int32(len(*h)) //nolint:gosec // no directory holds 2^31 repositories
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	p.plan.heaped = 0
	return p
}
