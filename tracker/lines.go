package tracker

import (
	"time"
)

// opening returns the lines with which an episode begins.
func (d *download) opening() []Event {
	var events []Event
	if d.ep.Seq == 0 { // a run has said so when it began
		events = append(events, d.event(Preparing))
	}
	if d.ep.Base == 0 {
		return append(events, d.event(Started))
	}
	resumed := d.event(Resumed)
	resumed.Bytes = d.ep.Base
	return append(events, resumed)
}

// warnings returns what the look shows to be wrong, once per episode each.
func (d *download) warnings() []Event {
	var events []Event
	if d.ep.TotalDropped && d.warn(TotalDropped) {
		dropped := d.event(TotalDropped)
		dropped.Total, dropped.TotalSource = d.look.Total, d.look.TotalSource
		events = append(events, dropped)
	}
	if d.mismatch.lasts(d.now, d.look.Mismatched) >= d.set.QuietAfter && d.warn(SizeDiffers) {
		differs := d.event(SizeDiffers)
		mismatch := *d.look.Mismatched
		differs.Mismatch = &mismatch
		events = append(events, differs)
	}
	return events
}

// line returns the most final line that the look has earned, if any.
func (d *download) line(news bool) []Event {
	switch {
	case proven(d.look):
		return d.finish(Completed)
	case d.ep.Phase == PhaseFailed && !news:
		return nil
	case d.ep.Phase == PhaseFailed:
		return d.tryAgain()
	case d.ep.BytesBeforeLoss > 0 && (attempting(d.look) || d.look.Doubled) && !d.look.Vanished:
		d.resume()
		return []Event{d.beganAgain()}
	case d.robbed():
		lost := d.beganAgain()
		lost.Cause = CauseRemoved
		return []Event{lost}
	case d.ep.Phase == PhaseStalled && news && d.ep.BytesBeforeLoss == 0, d.ep.Phase == PhaseInterrupted && (news || d.finished || fetching(d.look)) && !d.look.Vanished:
		d.resume()
		if d.ep.BytesBeforeLoss > 0 { // though no attempt can be seen, or none any more
			return []Event{d.beganAgain()}
		}
		d.announce(d.ep.Bytes)
		return []Event{d.event(Moving)}
	}
	if events := d.verdict(); events != nil {
		return events
	}
	if left, due := d.rests(); due && left == 0 && d.warn(Idle) {
		return []Event{d.event(Idle)}
	}
	if d.set.reached(d.ep.Bytes, d.total()) <= d.ep.Announced {
		return nil
	}
	d.announce(d.ep.Bytes)
	return []Event{d.event(Progress)}
}

// lostAfter is how long a partial may be gone while its downloader is at it: one
// that begins a file again has a new one sooner.
const lostAfter = 10 * time.Second

// robbed reports whether bytes are gone that no new attempt takes the place of,
// while their downloader holds its lock: a partial was removed under it ("hf cache
// prune"), and what it writes now goes into a file without a name. One whose attempt
// fails removes its partial, too, but lets its lock go.
func (d *download) robbed() bool {
	return d.ep.BytesBeforeLoss > 0 && d.active() && !attempting(d.look) && !d.lossAt.IsZero() && d.now.Sub(d.lossAt) >= lostAfter
}

// beganAgain says once that bytes were lost to a new attempt.
func (d *download) beganAgain() Event {
	event := d.event(Restarted)
	event.Lost = d.ep.BytesBeforeLoss
	event.Bytes = d.ep.Bytes - d.look.Arrived
	d.ep.BytesBeforeLoss = 0
	return event
}

// keepalive says that the download goes on where nothing else has said so for
// a while. It never speaks for a downloader that is gone, nor before a look
// has shown what there is, nor where the look that was ordered may say more.
func (d *download) keepalive() []Event {
	if !d.seen && !d.running() || d.abandoned() || d.now.Sub(d.lastLine) < d.set.Keepalive || d.telling() {
		return nil
	}
	if lasts, why := d.blindness(); why != "" { // neither that bytes come nor that none do is known
		event := d.event(Keepalive)
		event.Silence, event.Reason = lasts, why
		return []Event{event}
	}
	switch {
	case d.ep.BytesBeforeLoss > 0 && working(d.look):
		return []Event{d.beganAgain()} // there are fewer bytes than were told, and what comes can't be seen
	case d.ep.BytesBeforeLoss > 0:
		return nil // nor is anybody seen: who begins again says why, or the verdict does
	}
	silence := d.silence()
	lastMinute, sure := d.minute.sum(d.now)
	if silence >= d.set.Keepalive || lastMinute == 0 {
		lastMinute = 0
	} else {
		silence = 0
	}
	resting := d.rest > 0 && d.now.Sub(d.clocks.checked) >= LongRest
	unsure := d.look.Unseen || resting || d.clocks.checked.IsZero() || d.unsure.After(d.lastByte) && silence < time.Second
	uncounted := lastMinute == 0 && unsure
	switch {
	case uncounted: // nobody knows how long none has come
		silence = 0
	case lastMinute == 0 && silence < time.Second:
		return nil // right after a restart: nothing can be said yet
	case !sure:
		lastMinute = 0
	}
	event := d.event(Keepalive)
	event.Silence, event.LastMinute, event.Uncounted = silence, lastMinute, uncounted
	if silence == 0 {
		d.measure(&event)
	}
	return []Event{event}
}

// telling reports whether a look is on its way that brings a verdict, or the
// first news after a time in which nothing ran here. One that is late is waited
// for no longer.
func (d *download) telling() bool {
	from := d.dozed
	if kind, left := d.pending(); from.IsZero() && kind != "" && !d.clocks.checked.IsZero() {
		from = d.clocks.checked.Add(left)
	}
	late := d.now.Sub(from)
	return !from.IsZero() && late >= 0 && late < slack
}
