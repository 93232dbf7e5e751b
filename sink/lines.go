package sink

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"progressd/hfcache"
	"progressd/record"
	"progressd/sizer"
	"progressd/tracker"
	"progressd/untrusted"
)

// Form is how a line looks.
type Form struct {
	// Text renders what an event says: Message or Detailed.
	Text func(tracker.Event) string
	// Stamp renders when it was: Clock or RFC3339.
	Stamp func(time.Time) string
	// Zone is that of all times.
	Zone *Zone
}

// Clock renders a time as "10:01:15 PM".
func Clock(t time.Time) string { return t.Format("03:04:05 PM") }

// RFC3339 renders a time with date and zone, for logs that are kept for days.
func RFC3339(t time.Time) string { return t.Format(time.RFC3339) }

// Line is an event where one stream tells of many downloads: "[10:01:15 PM]
// [INFO] org/name: text", without a newline.
func (f Form) Line(e tracker.Event) string { return f.line(e, led(e, f.Text(e))) }

// Record is an event as numbers, with the text of its line.
func (f Form) Record(e tracker.Event) record.Record { return record.Of(e, f.Text(e)) }

// JSON is Record as an object on one line, without a newline.
func (f Form) JSON(e tracker.Event) string {
	line, err := json.Marshal(f.Record(e))
	if err != nil { // it can't be: there are only texts and integers
		return "{}"
	}
	return string(line)
}

// line is "[10:01:15 PM] [INFO] text", without a newline.
func (f Form) line(e tracker.Event, text string) string {
	return "[" + f.Stamp(f.Zone.Local(e.At)) + "] [" + levelName(e.Level()) + "] " + text
}

// led puts the repository before the text, where one stream tells of many.
func led(e tracker.Event, text string) string {
	if e.Repo.ID == "" {
		return text
	}
	return untrusted.Name(e.Repo.ID) + ": " + text
}

func levelName(l tracker.Level) string {
	switch l {
	case tracker.Success:
		return "SUCCESS"
	case tracker.Warning:
		return "WARNING"
	case tracker.Error:
		return "ERROR"
	default:
		return "INFO"
	}
}

// Message is what an event says, in the plain style: one line of printable
// ASCII without the repository, the time or the level, which each sink adds
// in its own way. Every text of progressd is made here.
func Message(e tracker.Event) string {
	switch e.Kind {
	case tracker.Preparing:
		return "Preparing to download " + noun(e.Repo) + ": " + untrusted.Name(e.Repo.ID)
	case tracker.Started:
		return started(e)
	case tracker.Resumed:
		return "Resuming download: " + progress(e) + " already on disk"
	case tracker.Progress:
		if _, ok := sizer.FormatPercent(e.Bytes, e.Total); ok {
			return "Download progress: " + progress(e)
		}
		return "Downloaded " + sizer.FormatBytes(e.Bytes) + "..."
	case tracker.Keepalive:
		return keepalive(e)
	case tracker.Stalled:
		return fmt.Sprintf("Download stalled at %s: %s, downloader %s%s%s", progress(e), noNewData(e), doing(e), process(e), disk(e))
	case tracker.Moving:
		return "Download moving again: " + progress(e)
	case tracker.Restarted:
		return restarted(e)
	case tracker.Interrupted:
		return interrupted(e) + disk(e)
	case tracker.Failed:
		return failed(e)
	case tracker.Output:
		return output(e)
	case tracker.Ended:
		return "Download ended: " + filesOnDisk(e) + without(e)
	case tracker.Completed:
		return capitalized(noun(e.Repo)) + " downloaded successfully"
	case tracker.Unlisted:
		return "No listing to check against: " + filesOnDisk(e) + " on disk"
	case tracker.Idle:
		return idle(e)
	default:
		return warning(e)
	}
}

// idle says why no end is told: nothing tells whether this was all.
func idle(e tracker.Event) string {
	return "Nothing in flight: " + filesOnDisk(e) + " on disk, no listing to check against, downloader still running" + process(e)
}

// warning renders the rarer kinds.
func warning(e tracker.Event) string {
	switch e.Kind {
	case tracker.Removed:
		return fmt.Sprintf("Download removed at %s: the %s was deleted from disk", progress(e), noun(e.Repo))
	case tracker.TotalDropped:
		return totalDropped(e)
	case tracker.SizeDiffers:
		return sizeDiffers(e)
	case tracker.OrphansFound:
		return orphans(e)
	case tracker.LowSpace, tracker.SpaceBack:
		return lowSpace(e)
	case tracker.RootGone:
		return "Cache is gone, waiting for it to come back: " + untrusted.Name(e.Root) + because(e)
	case tracker.RootBack:
		return "Cache is back: " + untrusted.Name(e.Root) + because(e)
	case tracker.LinesLost:
		if e.Reason == "" {
			return count(e.Count, "line") + " lost"
		}
		return count(e.Count, "line") + " lost: " + untrusted.Name(e.Reason)
	default:
		return "Event of unknown kind: " + untrusted.Name(string(e.Kind))
	}
}

