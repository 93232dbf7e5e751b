package state

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"progressd/tracker"
)

// maxTellings bounds the events that wait for the disk: those of one root may be
// as many as there is room left. Verdicts may go beyond it: they are few, and
// none may be lost.
const maxTellings = 8192

// Putter takes events to be told and never blocks, as a sink's queue does.
type Putter interface {
	Put(e tracker.Event)
}

// Outlet is one way out for events.
type Outlet struct {
	// Name is what Store.Written calls it; empty if it confirms nothing
	// and so is not waited for.
	Name  string
	Queue Putter
}

// Ledger takes what the engine decides, has the store remember it, and passes
// it on: in this order, so that what was told is never told again. It is the
// tracker's Recorder.
type Ledger struct {
	store   *Store
	outlets []Outlet
	log     *slog.Logger
	wake    chan struct{}

	mu      sync.Mutex
	waiting batch
}

var _ tracker.Recorder = (*Ledger)(nil)

// batch is what came since the ledger last wrote.
type batch struct {
	order   []string // ids of records, as they first came
	records map[string]tracker.Episode
	told    []telling
	byRoot  map[string]int // how many of these are of each root
	dropped int
	after   []func()
}

// NewLedger makes a ledger over a store. Two may follow each other on one
// store, but never run at once.
func NewLedger(s *Store, outlets []Outlet, log *slog.Logger) *Ledger {
	return &Ledger{store: s, outlets: outlets, log: log, wake: make(chan struct{}, 1)}
}

// Commit notes the episode's newest record and what is to be told after it is
// on disk. It never blocks and keeps nothing of ep. Where the disk lags, the
// newest record alone is written, and beyond a bound events that are no
// verdicts are dropped.
func (l *Ledger) Commit(ep *tracker.Episode, events []tracker.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := ""
	if ep != nil {
		id = ep.ID
		l.waiting.note(copyEpisode(*ep))
	}
	for _, e := range events {
		l.waiting.tell(telling{id, e})
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// After has f called when all that was committed before is passed on. f must
// not block.
func (l *Ledger) After(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting.after = append(l.waiting.after, f)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (b *batch) note(ep tracker.Episode) {
	if b.records == nil {
		b.records = map[string]tracker.Episode{}
	}
	if _, known := b.records[ep.ID]; !known {
		b.order = append(b.order, ep.ID)
	}
	b.records[ep.ID] = ep
}

func (b *batch) tell(t telling) {
	if b.byRoot == nil {
		b.byRoot = map[string]int{}
	}
	root := t.event.Root
	if b.byRoot[root] >= maxTellings-len(b.told) && !t.event.Verdict() {
		b.dropped++
		return
	}
	b.byRoot[root]++
	b.told = append(b.told, t)
}

// Run first passes on the verdicts of former lives, to those outlets that have
// not confirmed them, then whatever is committed. When ctx is done it passes
// on what was committed until then and returns nil: the engine must have
// stopped before, and the sinks must stop after.
func (l *Ledger) Run(ctx context.Context) error {
	l.replay()
	for {
		select {
		case <-ctx.Done():
			l.pass()
			l.store.flush()
			return nil
		case <-l.wake:
			l.pass()
		case <-l.retry():
			l.store.flush()
		}
	}
}

func (l *Ledger) replay() {
	var awaited []string
	for _, o := range l.outlets {
		if o.Name != "" {
			awaited = append(awaited, o.Name)
		}
	}
	l.store.await(awaited)
	for _, o := range l.outlets {
		if o.Name == "" {
			continue
		}
		for _, e := range l.store.pendingFor(o.Name) {
			o.Queue.Put(e)
		}
	}
}

func (l *Ledger) pass() {
	b := l.take()
	if b.dropped > 0 {
		l.log.Warn("state is written too slowly: lines were dropped, verdicts were not", "count", b.dropped)
	}
	records := make([]tracker.Episode, 0, len(b.order))
	for _, id := range b.order {
		records = append(records, b.records[id])
	}
	for _, e := range l.store.note(records, b.told) {
		for _, o := range l.outlets {
			o.Queue.Put(e)
		}
	}
	for _, f := range b.after {
		f()
	}
}

func (l *Ledger) take() batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.waiting
	l.waiting = batch{}
	return b
}

// retry fires when the store wants to try the disk again, if it does.
func (l *Ledger) retry() <-chan time.Time {
	wait, needed := l.store.retryIn()
	if !needed {
		return nil
	}
	return time.After(wait)
}
