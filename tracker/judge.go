package tracker

import (
	"slices"
	"time"

	"progressd/sizer"
)

// observe takes in a look and returns the lines that are due, in order.
func (d *download) observe(look sizer.Look) []Event {
	events := d.judge(look)
	d.rest = look.Rest
	return d.tell(events)
}

// judge is observe before what is told of the total is settled.
func (d *download) judge(look sizer.Look) []Event {
	d.turn(look.At)
	if !look.At.Before(d.dozed) {
		d.dozed = time.Time{}
	}
	switch {
	case d.ep.Over():
		return nil
	case look.Unreadable != nil:
		d.unseen.note(d.now, look.Unreadable)
		d.unsure = d.now
		d.clocks.blind()
		return nil
	}
	d.unseen = unseen{}
	switch {
	case d.unplayed() && !look.InPlay: // it has made nothing yet
		if d.run == nil {
			return nil
		}
		d.run.absent = look.Gone
		return d.conclude(look.At)
	case look.Gone:
		d.ep.Phase = PhaseOver
		if d.ep.Seq == 0 { // nothing was told of it
			return nil
		}
		return []Event{d.event(Removed)}
	case !look.InPlay: // nothing moves, the facts stand
		d.wait()
		return append(d.verdict(), d.conclude(look.At)...)
	}
	first := d.ep.Seq == 0 || d.unplayed()
	if first && d.awaits(look) {
		return nil
	}
	news := d.take(look)
	var events []Event
	if first && d.ep.Phase != PhaseFailed { // a failure is told sooner than the look that saw the beginning
		d.ep.Phase = PhaseActive
		events = d.opening()
	}
	events = append(events, d.warnings()...)
	line := d.line(news)
	end := d.conclude(look.At)
	if len(end) > 0 { // the most final line alone
		line = slices.DeleteFunc(line, func(e Event) bool { return e.Kind == Progress })
	}
	return slices.Concat(events, line, end)
}

// tick lets time pass and returns the lines that are due by it alone. Verdicts
// need a fresh look.
func (d *download) tick(now time.Time) []Event { return d.tell(d.wake(now)) }

// wake is tick before what is told of the total is settled.
func (d *download) wake(now time.Time) []Event {
	d.turn(now)
	if events := d.overdue(); events != nil || !d.active() {
		return events
	}
	return d.keepalive()
}

// awaits reports whether a download that is seen for the first time isn't told
// yet, so that its first lines may say how large it is. What ends is told.
func (d *download) awaits(look sizer.Look) bool {
	if !look.Asked || look.Partials == 0 || d.run != nil && d.run.exit != nil {
		return false
	}
	if d.held.IsZero() {
		d.held = d.now
	}
	return d.now.Sub(d.held) < hubPatience
}
