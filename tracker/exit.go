package tracker

import (
	"time"

	"progressd/sizer"
)

// exitPatience is how long the end of a run waits for a look that was begun
// after it, and for one that proves what seems complete.
const exitPatience = 5 * time.Second

// conclude weighs the end of the run and what is on disk together. seen is
// when the newest facts were looked at.
func (d *download) conclude(seen time.Time) []Event {
	r := d.run
	if r == nil || r.exit == nil || r.judged || d.ep.Over() {
		return nil
	}
	late := d.now.Sub(r.exitAt) >= exitPatience
	fresh := !seen.Before(r.exitAt)
	if !fresh && !late {
		return nil
	}
	if r.exit.Status != 0 {
		r.judged = true
		return d.broken()
	}
	if !fresh { // nobody can look: nothing is claimed
		r.judged = true
		return nil
	}
	return d.unbroken(late)
}

// overdue concludes where no look comes any more.
func (d *download) overdue() []Event {
	if d.run == nil || d.run.exit == nil {
		return nil
	}
	return d.conclude(time.Time{})
}

// broken is the end of a program that says itself that it has failed. Of one
// that does other things as well, and of which nothing was seen or all has
// come, it can't be known what has failed.
func (d *download) broken() []Event {
	exit := *d.run.exit
	if d.told() {
		return nil // with its cause
	}
	cause := exit.cause()
	if !d.run.only && exit.Cause == "" && (d.unplayed() || d.arrived()) {
		event := d.event(Output)
		event.Program, event.Cause, event.Exit, event.Alarm = d.run.process.Command, cause, &exit, true
		if d.unplayed() {
			return []Event{event}
		}
		return append([]Event{event}, d.finish(Completed)...)
	}
	events := d.orphans()
	event := d.failure(cause)
	event.Exit = &exit
	switch cause {
	case CauseStall:
		event.Silence = d.silence()
	case exit.Cause:
		event.Reason = exit.Remedy
	}
	return append(events, event)
}

// told: the failure of this run was, not only that of one before it.
func (d *download) told() bool { return d.ep.Phase == PhaseFailed && !d.run.failed.IsZero() }

// arrived: the files prove that all came which was wanted, and nobody is at it.
// A server that fails then (vLLM 0.32 does of a model that doesn't fit, seconds
// after the last byte) fails of something else.
func (d *download) arrived() bool {
	look := d.look
	all := proven(look) || look.Settled == sizer.ProvenByLoader
	return all && look.Mismatched == nil && !working(look)
}

// unbroken is the end of a program that says that all is well. The disk must
// not say otherwise.
func (d *download) unbroken(late bool) []Event {
	r, look := d.run, d.look
	if d.unplayed() {
		r.judged = true
		return d.untouched()
	}
	against := look.Missing > 0 || look.ShardGap || look.Lacking || look.Unlinked > 0 || look.Unclaimed > 0 || look.Doubtful > 0 ||
		look.Unfinished > 0 || look.Partials > 0 || look.Failed > 0 || d.ep.BytesBeforeLoss > 0
	switch {
	case look.Mismatched != nil:
		r.judged = true
		return d.untrue(CauseSize)
	case look.Missing > 0 && look.WantedKnown:
		r.judged = true
		return d.untrue(CauseIncomplete)
	case working(look):
		r.judged = late // a reading of locks may be a moment old
		return nil      // another one is at it: looks will tell
	case look.Settled != sizer.NoProof:
		r.judged = true
		return d.finish(Completed)
	case against:
		r.judged = true
		return d.finish(Ended)
	case listed(look) && !late:
		return nil // all is there: the next look proves it
	case listed(look):
		r.judged = true
		return d.finish(Ended)
	default:
		r.judged = true
		return d.finishAs(Completed, ProvenByExit, Unlisted)
	}
}

// untouched is the end of a program for which nothing was transferred: what it
// asked for was there already. What a program asks for that does other things
// as well, nobody knows.
func (d *download) untouched() []Event {
	rest := d.run.rest
	switch {
	case d.run.absent, rest != nil && rest.FilesDone == 0:
		return d.untrue(CauseAbsent)
	case rest == nil:
		return nil // nothing is claimed
	case proven(*rest):
		return d.finishAs(Completed, rest.Proof)
	case d.run.only && rest.Mismatched == nil:
		return d.finishAs(Completed, ProvenByExit)
	}
	d.look, d.seen = *rest, true
	d.ep.Bytes = rest.Bytes
	switch {
	case rest.Mismatched != nil:
		return d.untrue(CauseSize)
	case listed(*rest), rest.ShardGap, rest.Lacking, rest.Unlinked > 0, rest.Unfinished > 0, rest.Partials > 0:
		return d.finish(Ended)
	default:
		return d.finishAs(Completed, ProvenByExit, Unlisted)
	}
}

// untrue is the failure of a program that claims to have succeeded.
func (d *download) untrue(cause string) []Event {
	if d.told() {
		return nil
	}
	exit := *d.run.exit
	event := d.failure(cause)
	event.Exit = &exit
	if d.look.Mismatched != nil {
		mismatch := *d.look.Mismatched
		event.Mismatch = &mismatch
	}
	return []Event{event}
}

// cause is the best that is known of why a program has failed. What it has
// printed says more than how it ended, but for somebody's having ended it.
func (e Exit) cause() string {
	const interrupted = 128 + 2
	switch {
	case e.Cause == CauseStall:
		return CauseStall
	case e.OutOfMemory && e.Signal == "SIGKILL":
		return CauseMemory
	case e.Asked != "", e.Signal == "" && e.Status == interrupted:
		return CauseStopped
	case e.Signal != "":
		return CauseKilled
	case e.Cause != "":
		return e.Cause
	default:
		return CauseExit
	}
}
