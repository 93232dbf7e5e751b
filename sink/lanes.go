package sink

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"progressd/account"
	"progressd/tracker"
)

// lanes holds what a queue holds: for each user its lanes, which are served in
// turn. It is pure: no I/O, no clock, no lock.
type lanes struct {
	sink     string
	capacity int
	laneOf   func(tracker.Event) string
	// whose is who pays for what a number has.
	whose func(account.User) account.User
	// rest is how long a user has to wait before more of it is written.
	rest func(account.User) time.Duration
	// over is called when a user loses an event.
	over func(account.User)

	byKey  map[laneKey]*lane
	queued int
	// byUser is how many events wait of each user, served when each had its
	// turn last.
	byUser map[account.User]int
	served map[account.User]uint64
	turn   uint64
	lost   int
	seq    uint64
	// hung is set while a job takes too long.
	hung error
}

// A laneKey names a place of one user.
type laneKey struct {
	user account.User
	name string
}

// lane is the events for one place, in order.
type lane struct {
	key    laneKey
	items  []item
	gap    gap
	broken *fault
	// busy: a job of this lane is under way.
	busy bool
}

// item is an event with its number in the order of arrival.
type item struct {
	seq   uint64
	event tracker.Event
}

// gap is the lines that were dropped and not yet told.
type gap struct {
	lines int
	// like is the last event dropped: where the gap is to be told.
	like   tracker.Event
	reason string
}

// fault is why and since when a lane fails.
type fault struct {
	err   error
	since time.Time
	retry time.Time
	delay time.Duration
}

// job is one event to be written now.
type job struct {
	lane  *lane
	event tracker.Event
	// seq is of the item taken out; gapLines, if not 0, says that this job
	// tells of a gap instead.
	seq      uint64
	gapLines int
}

func newLanes(sink string, capacity int, laneOf func(tracker.Event) string) *lanes {
	return &lanes{
		sink: sink, capacity: max(capacity, 1), laneOf: laneOf,
		whose: func(u account.User) account.User { return u },
		rest:  func(account.User) time.Duration { return 0 }, over: func(account.User) {},
		byKey: map[laneKey]*lane{}, byUser: map[account.User]int{}, served: map[account.User]uint64{},
	}
}

func (l *lanes) put(e tracker.Event) {
	key := laneKey{l.whose(e.Tenant.Owner), l.laneOf(e)}
	to := l.byKey[key]
	if to == nil {
		to = &lane{key: key}
		l.byKey[key] = to
	}
	l.seq++
	to.items = append(to.items, item{l.seq, e})
	l.count(key.user, 1)
	for l.queued > l.capacity && l.drop() {
	}
}

// count counts events of a user that wait.
func (l *lanes) count(u account.User, n int) {
	l.queued += n
	if l.byUser[u] += n; l.byUser[u] == 0 {
		delete(l.byUser, u)
	}
}

// drop drops, of the user with the most, the event that is missed least; false if
// there is none.
func (l *lanes) drop() bool {
	var from *lane
	var at, cheapest int
	most := account.Most(l.byUser)
	for _, ln := range l.byKey {
		i, rank := ln.cheapest()
		if i < 0 || ln.key.user != most {
			continue
		}
		if from == nil || rank < cheapest || rank == cheapest && ln.items[i].seq < from.items[at].seq {
			from, at, cheapest = ln, i, rank
		}
	}
	if from == nil {
		return false
	}
	from.lose(at, l.hung)
	l.count(most, -1)
	l.lost++
	l.over(most)
	return true
}

// cheapest is the index of the event to be dropped first, -1 if there is
// none, and how dear it is.
func (ln *lane) cheapest() (index, rank int) {
	const working, verdict = 1, 2
	if len(ln.items) == 0 {
		return -1, 0
	}
	if ln.broken == nil {
		rank = working
	}
	i := slices.IndexFunc(ln.items, func(it item) bool { return !it.event.Verdict() })
	if i < 0 {
		return 0, rank + verdict
	}
	return i, rank
}

// lose drops item i. The reason is the newest there is.
func (ln *lane) lose(i int, hung error) {
	ln.gap.lines++
	ln.gap.like = ln.items[i].event
	switch {
	case ln.broken != nil:
		ln.gap.reason = cause(ln.broken.err)
	case hung != nil:
		ln.gap.reason = hung.Error()
	default:
		ln.gap.reason = "too many at once"
	}
	ln.items = slices.Delete(ln.items, i, i+1)
}

// cause is an error in words of the system's or ours, with no path in it.
func cause(err error) string {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return "the log was " + refused.Why
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return "the write failed"
}

// next takes out jobs of different lanes, at most so many, one after another as if
// each were asked for alone: that of the user whose turn was the longest ago, and
// of this one's the one that waited longest, among the lanes that may be tried now.
// Without any, wait is how long until one may be tried, -1 if none waits for that.
func (l *lanes) next(now time.Time, most int) (jobs []*job, wait time.Duration) {
	for len(jobs) < most {
		ln, w := l.ready(now)
		if ln == nil {
			return jobs, w
		}
		l.turn++
		l.served[ln.key.user] = l.turn
		jobs = append(jobs, ln.take(l.sink, now))
	}
	return jobs, 0
}

