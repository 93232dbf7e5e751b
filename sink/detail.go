package sink

import (
	"fmt"
	"strings"

	"progressd/sizer"
	"progressd/tracker"
)

// Detailed is Message with what else is known in parentheses: speed, time
// left, files done and in flight; of a completed download its bytes, duration
// and mean speed. Where nothing more is known it equals Message.
func Detailed(e tracker.Event) string {
	var parts []string
	switch e.Kind {
	case tracker.Completed:
		parts = completedDetails(e)
	case tracker.Resumed, tracker.Progress, tracker.Keepalive, tracker.Moving, tracker.Restarted:
		parts = append(speedDetails(e), fileDetails(e)...)
	case tracker.Stalled, tracker.Interrupted, tracker.Removed:
		// No speed: nothing moves.
		parts = fileDetails(e)
	default: // the message says it all
	}
	if len(parts) == 0 {
		return Message(e)
	}
	return Message(e) + " (" + strings.Join(parts, ", ") + ")"
}

func completedDetails(e tracker.Event) []string {
	parts := []string{sizer.FormatBytes(e.Bytes)}
	if e.Took > 0 {
		parts[0] += " in " + sizer.FormatDuration(e.Took)
	}
	if e.Rate > 0 {
		parts = append(parts, sizer.FormatRate(e.Rate)+" on average")
	}
	return parts
}

func speedDetails(e tracker.Event) []string {
	var parts []string
	if e.Rate > 0 {
		parts = append(parts, sizer.FormatRate(e.Rate))
	}
	if e.Left > 0 {
		parts = append(parts, sizer.FormatLeft(e.Left)+" left")
	}
	return parts
}

func fileDetails(e tracker.Event) []string {
	var parts []string
	switch {
	case e.Files > 0:
		parts = append(parts, fmt.Sprintf("%d of %s done", e.FilesDone, count(e.Files, "file")))
	case e.FilesDone > 0:
		parts = append(parts, count(e.FilesDone, "file")+" done")
	}
	if len(e.InFlight) > 0 {
		flight := "in flight: " + Clean(e.InFlight[0])
		if more := len(e.InFlight) - 1; more > 0 {
			flight += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, flight)
	}
	return parts
}
