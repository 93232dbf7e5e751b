package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/hub"
	"progressd/internal/wait"
)

// trouble is what goes wrong at the hub with one file while a client lives.
type trouble struct {
	name, path string
	fault      hub.Fault
	// hold is how long a stalled answer stands still.
	hold time.Duration
}

func (t trouble) String() string {
	if t.path == "" {
		return ""
	}
	return fmt.Sprintf(" (%s of %s)", t.name, t.path)
}

// troubles makes up what goes wrong with a file of the newest revision.
func (a *actor) troubles(m *model) trouble {
	files := m.newest().files
	e := files[a.rng.IntN(len(files))]
	for range 3 { // rather a large one
		if e.Size < 100_000 {
			e = files[a.rng.IntN(len(files))]
		}
	}
	t := trouble{path: e.Path}
	at := max(e.Size/4+a.rng.Int64N(e.Size/2+1), 1)
	switch a.rng.IntN(6) {
	case 0:
		t.name, t.fault = "503", hub.Fault{Status: http.StatusServiceUnavailable, Times: a.rng.IntN(3)}
	case 1:
		t.name, t.fault = "reset", hub.Fault{CutAt: at, Times: 1 + a.rng.IntN(2)}
	case 2:
		t.name, t.fault = "reset and Range ignored", hub.Fault{CutAt: at, IgnoreRange: true, Times: 2}
	case 3:
		t.name, t.fault = "Range ignored", hub.Fault{IgnoreRange: true}
	case 4:
		t.name, t.fault = "cut short", hub.Fault{Short: at}
	default:
		t.name, t.fault = "stall", hub.Fault{Gate: hub.NewGate(), GateAt: at / 2, Times: 1}
		t.hold = between(a.rng, time.Second, 6*time.Second)
		if a.rng.IntN(3) == 0 {
			t.hold = 2 * a.pace.stall
		}
	}
	return t
}

// troubled: the hub fails, perhaps behind a client that was killed, and perhaps
// another client finishes the work.
func (a *actor) troubled(ctx context.Context, m *model) error {
	var orders []order
	if a.rng.IntN(3) == 0 {
		orders = append(orders, a.kill(syscall.SIGKILL))
	}
	orders = append(orders, order{trouble: a.troubles(m)})
	if a.rng.IntN(3) > 0 {
		orders = append(orders, all)
	}
	return a.each(ctx, m, orders...)
}

// overtaken: a new revision is published while the one before is downloaded,
// and another client takes that, at the same time.
func (a *actor) overtaken(ctx context.Context, m *model) error {
	begun := m.told()
	first, second := all, a.cast(m, all)
	if a.rng.IntN(2) == 0 {
		first = a.kill(syscall.SIGKILL)
	}
	first = a.cast(m, first)
	if first.writer.lockless() || second.writer.lockless() { // would write to one partial
		return a.each(ctx, m, first)
	}
	gap := between(a.rng, 0, 500*time.Millisecond)
	old := m.newest()
	group, both := errgroup.WithContext(ctx)
	over := make(chan struct{})
	group.Go(func() error {
		defer close(over)
		_, err := m.live(both, first)
		return err
	})
	if err := m.begunWith(both, old, over); err != nil {
		return errors.Join(err, group.Wait())
	}
	if err := errors.Join(wait.For(both, gap), m.renew(a.rng)); err != nil {
		return errors.Join(err, group.Wait())
	}
	last, err := m.live(both, second)
	if err = errors.Join(err, group.Wait()); err != nil {
		return err
	}
	if !last.truth.whole { // the other one had a file that it then lost
		if last, err = a.run(ctx, m, all); err != nil {
			return err
		}
	}
	return a.settle(ctx, m, begun, last)
}

// begunWith waits until a client works on a revision, or is over.
func (m *model) begunWith(ctx context.Context, r revision, over <-chan struct{}) error {
	for {
		if _, err := os.Stat(filepath.Join(m.dir(), "snapshots", r.commit)); err == nil {
			return nil
		}
		select {
		case <-over:
			return nil
		default:
		}
		if err := wait.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}
