package sink

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"progressd/sizer"
	"progressd/tracker"
	"progressd/untrusted"
)

// Detailed is Message with what else is known in parentheses, what matters most
// first, so that a narrow window cuts off the rest: speed, time left, files
// done, files in flight and how far the first of them is; of a completed
// download its bytes, duration and mean speed. Where nothing more is known it
// equals Message.
func Detailed(e tracker.Event) string {
	var parts []string
	switch e.Kind {
	case tracker.Completed:
		parts = completedDetails(e)
	case tracker.Resumed, tracker.Progress, tracker.Keepalive, tracker.Moving, tracker.Restarted:
		parts = append(speedDetails(e), fileDetails(e)...)
	case tracker.Stalled, tracker.Interrupted, tracker.Removed:
		// No speed: nothing moves. Whose it is: somebody has to act.
		parts = append(ownerDetails(e), fileDetails(e)...)
	default: // the message says it all
	}
	if len(parts) == 0 {
		return Message(e)
	}
	return Message(e) + " (" + strings.Join(parts, ", ") + ")"
}

// completedDetails says how much of it the duration and the speed are about,
// where that isn't all.
func completedDetails(e tracker.Event) []string {
	all := sizer.FormatBytes(e.Bytes)
	if e.Took <= 0 {
		return []string{all}
	}
	parts := []string{all}
	if part := sizer.FormatBytes(e.Fetched); part != all {
		parts = append(parts, part+" of it")
	}
	parts[len(parts)-1] += " in " + sizer.FormatDuration(e.Took)
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
	switch {
	case e.Left <= 0:
	case !e.TotalSource.AtMost():
		parts = append(parts, sizer.FormatLeft(e.Left)+" left")
	case e.Left <= 24*time.Hour: // what is at most more than a day may be anything
		parts = append(parts, "at most "+sizer.FormatLeft(e.Left)+" left")
	}
	return parts
}

// ownerDetails say where the downloader runs, and as whom. The scope of a
// container says no more than the container does.
func ownerDetails(e tracker.Event) []string {
	var parts []string
	p := e.Downloader
	switch {
	case p == nil:
		return nil
	case p.Pod != "":
		parts = append(parts, "pod "+untrusted.Name(p.Namespace)+"/"+untrusted.Name(p.Pod))
	case p.Container != "":
		parts = append(parts, "container "+untrusted.Name(p.Container))
	case p.Unit != "":
		parts = append(parts, untrusted.Name(p.Unit))
	}
	if p.User != "" {
		parts = append(parts, "user "+untrusted.Name(p.User))
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
	if n := max(e.Partials, len(e.InFlight)); n > 0 {
		parts = append(parts, inFlight(n, e.InFlight))
	}
	return parts
}

// inFlight is "3 in flight: model-00004-of-00009.safetensors 45.8%, ...".
func inFlight(n int, named []tracker.File) string {
	text := strconv.Itoa(n) + " in flight"
	if len(named) == 0 {
		return text
	}
	first := named[0]
	text += ": " + fileName(first) + " "
	if percent, ok := sizer.FormatPercent(first.Bytes, first.Size); ok {
		text += percent
	} else {
		text += sizer.FormatBytes(first.Bytes)
	}
	if n > 1 {
		text += ", ..."
	}
	return text
}

// fileName is what a file in flight is called. Where nothing lists it and no
// link leads to it yet, its name is its content's hash, which tells a reader
// nothing.
func fileName(f tracker.File) string {
	if isHash(f.Name) {
		return "not named yet"
	}
	return untrusted.Name(shortened(f.Name))
}

// isHash reports whether a name is a blob's: SHA-1 of git or SHA-256 in hex.
func isHash(name string) bool {
	if len(name) != 40 && len(name) != 64 {
		return false
	}
	return strings.Trim(name, "0123456789abcdef") == ""
}

// shownName is how much of a file's name a line shows: that of a shard, whole.
const shownName = 40

// shortened keeps the end of a long name: there is what tells one from another.
func shortened(name string) string {
	const dots = "..."
	if len(name) <= shownName {
		return name
	}
	return dots + name[len(name)-shownName+len(dots):]
}
