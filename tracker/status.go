package tracker

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"progressd/sizer"
)

// publish passes the status on if it has changed and the last one is old
// enough; a change that has to wait keeps the ticker going.
func (t *Tracker) publish(now time.Time) {
	if t.hooks.Status == nil {
		return
	}
	if now.Sub(t.status.at) < statusEvery && !t.status.at.IsZero() {
		t.status.pending = true
		return
	}
	// Also that nothing has changed holds for a while: to find out takes the
	// longer the more downloads there are, and each look asks.
	t.status.at, t.status.pending = now, false
	text := t.describe()
	if text == t.status.text {
		return
	}
	t.status.text = text
	t.hooks.Status(text)
}

// mostNamed is how many downloads a status names.
const mostNamed = 8

// describe says in a line what is going on.
func (t *Tracker) describe() string {
	var active []*entry
	for _, e := range t.open {
		if e.active() {
			active = append(active, e)
		}
	}
	text := strconv.Itoa(len(active)) + " downloads"
	switch len(active) {
	case 0:
		return "no downloads"
	case 1:
		text = "1 download"
	}
	slices.SortFunc(active, func(a, b *entry) int {
		return cmp.Or(strings.Compare(a.ep.Named().ID, b.ep.Named().ID), strings.Compare(a.ep.ID, b.ep.ID))
	})
	separator := ": "
	for i, e := range active {
		if i == mostNamed {
			return text + ", ..."
		}
		text += separator + e.ep.Named().ID + " " + amount(e.ep.Bytes, e.shown())
		separator = ", "
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
