// Package sink renders events and writes them: to systemd's journal, to a log
// file for each model, to the console. Each sink has a queue and a goroutine
// of its own (Queue), so that none holds up another, nor the engine.
package sink

import (
	"context"

	"progressd/tracker"
)

// Sink is where events are written. Write is called from one goroutine, event
// by event; an error means that the same event will come again. It may block,
// and should end early when ctx is done.
type Sink interface {
	Name() string
	Write(ctx context.Context, e tracker.Event) error
}

// Laner is a Sink that writes to several places: events of one lane keep
// their order, and a lane that fails holds up no other. Where a Sink isn't a
// Laner, all its events are one lane.
type Laner interface {
	Lane(e tracker.Event) string
}

// Batcher is a Sink for which it is less work to write several events at once, each
// of another lane. It gives an error, or nil, for each of them.
type Batcher interface {
	WriteAll(ctx context.Context, events []tracker.Event) []error
}

// Outbox remembers which verdict lines are safely out. It is called from the
// sinks' goroutines and may block on a disk.
type Outbox interface {
	// Placing notes durably that the lines of these verdicts are about to be
	// appended. A later note replaces an earlier one.
	Placing(placements []tracker.Placement) error
	// Placed gives the newest note of a verdict that isn't confirmed, also
	// one of a former life.
	Placed(id string) (tracker.Position, bool)
	// Written confirms that the sink of this name has the line for good.
	Written(id, sink string)
}

// Keys of the diagnostics.
const (
	keySink  = "sink"
	keyLog   = "log"
	keyError = "error"
	keyFor   = "for"
	keyLeft  = "lines"
)
