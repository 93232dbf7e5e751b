package main

import (
	"context"
	"sync"
)

// turn is an act's share of the machine. It has one of the stage's turns while
// clients of its run, and none while it waits for a verdict: the waiting, which
// is long and costs nothing, is done by all acts at the same time.
type turn struct {
	// all are the stage's: as many as acts may have one.
	all chan struct{}

	mu      sync.Mutex
	running int
	// reserved: the stage has taken it for the act's first client.
	reserved bool
}

// take waits for a turn, unless another client of the act has one.
func (t *turn) take(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reserved {
		t.reserved = false
		return nil
	}
	if t.running == 0 {
		select {
		case t.all <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	t.running++
	return nil
}

// reserve takes a turn ahead of the first client, so that acts begin in order.
func (t *turn) reserve(ctx context.Context) error {
	err := t.take(ctx)
	t.reserved = err == nil
	return err
}

func (t *turn) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running--; t.running == 0 {
		<-t.all
	}
}

// end gives back what was reserved for a client that never began.
func (t *turn) end() {
	t.mu.Lock()
	reserved := t.reserved
	t.reserved = false
	t.mu.Unlock()
	if reserved {
		t.give()
	}
}
