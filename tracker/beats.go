package tracker

import "time"

const (
	// beat is how often time alone is looked at while a download is active.
	beat = time.Second
	// statusEvery is how often the status may change.
	statusEvery = 2 * time.Second
	// nearBeat is how much of a beat has passed when a look that comes stands
	// in for it.
	nearBeat = beat * 3 / 4
	// lookAhead is how long one that has stood in is taken to be followed by
	// another. A timer that is moved on still wakes the daemon at the time it
	// was set to first.
	lookAhead = 4 * beat
)

// beats are the times at which time alone is looked at. To be woken costs more
// than what is then done: where looks come about as often, theirs is the only
// time at which the daemon wakes.
type beats struct {
	ticker *time.Ticker
	due    <-chan time.Time // nil while nobody wants any
	last   time.Time
}

func newBeats() *beats {
	b := &beats{ticker: time.NewTicker(beat)}
	b.ticker.Stop()
	return b
}

// want switches them on or off: nothing wakes an idle daemon.
func (b *beats) want(wanted bool) {
	switch {
	case wanted && b.due == nil:
		b.ticker.Reset(beat)
		b.due, b.last = b.ticker.C, time.Now()
	case !wanted && b.due != nil:
		b.stop()
		b.due = nil
	}
}

// near reports whether the next is so near that a look now will do, and moves
// it on if so.
func (b *beats) near(now time.Time) bool {
	if b.due == nil || now.Sub(b.last) < nearBeat {
		return false
	}
	b.ticker.Reset(lookAhead)
	b.last = now
	return true
}

// passed notes that the one that was due has come.
func (b *beats) passed(now time.Time) {
	b.ticker.Reset(beat)
	b.last = now
}

func (b *beats) stop() { b.ticker.Stop() }
