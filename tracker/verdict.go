package tracker

import (
	"time"

	"progressd/sizer"
)

// verdict returns the verdict of waiting that is due, with the lines that
// belong right before it.
func (d *download) verdict() []Event {
	kind, left := d.pending()
	if left > 0 {
		return nil
	}
	switch kind {
	case "":
		return nil
	case Stalled:
		d.ep.Phase = PhaseStalled
		return []Event{d.silent(Stalled)}
	case Interrupted:
		d.ep.Phase = PhaseInterrupted
		return append(d.orphans(), d.silent(Interrupted))
	default:
		if d.look.Recounting {
			return nil // the look at which all has been counted
		}
		return d.finish(kind)
	}
}

// pending is the verdict that the facts earn if they stay as they are, and how
// much longer they have to; empty if none. None comes once the download is known
// to be interrupted: only bytes, a new attempt, proof or a model that is whole
// can change that.
func (d *download) pending() (Kind, time.Duration) {
	kind, watch, limit := d.awaited()
	if kind == "" {
		return "", 0
	}
	return kind, watch.left(limit)
}

// awaited is the verdict of pending, the clock by which it falls due, and the
// limit on that.
func (d *download) awaited() (kind Kind, watch *stopwatch, limit time.Duration) {
	if !d.mayEnd() {
		return "", nil, 0
	}
	kind, watch, limit = Interrupted, &d.clocks.silent, d.set.StallAfter
	if d.running() { // its end will be told
		kind, watch = Stalled, &d.clocks.working
	} else if end, ok := d.ending(); ok {
		kind, watch, limit = end, &d.clocks.quiet, d.set.QuietAfter
		switch {
		case d.look.Unclaimed > 0 && d.abandoned(): // it may be of the one who is gone
			kind = Ended
		case d.look.Unclaimed > 0: // what was being written may be missing here
			kind, watch, limit = Ended, &d.clocks.silent, max(d.set.StallAfter, d.set.QuietAfter)
			if d.clocks.quiet.left(d.set.QuietAfter) > watch.left(limit) { // a lock was held until now
				watch, limit = &d.clocks.quiet, d.set.QuietAfter
			}
		case d.uncertain(): // it may be about to go on
			limit = max(d.set.StallAfter, d.set.QuietAfter)
		}
	} else if working(d.look) { // who has just come has brought nothing yet
		kind, watch = Stalled, &d.clocks.working
	} else if d.abandoned() {
		watch, limit = &d.clocks.gone, d.set.InterruptAfter
	}
	if kind == Stalled && d.ep.Phase == PhaseStalled {
		return "", nil, 0
	}
	return kind, watch, limit
}

// mayEnd reports whether a verdict may fall due by waiting.
func (d *download) mayEnd() bool { return d.active() || d.madeWhole() }

// madeWhole reports whether what was interrupted is whole by now, though no byte
// was seen to come: rsync has brought it, say, with times from elsewhere. Where
// nothing tells what is whole, interrupted stands.
func (d *download) madeWhole() bool {
	end, ok := d.ending()
	return d.ep.Phase == PhaseInterrupted && ok && end == Completed && d.look.Whole && d.look.Unclaimed == 0
}

// ending is the end that the facts point to, if they stay as they are: a tidy
// cache in which nothing is under way. A finished subset and a Ctrl-C look
// the same there, so where there is a listing only proof makes it complete.
func (d *download) ending() (Kind, bool) {
	look := d.look
	tidy := look.Failed == 0 && look.Unfinished == 0 && d.ep.BytesBeforeLoss == 0
	if !d.seen || !tidy || !quiet(look) {
		return "", false
	}
	switch {
	case look.Settled != sizer.NoProof && look.Mismatched == nil:
		return Completed, true
	case look.Mismatched != nil, look.ShardGap, look.Missing > 0 && !look.WantedKnown:
		return Ended, true
	case !listed(look) && (look.Bytes > 0 || look.FilesDone > 0):
		if look.Lacking || look.Doubtful > 0 || look.Bytes == 0 { // of empty files nothing tells that they are whole
			return Ended, true
		}
		return Completed, look.Unlinked == 0
	default:
		return "", false
	}
}

// uncertain reports whether more may come though nothing is in flight: who
// downloads lives on, waiting for the hub perhaps, or held locks and can't be
// found, and nothing says that this was all.
func (d *download) uncertain() bool {
	if d.look.Awaited {
		return true
	}
	last, alive := latest(d.look.Downloaders, d.look.Alive)
	alive = alive && !d.ep.Unattributed || d.run != nil && d.run.exit == nil
	hidden := last == nil && d.look.Checkpoint.LockSeen
	return (alive || hidden) && !d.look.Whole && d.look.Settled == sizer.NoProof
}

// rests reports whether, and in how much longer, it has to be said that nothing
// is in flight and the end has to be waited for.
func (d *download) rests() (left time.Duration, due bool) {
	_, ends := d.ending()
	due = d.active() && ends && !listed(d.look) && !d.look.Awaited && d.look.Unclaimed == 0 && !d.running() &&
		d.uncertain() && d.clocks.quiet.running && !d.ep.Warned[Idle]
	return d.clocks.quiet.left(d.set.QuietAfter), due
}

// finish ends the episode with its last line, led by those that belong to it.
func (d *download) finish(kind Kind) []Event {
	proof := d.look.Proof
	if proof == sizer.NoProof {
		proof = d.look.Settled
	}
	if kind == Completed && proof == sizer.NoProof {
		return d.finishAs(kind, ProvenByQuiet, Unlisted)
	}
	return d.finishAs(kind, proof)
}

// silent makes a verdict that says how long no byte has come.
func (d *download) silent(kind Kind) Event {
	event := d.event(kind)
	event.Silence = d.silence()
	d.disk(&event)
	return event
}

// orphans reports what dead attempts left behind, once per episode. Empty files
// are no loss.
func (d *download) orphans() []Event {
	if d.look.OrphanBytes == 0 || !d.warn(OrphansFound) {
		return nil
	}
	event := d.event(OrphansFound)
	event.Count, event.Lost, event.Age = d.look.Orphans, d.look.OrphanBytes, d.look.OrphanAge
	return []Event{event}
}

// abandoned reports whether nobody is left to bring anything, as far as can be
// known: nothing is of somebody who was never seen.
func (d *download) abandoned() bool { return abandoned(d.look) && !d.ep.Unattributed }

// finishAs ends the episode with a line, led by those that belong to it.
func (d *download) finishAs(kind Kind, proof sizer.Proof, lead ...Kind) []Event {
	events := d.orphans()
	for _, kind := range lead {
		events = append(events, d.event(kind))
	}
	last := d.event(kind)
	if kind == Ended {
		last.Files = max(last.Files, d.look.Listed)
		for _, absent := range d.look.Absent {
			last.Absent = append(last.Absent, absent.Path)
		}
	}
	if kind == Completed {
		last.Proof = proof
		if d.seen {
			d.mean(&last)
		}
	}
	d.ep.Phase = PhaseOver
	return append(events, last)
}