// ready is the lane whose turn it is.
func (l *lanes) ready(now time.Time) (first *lane, wait time.Duration) {
	wait = -1
	later := func(d time.Duration) {
		if wait < 0 || d < wait {
			wait = d
		}
	}
	rests := map[account.User]time.Duration{}
	for _, ln := range l.byKey {
		if ln.busy || ln.empty() {
			continue
		}
		if ln.broken != nil && now.Before(ln.broken.retry) {
			later(ln.broken.retry.Sub(now))
			continue
		}
		if first != nil && !l.before(ln, first) {
			continue
		}
		rest, asked := rests[ln.key.user]
		if !asked {
			rest = l.rest(ln.key.user)
			rests[ln.key.user] = rest
		}
		if rest > 0 {
			later(rest)
			continue
		}
		first = ln
	}
	return first, wait
}

// before reports whether it is the one lane's turn before the other's.
func (l *lanes) before(one, other *lane) bool {
	if a, b := l.served[one.key.user], l.served[other.key.user]; one.key.user != other.key.user && a != b {
		return a < b
	}
	return one.head() < other.head()
}

func (ln *lane) empty() bool { return len(ln.items) == 0 && ln.gap.lines == 0 }

// head is the number of the lane's first item; a gap alone comes first.
func (ln *lane) head() uint64 {
	if len(ln.items) == 0 {
		return 0
	}
	return ln.items[0].seq
}

func (ln *lane) take(sink string, now time.Time) *job {
	ln.busy = true
	if ln.gap.lines > 0 {
		return &job{lane: ln, event: ln.gap.tell(sink, ln.key.name, now), gapLines: ln.gap.lines}
	}
	it := ln.items[0]
	ln.items[0] = item{}
	ln.items = ln.items[1:]
	return &job{lane: ln, event: it.event, seq: it.seq}
}

// tell makes the event about a gap. In a stream of many models it is about
// the stream, in a model's log about that model.
func (g gap) tell(sink, key string, now time.Time) tracker.Event {
	e := tracker.Event{
		ID:     fmt.Sprintf("lost-%s-%d", sink, now.UnixNano()),
		Kind:   tracker.LinesLost,
		At:     now,
		Count:  g.lines,
		Reason: g.reason,
	}
	e.Tenant = g.like.Tenant
	if key != "" {
		e.Root, e.Repo, e.Log = g.like.Root, g.like.Repo, g.like.Log
	} else if owner := e.Tenant.Owner; owner > 0 {
		e.Reason += ", of uid " + owner.String()
	}
	return e
}

// giveBack puts a job back that was not done.
func (l *lanes) giveBack(j *job) {
	j.lane.busy = false
	if j.gapLines == 0 {
		j.lane.items = slices.Insert(j.lane.items, 0, item{j.seq, j.event})
	}
}

// failed puts a job back and makes its lane wait; true if that is news.
func (l *lanes) failed(j *job, err error, now time.Time) (news bool) {
	l.giveBack(j)
	f := j.lane.broken
	if f == nil {
		news = refused(err) || !l.anyFault()
		f = &fault{since: now, delay: firstDelay / 2}
		j.lane.broken = f
	}
	f.err = err
	f.delay = min(2*f.delay, lastDelay)
	f.retry = now.Add(f.delay)
	return news
}

// succeeded forgets a job; over if that ends a fault that was told, which had
// begun at since.
func (l *lanes) succeeded(j *job) (since time.Time, over bool) {
	ln := j.lane
	ln.busy = false
	if j.gapLines > 0 {
		ln.gap.lines -= j.gapLines
	} else {
		l.count(ln.key.user, -1)
	}
	if f := ln.broken; f != nil {
		ln.broken = nil
		since, over = f.since, refused(f.err) || !l.anyFault()
	}
	if ln.empty() {
		delete(l.byKey, ln.key)
		l.retire(ln.key.user)
	}
	return since, over
}

// maxServed bounds of how many users with nothing to write it is remembered when
// they had their turn.
const maxServed = 1024

func (l *lanes) retire(u account.User) {
	if len(l.served) > maxServed && l.byUser[u] == 0 {
		delete(l.served, u)
	}
}

func refused(err error) bool {
	var r *RefusedError
	return errors.As(err, &r)
}

// anyFault reports whether a lane fails for a reason that isn't its own.
func (l *lanes) anyFault() bool {
	for _, ln := range l.byKey {
		if ln.broken != nil && !refused(ln.broken.err) {
			return true
		}
	}
	return false
}

// failing is the oldest fault, nil if all lanes work.
func (l *lanes) failing() error {
	if l.hung != nil {
		return l.hung
	}
	var oldest *fault
	for _, ln := range l.byKey {
		if f := ln.broken; f != nil && (oldest == nil || f.since.Before(oldest.since)) {
			oldest = f
		}
	}
	if oldest == nil {
		return nil
	}
	return oldest.err
}
