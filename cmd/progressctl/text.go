package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"progressd/hfcache"
	"progressd/record"
	"progressd/sizer"
)

// unknown stands in a table for what isn't known.
const unknown = "-"

// line is a record as the console of progressd prints it.
func line(r record.Record) string {
	text := r.Message
	if name := named(r); name != "" {
		text = name + ": " + text
	}
	return "[" + clockTime(r.Time) + "] [" + strings.ToUpper(r.Level) + "] " + text
}

func clockTime(t time.Time) string { return t.Local().Format("03:04:05 PM") }

// named is what a user calls the repository of a record.
func named(r record.Record) string {
	return hfcache.Repo{Type: hfcache.RepoType(r.RepoType), ID: r.Model}.String()
}

// size is "975MB/1.2GB", or "350MB" where there is no total.
func size(d record.Download) string {
	if d.Bytes == nil {
		return unknown
	}
	if d.Total > 0 && *d.Bytes <= d.Total {
		return sizer.FormatBytes(*d.Bytes) + "/" + sizer.FormatBytes(d.Total)
	}
	return sizer.FormatBytes(*d.Bytes)
}

func percent(d record.Download) string {
	if d.Percent == "" {
		return unknown
	}
	return string(d.Percent) + "%"
}

func speed(d record.Download) string {
	if d.Rate <= 0 || !d.State.Running() {
		return unknown
	}
	return sizer.FormatRate(d.Rate)
}

// left is "~12m", and "<~12m" where not all that is listed may be wanted.
func left(d record.Download) string {
	if d.SecondsLeft <= 0 || !d.State.Running() {
		return unknown
	}
	text := sizer.FormatLeft(time.Duration(d.SecondsLeft) * time.Second)
	if sizer.Source(d.TotalSource).AtMost() && strings.HasPrefix(text, "~") {
		return "<" + text
	}
	return text
}

func files(d record.Download) string {
	switch {
	case d.FilesDone == nil:
		return unknown
	case d.Files > 0:
		return fmt.Sprintf("%d/%d", *d.FilesDone, d.Files)
	default:
		return strconv.FormatInt(*d.FilesDone, 10)
	}
}

// by is who downloads: "vllm (4242)", with the user where that is told.
func by(d record.Download) string {
	name := d.Command
	switch {
	case name == "" && d.PID == 0:
		return unknown
	case name == "":
		name = "pid"
	}
	var parts []string
	if d.PID > 0 {
		parts = append(parts, strconv.FormatInt(d.PID, 10))
	}
	if d.User != "" {
		parts = append(parts, d.User)
	}
	if len(parts) == 0 {
		return name
	}
	return name + " (" + strings.Join(parts, ", ") + ")"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// ago is "12m05s ago".
func ago(t, now time.Time) string { return sizer.FormatDuration(max(now.Sub(t), 0)) + " ago" }
