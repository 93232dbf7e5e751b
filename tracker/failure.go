package tracker

import "time"

// said takes in what the downloader has printed.
func (d *download) said(r Report) []Event {
	d.turn(r.At)
	words := r.Words
	if words.Level != Error {
		event := d.event(Output)
		event.Program, event.Output, event.Cause = d.run.process.Command, words.Text, words.Cause
		event.Alarm = words.Level == Warning
		return []Event{event}
	}
	if d.run.told[words.Cause] {
		return nil
	}
	event := d.failure(words.Cause)
	event.Reason = words.Remedy
	return []Event{event}
}

// failure makes the verdict that the run has failed.
func (d *download) failure(cause string) Event {
	d.ep.Phase = PhaseFailed
	d.run.told[cause], d.run.failed = true, d.now
	event := d.event(Failed)
	event.Program, event.Cause = d.run.process.Command, cause
	d.disk(&event)
	return event
}

// stragglers is for how long after a failure bytes are those of the attempt
// that has failed: other threads of the program don't know yet.
const stragglers = 5 * time.Second

// tryAgain is what becomes of a download that has failed when bytes come: later
// ones are a new attempt's.
func (d *download) tryAgain() []Event {
	if d.run != nil && d.now.Sub(d.run.failed) < stragglers {
		return nil
	}
	d.resume()
	d.announce(d.ep.Bytes)
	return []Event{d.event(Moving)}
}