func started(e tracker.Event) string {
	switch {
	case e.Total <= 0:
		return "Downloading " + noun(e.Repo) + " (this may take 10-60 minutes)"
	case e.Files <= 0:
		return "Downloading " + noun(e.Repo) + ": " + sizer.FormatBytes(e.Total)
	default:
		return fmt.Sprintf("Downloading %s: %s in %s", noun(e.Repo), sizer.FormatBytes(e.Total), count(e.Files, "file"))
	}
}

func keepalive(e tracker.Event) string {
	if e.Reason != "" {
		return fmt.Sprintf("Download can't be seen for %s%s: %s before", sizer.FormatDuration(e.Silence), because(e), progress(e))
	}
	if e.Silence > 0 {
		return "Still downloading: " + progress(e) + ", " + noNewData(e)
	}
	if e.Uncounted {
		return "Still downloading: " + progress(e) + ", and perhaps more that can't be counted yet"
	}
	if e.LastMinute == 0 { // some of what has come may have come before
		return "Still downloading: " + progress(e)
	}
	return "Still downloading: " + progress(e) + ", " + sizer.FormatBytes(e.LastMinute) + " in the last minute"
}

// restarted says what is left of the bytes.
func restarted(e tracker.Event) string {
	kept, of := sizer.FormatBytes(e.Bytes), sizer.FormatBytes(e.Lost)
	if kept == of { // less than a size shows
		kept, of = strconv.FormatInt(e.Bytes, 10), fmt.Sprintf("%d bytes", e.Lost)
	}
	if e.Cause == tracker.CauseRemoved {
		return fmt.Sprintf("Partial files were removed, %s of %s left: downloader %s%s", kept, of, doing(e), process(e))
	}
	return fmt.Sprintf("Download began again: %s of %s kept", kept, of)
}

// interrupted never claims more than is known of the downloader.
func interrupted(e tracker.Event) string {
	at := "Download interrupted at " + progress(e) + ": "
	switch {
	case e.Downloader == nil:
		return at + noNewData(e) + ", and no downloader to be seen"
	case e.DownloaderAlive:
		return at + noNewData(e) + ", downloader" + process(e) + " no longer holds its lock"
	default:
		return at + "downloader" + process(e) + " is gone"
	}
}

func totalDropped(e tracker.Event) string {
	if e.Total <= 0 {
		return fmt.Sprintf("Total dropped as wrong: %s are on disk", sizer.FormatBytes(e.Bytes))
	}
	return fmt.Sprintf("Total of %s dropped as wrong: %s are on disk", sizer.FormatBytes(e.Total), sizer.FormatBytes(e.Bytes))
}

// sizeDiffers gives exact bytes: rounded, the two could look the same.
func sizeDiffers(e tracker.Event) string {
	if e.Mismatch == nil {
		return "A file's size differs from the listing"
	}
	m := e.Mismatch
	if m.Holes {
		return fmt.Sprintf("File %s has holes: %d of its %d bytes were ever written", untrusted.Name(m.Path), m.Got, m.Want)
	}
	return fmt.Sprintf("Size of %s differs from the listing: %d bytes on disk, %d listed", untrusted.Name(m.Path), m.Got, m.Want)
}

// filesOnDisk is "5.5GB in 4 of 9 files", or "5.5GB in 4 files" where their
// whole number isn't known or all are there.
func filesOnDisk(e tracker.Event) string {
	bytes := sizer.FormatBytes(e.Bytes)
	if e.Files > e.FilesDone {
		return fmt.Sprintf("%s in %d of %s", bytes, e.FilesDone, count(e.Files, "file"))
	}
	return bytes + " in " + count(e.FilesDone, "file")
}

// without names files that are not there, led by a comma: which they are tells
// a subset that was wanted from one that wasn't.
func without(e tracker.Event) string {
	if len(e.Absent) == 0 {
		return ""
	}
	var names []string
	for _, name := range e.Absent {
		names = append(names, untrusted.Name(shortened(name)))
	}
	text := ", without " + strings.Join(names, ", ")
	if more := e.Files - e.FilesDone - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// doing is what a downloader does that brings nothing.
func doing(e tracker.Event) string {
	if e.DownloaderStopped {
		return "stopped"
	}
	return "still running"
}

func progress(e tracker.Event) string { return sizer.FormatProgress(e.Bytes, e.Total) }

func noNewData(e tracker.Event) string {
	return "no new data for " + sizer.FormatDuration(e.Silence)
}

// process is " (pid 4242, vllm)", or empty if nothing is known.
func process(e tracker.Event) string {
	switch p := e.Downloader; {
	case p == nil, p.PID == 0 && p.Command == "":
		return ""
	case p.PID == 0: // of a container that can't be seen into
		return " (" + untrusted.Name(p.Command) + ")"
	case p.Command == "":
		return fmt.Sprintf(" (pid %d)", p.PID)
	default:
		return fmt.Sprintf(" (pid %d, %s)", p.PID, untrusted.Name(p.Command))
	}
}

func because(e tracker.Event) string {
	if e.Reason == "" {
		return ""
	}
	return " (" + untrusted.Name(e.Reason) + ")"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// noun is the repository's type as a word of ours.
func noun(r hfcache.Repo) string {
	switch r.Type {
	case hfcache.Dataset, hfcache.Space, hfcache.Kernel:
		return string(r.Type)
	default:
		return string(hfcache.Model)
	}
}

func capitalized(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
