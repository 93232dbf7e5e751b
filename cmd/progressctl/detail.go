package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"progressd/display"
	"progressd/record"
	"progressd/sizer"
	"progressd/socket"
)

// detail prints all that is known of a repository in one cache.
func detail(out io.Writer, a socket.Answered, now time.Time) {
	d := a.Download
	fmt.Fprintf(out, "%s - %s\n", display.Name(d.Record), stateText(d, now))
	entry := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "%10s: %s\n", name, text)
		}
	}
	entry("Cache", d.Root)
	entry("Revision", d.Revision)
	entry("On disk", onDisk(d))
	entry("Speed", speedText(d))
	entry("By", owner(d))
	if d.FreeBytes != nil {
		entry("Disk", roomText(d))
	}
	if d.FilesInFlight > 0 {
		entry("Writing", display.Count(int(d.FilesInFlight), "file"))
		for _, f := range d.InFlight {
			fmt.Fprintf(out, "%12s%s\n", "", display.InFlight(f))
		}
	}
	if len(a.Lines) > 0 {
		fmt.Fprintln(out)
		for _, l := range a.Lines {
			fmt.Fprintln(out, l)
		}
	}
}

// stateText says a state and since when.
func stateText(d record.Download, now time.Time) string {
	text := string(d.State)
	switch {
	case d.State == record.Completed && proofs[d.Proof] != "":
		text += " (" + proofs[d.Proof] + ")"
	case d.State == record.Downloading || d.State == record.Preparing:
		if !d.Started.IsZero() {
			text += ", begun " + display.Ago(d.Started, now)
		}
	case (d.State == record.Stalled || d.State == record.Interrupted || d.State == record.Failed) && !d.Grown.IsZero():
		text += ", last byte " + display.Ago(d.Grown, now)
	}
	return text
}

// proofs say how it is known that all is there.
var proofs = map[string]string{
	"listing": "every file of the listing is there with its size",
	"request": "every file that was asked for is there with its size",
	"loader":  "all weights that its program loads are there",
	"exit":    "its downloader has ended with success",
	"quiet":   "no listing to check against, and nothing speaks against it",
}

func onDisk(d record.Download) string {
	if d.Bytes == nil {
		return ""
	}
	text := display.Size(d)
	if d.Percent != "" {
		text += " ~ " + display.Percent(d)
	}
	if d.FilesDone == nil {
		return text
	}
	if d.Files > 0 {
		return text + fmt.Sprintf(", %d of %s", *d.FilesDone, display.Count(int(d.Files), "file"))
	}
	return text + ", " + display.Count(int(*d.FilesDone), "file")
}

func speedText(d record.Download) string {
	text := display.Speed(d)
	if text == display.Unknown {
		return ""
	}
	if l := display.Left(d); l != display.Unknown {
		text += ", " + strings.Replace(l, "<", "at most ", 1) + " left"
	}
	return text
}

// owner is who downloads, and where that runs.
func owner(d record.Download) string {
	var parts []string
	if d.Command != "" {
		parts = append(parts, d.Command)
	}
	if d.PID > 0 {
		parts = append(parts, "pid "+strconv.FormatInt(d.PID, 10))
	}
	if d.User != "" {
		parts = append(parts, "user "+d.User)
	}
	return strings.Join(append(parts, display.Where(d.Record)...), ", ")
}

func roomText(d record.Download) string {
	text := sizer.FormatBytes(*d.FreeBytes) + " free"
	if d.NeededBytes > 0 {
		text = sizer.FormatBytes(d.NeededBytes) + " left to download, " + text
	}
	return text
}
