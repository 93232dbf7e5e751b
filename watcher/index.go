package watcher

import (
	"container/heap"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

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

// dueHeap is a heap.Interface by time, and by path where that is the same: one order each time.
type dueHeap []*repo

func (h *dueHeap) Len() int { return len(*h) }

func (h *dueHeap) Less(i, j int) bool {
	p, q := (*h)[i], (*h)[j]
	return p.plan.due < q.plan.due || p.plan.due == q.plan.due && p.path < q.path
}

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
