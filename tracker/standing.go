package tracker

import (
	"time"
)

// standingEvery is how often the standing of a download is published while
// nothing is told of it, watchedEvery how often while somebody watches: to
// measure speeds takes some 10 us.
const (
	standingEvery = 5 * time.Second
	watchedEvery  = time.Second
)

// show publishes how a download stands: at each line, and before it, so that who
// hears that finds this; and now and then while time passes.
func (t *Tracker) show(e *entry, events []Event) {
	if t.hooks.Shown == nil {
		return
	}
	e.shownAt = e.now
	s := e.standing()
	s.Silent = s.Over && len(events) == 0
	t.hooks.Shown(s)
}

// showAgain is show where nothing has happened but time, and perhaps bytes.
func (t *Tracker) showAgain(e *entry) {
	age := e.now.Sub(e.shownAt)
	if age >= standingEvery || age >= watchedEvery && t.hooks.Watched != nil && t.hooks.Watched() {
		t.show(e, nil)
	}
}

func (d *download) standing() Standing {
	return Standing{
		Episode: d.ep.ID, Root: d.ep.Root, Repo: d.ep.Repo,
		State: d.state(), Over: d.ep.Over(), Began: d.began.Round(0), Grown: d.lastByte.Round(0),
		Now: d.present(), Device: d.look.Room.Dev,
	}
}

func (d *download) state() Kind {
	switch d.ep.Phase {
	case PhaseFailed:
		return Failed
	case PhaseInterrupted:
		return Interrupted
	case PhaseStalled:
		return Stalled
	case PhaseAnnounced, PhaseHeld, PhaseActive, PhaseOver:
	}
	if d.unplayed() {
		return Preparing
	}
	return Progress
}

// present is an event of no kind with the facts of now.
func (d *download) present() Event {
	e := d.facts()
	e.Total = d.shown()
	if e.Total == 0 {
		e.TotalSource = ""
	}
	if d.active() {
		d.measure(&e)
	}
	if silence := d.silence(); silence >= time.Second && d.seen {
		e.Silence = silence
	}
	if room := d.look.Room; room.Size > 0 {
		e.Needed, e.Free = d.left(), room.Free
	}
	return e
}
