package tracker

import (
	"time"

	"progressd/hfcache"
	"progressd/sizer"
)

// interest is what is still expected of the download.
func (d *download) interest() sizer.Interest {
	switch {
	case d.active():
		return sizer.Open
	case d.ep.Over() || d.now.Sub(d.lastLine) >= pauseLasts:
		return sizer.Settled
	default:
		return sizer.Paused
	}
}

// lookBy is when the next look has to come: when what is waited for falls due
// if nothing moves, and soon enough to see whether anything does. Zero is
// whenever there is one.
func (d *download) lookBy() time.Time {
	switch {
	case !d.mayEnd():
		return time.Time{}
	case d.ep.Seq == 0 && !d.held.IsZero():
		return d.held.Add(hubPatience)
	case d.clocks.checked.IsZero():
		return time.Time{}
	case !d.dozed.IsZero():
		return d.dozed
	case d.run != nil && d.run.exit != nil:
		return d.clocks.checked.Add(beat)
	}
	left := closely
	if _, due := d.pending(); due > 0 {
		left = min(left, due)
	}
	if rest, due := d.rests(); due && rest > 0 {
		left = min(left, rest)
	}
	return d.clocks.checked.Add(left)
}

// attendOpen is attend for what is open there, if anything is.
func (t *Tracker) attendOpen(k hfcache.Place) {
	if e := t.open[k]; e != nil {
		t.attend(k, e)
	}
}

// attend tells how closely a download has to be looked at, if that has changed.
func (t *Tracker) attend(k hfcache.Place, e *entry) {
	a := Attention{Root: k.Root, Repo: k.Repo, Seen: e.judged, Interest: e.interest(), By: e.lookBy()}
	if t.homes.away[k.Root] {
		a.By = time.Time{}
	}
	if a != e.attended {
		e.attended = a
		t.order(a)
	}
}

// release tells that nothing is waited for any more. by is for one look more,
// which lets the repository be forgotten; zero where there is nothing to see.
func (t *Tracker) release(k hfcache.Place, e *entry, by time.Time) {
	t.order(Attention{Root: k.Root, Repo: k.Repo, Seen: e.judged, By: by})
}

func (t *Tracker) order(a Attention) {
	if t.hooks.Attend != nil {
		t.hooks.Attend(a)
	}
}
