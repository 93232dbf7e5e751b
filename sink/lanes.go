package sink

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"progressd/tracker"
)

// lanes holds what a queue holds. It is pure: no I/O, no clock, no lock.
type lanes struct {
	sink     string
	capacity int
	laneOf   func(tracker.Event) string

	byKey  map[string]*lane
	queued int
	lost   int
	seq    uint64
	// hung is set while a job takes too long.
	hung error
}

// lane is the events for one place, in order.
type lane struct {
	key    string
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
	return &lanes{sink: sink, capacity: max(capacity, 1), laneOf: laneOf, byKey: map[string]*lane{}}
}

func (l *lanes) put(e tracker.Event) {
	key := l.laneOf(e)
	to := l.byKey[key]
	if to == nil {
		to = &lane{key: key}
		l.byKey[key] = to
	}
	l.seq++
	to.items = append(to.items, item{l.seq, e})
	l.queued++
	for l.queued > l.capacity && l.drop() {
	}
}

// drop drops the event that is missed least; false if there is none.
func (l *lanes) drop() bool {
	var from *lane
	var at, cheapest int
	for _, ln := range l.byKey {
		i, rank := ln.cheapest()
		if i < 0 {
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
	l.queued--
	l.lost++
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

// next takes out the job that waited longest among the lanes that may be
// tried now. Without one, wait is how long until the next lane may be tried,
// -1 if none waits for that.
func (l *lanes) next(now time.Time) (_ *job, wait time.Duration) {
	wait = -1
	var first *lane
	for _, ln := range l.byKey {
		if ln.busy || ln.empty() {
			continue
		}
		if ln.broken != nil && now.Before(ln.broken.retry) {
			if d := ln.broken.retry.Sub(now); wait < 0 || d < wait {
				wait = d
			}
			continue
		}
		if first == nil || ln.head() < first.head() {
			first = ln
		}
	}
	if first == nil {
		return nil, wait
	}
	return first.take(l.sink, now), 0
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
		return &job{lane: ln, event: ln.gap.tell(sink, ln.key, now), gapLines: ln.gap.lines}
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
	if key != "" {
		e.Root, e.Repo, e.Log = g.like.Root, g.like.Repo, g.like.Log
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
		l.queued--
	}
	if f := ln.broken; f != nil {
		ln.broken = nil
		since, over = f.since, refused(f.err) || !l.anyFault()
	}
	if ln.empty() {
		delete(l.byKey, ln.key)
	}
	return since, over
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
