package sink

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"progressd/account"
	"progressd/tracker"
	"progressd/untrusted"
)

const (
	// firstDelay and lastDelay bound the back-off of a lane that fails: a disk
	// that has room again shows its lines within seconds, and a try costs no
	// more than a line.
	firstDelay = 200 * time.Millisecond
	lastDelay  = 5 * time.Second
	// hangTime is how long a Write may take before it is told that it hangs:
	// journald stands still, a log lies on a dead network disk.
	hangTime = 5 * time.Second
	// drainTime is what Run gives itself to write what is left at the end.
	drainTime = time.Second
)

// errHung is given for a Write that takes longer than hangTime, or than the
// end of its context.
var errHung = errors.New("the write does not return")

// Queue stands between the engine, which never waits, and a sink, which may
// fail or hang. It holds a bounded number of events, and serves the users whom
// they are for in turn. A lane (see Laner) that fails keeps its events in order
// and is tried again after 0.2 s, later every 5 s; the other lanes go on. When
// the queue is full, the user of whom most waits loses something: events of
// failing lanes first, oldest first, verdicts last. Where lines were dropped, a
// line says how many, in the place of the gap, once the lane works.
type Queue struct {
	sink     Sink
	accounts *account.Book
	log      *slog.Logger
	wake     chan struct{}

	mu    sync.Mutex
	lanes *lanes
}

// maxBatch is how many lines are given to a Batcher at once: one that comes
// meanwhile waits for them.
const maxBatch = 8

// NewQueue returns a queue of at most capacity events before a sink. Lines are
// charged to whom they are for; accounts may be nil, where there is one user.
func NewQueue(s Sink, capacity int, accounts *account.Book, log *slog.Logger) *Queue {
	laneOf := func(tracker.Event) string { return "" }
	if l, ok := s.(Laner); ok {
		laneOf = l.Lane
	}
	q := &Queue{
		sink:     s,
		accounts: accounts,
		log:      log.With(keySink, s.Name()),
		wake:     make(chan struct{}, 1),
		lanes:    newLanes(s.Name(), capacity, laneOf),
	}
	q.lanes.whose = accounts.Whose
	q.lanes.rest = func(u account.User) time.Duration { return accounts.Wait(u, account.Lines) }
	q.lanes.over = func(u account.User) { accounts.Refused(u, account.Waiting) }
	return q
}

// Put adds an event. It never blocks. Anyone may call it at any time.
func (q *Queue) Put(e tracker.Event) {
	q.mu.Lock()
	q.lanes.put(e)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Status gives how many events wait, how many were dropped in all, and why
// the sink fails, nil if it doesn't. Anyone may call it.
func (q *Queue) Status() (queued, lost int, failing error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes.queued, q.lanes.lost, q.lanes.failing()
}

// Run writes events until ctx is done, and then for at most a second what is
// left and can be written at once. It returns nil; a Write that hangs beyond
// that is left behind, with its goroutine.
func (q *Queue) Run(ctx context.Context) error {
	hard, cancel := graceful(ctx)
	defer cancel()
	w := startWriter(hard, q.sink)
	defer w.stop()
	for hard.Err() == nil {
		jobs, wait := q.next()
		switch {
		case len(jobs) > 0:
			for i, err := range q.attempt(hard, w, jobs) {
				q.done(hard, jobs[i], err)
			}
		case ctx.Err() != nil:
			cancel()
		default:
			q.pause(ctx, wait)
		}
	}
	if left, _, _ := q.Status(); left > 0 {
		q.log.Warn("lines were not written before the end", keyLeft, left)
	}
	return nil
}

// pause waits for an event, for the next try of a lane (wait < 0: there is
// none), or for the end.
func (q *Queue) pause(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-q.wake:
	case <-due:
	case <-ctx.Done():
	}
}

// attempt writes, and tells when that hangs and when it is over.
func (q *Queue) attempt(ctx context.Context, w *writer, jobs []*job) []error {
	began, over := time.Now(), false
	alarm := time.AfterFunc(hangTime, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if over {
			return
		}
		q.lanes.hung = errHung
		q.log.Warn("a line takes long to be written, others wait", keyLog, untrusted.Name(jobs[0].lane.key.name), keyFor, hangTime)
	})
	defer alarm.Stop()
	errs := w.write(ctx, jobs)
	q.mu.Lock()
	defer q.mu.Unlock()
	over = true
	if q.lanes.hung != nil {
		q.lanes.hung = nil
		q.log.Info("the line that took long is through", keyLog, untrusted.Name(jobs[0].lane.key.name), keyFor, time.Since(began).Round(time.Second))
	}
	return errs
}

func (q *Queue) next() ([]*job, time.Duration) {
	most := 1
	if _, ok := q.sink.(Batcher); ok {
		most = maxBatch
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes.next(time.Now(), most)
}

// done takes a job's result, and tells when a fault begins and when it is
// over. Refused logs are told one by one; other faults (a full disk, journald
// down) concern all lanes alike and are told once.
func (q *Queue) done(ctx context.Context, j *job, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		// The end came in between: no fault of the sink.
		q.lanes.giveBack(j)
		return
	}
	now := time.Now()
	if err != nil {
		if q.lanes.failed(j, err, now) {
			q.log.Warn("lines cannot be written, they are kept and tried again", keyLog, untrusted.Name(j.lane.key.name), keyError, err)
		}
		return
	}
	q.accounts.Spend(j.lane.key.user, account.Lines, 1)
	since, over := q.lanes.succeeded(j)
	if over {
		q.log.Info("lines are written again", keyLog, untrusted.Name(j.lane.key.name), keyFor, now.Sub(since).Round(time.Second))
	}
}

// graceful returns a context that ends drainTime after ctx.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(drainTime)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-hard.Done():
		}
	})
	return hard, func() { stop(); cancel() }
}

// writer calls a sink in a goroutine of its own, so that one that hangs in a
// system call can't keep the daemon from ending.
type writer struct {
	in  chan []tracker.Event
	out chan []error
}

func startWriter(ctx context.Context, s Sink) *writer {
	// The result has room: nobody may be there to take it.
	w := &writer{in: make(chan []tracker.Event), out: make(chan []error, 1)}
	go func() {
		for events := range w.in {
			if all, ok := s.(Batcher); ok {
				w.out <- all.WriteAll(ctx, events)
				continue
			}
			errs := make([]error, len(events))
			for i, e := range events {
				errs[i] = s.Write(ctx, e)
			}
			w.out <- errs
		}
	}()
	return w
}

// write passes the jobs on and waits, beyond the end of ctx only as long as
// an orderly Write takes to notice it.
func (w *writer) write(ctx context.Context, jobs []*job) []error {
	events := make([]tracker.Event, len(jobs))
	for i, j := range jobs {
		events[i] = j.event
	}
	w.in <- events
	select {
	case errs := <-w.out:
		return errs
	case <-ctx.Done():
	}
	timer := time.NewTimer(drainTime / 4)
	defer timer.Stop()
	select {
	case errs := <-w.out:
		return errs
	case <-timer.C:
		errs := make([]error, len(jobs))
		for i := range errs {
			errs[i] = errHung
		}
		return errs
	}
}

func (w *writer) stop() { close(w.in) }
