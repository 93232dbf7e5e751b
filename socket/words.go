package socket

import (
	"strings"

	"progressd/capture"
	"progressd/tracker"
)

// words are what a client says that the downloader has printed, as far as that
// is believed: what an error means is said by our own table.
func (s said) words(id string) tracker.Words {
	text := masked(s.Text)
	w := tracker.Words{Level: tracker.Info, Text: text}
	if s.Level != levels[tracker.Info] {
		w.Level = tracker.Warning
	}
	known, ok := capture.Explain(capture.Cause(s.Cause), text)
	if !ok { // of a newer progressctl exec
		return w
	}
	w.Cause = s.Cause
	if s.Level == levels[tracker.Error] && known.Class == capture.Error {
		w.Level, w.Remedy = tracker.Error, named(known.Remedy, id)
	}
	return w
}

// masked takes the secrets out before it cuts: half a one might not be known.
func masked(text string) string {
	return bounded(capture.Mask(text))
}

func named(remedy, id string) string { return strings.ReplaceAll(remedy, "%s", id) }

// exit is what a client says of the end, as far as that is believed.
func exit(e tracker.Exit, id string) tracker.Exit {
	const most = 255
	e.Status = min(max(e.Status, 0), most)
	e.Signal, e.Asked, e.Last = signal(e.Signal), signal(e.Asked), masked(e.Last)
	e.Remedy = ""
	if e.Cause == tracker.CauseStall { // the one who stopped it says so
		return e
	}
	known, ok := capture.Explain(capture.Cause(e.Cause), "")
	if !ok || known.Class < capture.Suspect {
		e.Cause = ""
		return e
	}
	e.Remedy = named(known.Remedy, id)
	return e
}

// signal is the name of one, or empty.
func signal(name string) string {
	const longest = 12
	odd := func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' }
	if len(name) > longest || strings.ContainsFunc(name, odd) {
		return ""
	}
	return name
}
