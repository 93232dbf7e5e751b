package sink

import (
	"fmt"
	"strconv"
	"time"

	"progressd/sizer"
	"progressd/tracker"
)

// lowSpace says what is left to download and what is free. Where the total is
// an upper bound it says so, and no more than that it may be short.
func lowSpace(e tracker.Event) string {
	switch e.Disk {
	case tracker.DiskEnough:
		return "Disk space is enough again: " + needed(e)
	case tracker.DiskMaybeShort:
		return "Disk space may be short: up to " + needed(e)
	default:
		return "Disk space is short: " + needed(e)
	}
}

// needed gives exact bytes where the two would look the same.
func needed(e tracker.Event) string {
	left, free := sizer.FormatBytes(e.Needed), sizer.FormatBytes(e.Free)
	if left == free {
		left, free = strconv.FormatInt(e.Needed, 10)+" bytes", strconv.FormatInt(e.Free, 10)
	}
	left += " left to download"
	if e.Count > 1 {
		left += " in " + count(e.Count, "download")
	}
	return left + ", " + free + " free"
}

// emptyish is how little free space is not worth its number, in bytes.
const emptyish = 1_000_000

// disk is what speaks for the disk as the cause of a verdict, led by a comma;
// empty if nothing does.
func disk(e tracker.Event) string {
	switch e.Disk {
	case tracker.DiskFull:
		if e.Free < emptyish {
			return ", disk is full"
		}
		return ", disk is all but full (" + sizer.FormatBytes(e.Free) + " free)"
	case tracker.DiskWasFull:
		return ", disk was full"
	case tracker.DiskShort:
		return ", " + needed(e)
	default:
		return ""
	}
}

// orphans tells of leftovers, of which nobody counts a byte; of old ones also
// what removes them (seen: prune of huggingface_hub 1.28 and newer does).
func orphans(e tracker.Event) string {
	text := fmt.Sprintf("Leftovers of dead attempts found: %s in %s", sizer.FormatBytes(e.Lost), count(e.Count, "partial file"))
	if e.Age >= time.Hour {
		if e.Count > 1 {
			text += " up to"
		}
		text += " " + age(e.Age) + " old"
	}
	text += ", not counted" + resumable(e)
	if e.Age >= day {
		text += " (hf cache prune, or rm, frees the room)"
	}
	return text
}

func resumable(e tracker.Event) string {
	switch {
	case e.Resumable <= 0:
		return ""
	case e.Resumable < e.Count:
		return fmt.Sprintf("; %d of them may yet be resumed", e.Resumable)
	case e.Count == 1:
		return "; it may yet be resumed"
	default:
		return "; they may yet be resumed"
	}
}

const day = 24 * time.Hour

// age is in days from the second on: "26h05m", "12 days".
func age(d time.Duration) string {
	if d < 2*day {
		return sizer.FormatDuration(d)
	}
	return strconv.FormatInt(int64(d/day), 10) + " days"
}
