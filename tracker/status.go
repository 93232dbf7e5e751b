package tracker

import (
	"slices"
	"strconv"
	"time"

	"progressd/sizer"
)

// publish passes the status on if it has changed and the last one is old
// enough; a change that has to wait keeps the ticker going.
func (t *Tracker) publish(now time.Time) {
	if t.hooks.Status == nil {
		return
	}
	if now.Sub(t.status.at) < beat && !t.status.at.IsZero() {
		t.status.pending = true
		return
	}
	text := t.describe()
	t.status.pending = false
	if text == t.status.text {
		return
	}
	t.status.text, t.status.at = text, now
	t.hooks.Status(text)
}

// status is what was published last, and whether that may be out of date.
type status struct {
	text    string
	at      time.Time
	pending bool
}

// mostNamed is how many downloads a status names.
const mostNamed = 8

// describe says in a line what is going on.
func (t *Tracker) describe() string {
	var parts []string
	for _, e := range t.open {
		if e.active() {
			parts = append(parts, e.ep.Named().ID+" "+amount(e.ep.Bytes, e.shown()))
		}
	}
	slices.Sort(parts)
	text := strconv.Itoa(len(parts)) + " downloads"
	switch len(parts) {
	case 0:
		return "no downloads"
	case 1:
		text = "1 download"
	}
	for i, part := range parts {
		switch i {
		case mostNamed:
			return text + ", ..."
		case 0:
			text += ": " + part
		default:
			text += ", " + part
		}
	}
	return text
}

// amount is a percentage where there is a total, else a size.
func amount(bytes, total int64) string {
	if percent, ok := sizer.FormatPercent(bytes, total); ok {
		return percent
	}
	return sizer.FormatBytes(bytes)
}
