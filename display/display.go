// Package display is a download in words for people: the cells of a table, the
// line under it, a bar. progressctl's tables, its full-screen view and the page
// all take them from here, so that they say the same.
package display

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"progressd/hfcache"
	"progressd/record"
	"progressd/sizer"
)

// Unknown stands in a table for what isn't known.
const Unknown = "-"

// Head are the columns of a table of downloads.
func Head() []string {
	return []string{"MODEL", "STATE", "BYTES", "%", "SPEED", "LEFT", "FILES", "BY"}
}

// Row are the cells of a download, in the order of Head.
func Row(d record.Download) []string {
	return []string{Name(d.Record), string(d.State), Size(d), Percent(d), Speed(d), Left(d), Files(d), By(d)}
}

// Line is a record as the console of progressd prints it.
func Line(r record.Record) string {
	text := r.Message
	if name := Name(r); name != "" {
		text = name + ": " + text
	}
	return "[" + Clock(r.Time) + "] [" + strings.ToUpper(r.Level) + "] " + text
}

// Clock is a time as the log has it.
func Clock(t time.Time) string { return t.Local().Format("03:04:05 PM") }

// Name is what a user calls the repository of a record.
func Name(r record.Record) string {
	return hfcache.Repo{Type: hfcache.RepoType(r.RepoType), ID: r.Model}.String()
}

// Size is "975MB/1.2GB", or "350MB" where there is no total.
func Size(d record.Download) string {
	if d.Bytes == nil {
		return Unknown
	}
	if d.Total > 0 && *d.Bytes <= d.Total {
		return sizer.FormatBytes(*d.Bytes) + "/" + sizer.FormatBytes(d.Total)
	}
	return sizer.FormatBytes(*d.Bytes)
}

// Percent is "81.3%".
func Percent(d record.Download) string {
	if d.Percent == "" {
		return Unknown
	}
	return string(d.Percent) + "%"
}

// Speed is "12.1MB/s", of what goes on alone.
func Speed(d record.Download) string {
	if d.Rate <= 0 || !d.State.Running() {
		return Unknown
	}
	return sizer.FormatRate(d.Rate)
}

// Left is "~12m", and "<~12m" where not all that is listed may be wanted.
func Left(d record.Download) string {
	if d.SecondsLeft <= 0 || !d.State.Running() {
		return Unknown
	}
	text := sizer.FormatLeft(time.Duration(d.SecondsLeft) * time.Second)
	if sizer.Source(d.TotalSource).AtMost() && strings.HasPrefix(text, "~") {
		return "<" + text
	}
	return text
}

// Files is "4/9", or "4" where it isn't known how many there are to be.
func Files(d record.Download) string {
	switch {
	case d.FilesDone == nil:
		return Unknown
	case d.Files > 0:
		return fmt.Sprintf("%d/%d", *d.FilesDone, d.Files)
	default:
		return strconv.FormatInt(*d.FilesDone, 10)
	}
}

// By is who downloads: "vllm (4242)", with the user where that is told.
func By(d record.Download) string {
	name := d.Command
	switch {
	case name == "" && d.PID == 0:
		return Unknown
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

// Where is in what a downloader runs, as far as that is known: unit, container, pod.
func Where(r record.Record) (in []string) {
	if r.Unit != "" {
		in = append(in, r.Unit)
	}
	if r.Container != "" {
		in = append(in, "container "+r.Container)
	}
	if r.Pod != "" {
		in = append(in, "pod "+r.Namespace+"/"+r.Pod)
	}
	return in
}

// Count is "1 file" or "3 files".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Ago is "12m05s ago".
func Ago(t, now time.Time) string { return sizer.FormatDuration(max(now.Sub(t), 0)) + " ago" }

// InFlight is "model-00004-of-00009.safetensors 45.8MB/100MB ~ 45.8%, 1.5MB/s".
func InFlight(f record.File) string {
	text := f.Name + " " + sizer.FormatProgress(f.Bytes, f.Size)
	if f.Rate > 0 {
		text += ", " + sizer.FormatRate(f.Rate)
	}
	return text
}

// Silence is "no new data for 1m05s", where it is long enough to be worth a word.
func Silence(d record.Download, now time.Time) string {
	const worth = time.Minute
	if d.Grown.IsZero() || d.State.Over() || now.Sub(d.Grown) < worth {
		return ""
	}
	return "no new data for " + sizer.FormatDuration(now.Sub(d.Grown))
}

// Filled is how many of so many parts of a bar are full: all only where nothing
// is missing.
func Filled(d record.Download, parts int) (full int, ok bool) {
	if d.Bytes == nil || d.Total <= 0 || d.Percent == "" {
		return 0, false
	}
	return filled(*d.Bytes, d.Total, parts), true
}

func filled(bytes, total int64, parts int) int {
	if bytes <= 0 || bytes >= total {
		return parts * int(min(max(bytes, 0), 1))
	}
	hi, lo := bits.Mul64(uint64(bytes), uint64(parts)) //nolint:gosec // neither is negative
	full, _ := bits.Div64(hi, lo, uint64(total))       //nolint:gosec // it is more than bytes
	return int(full)                                   //nolint:gosec // less than parts
}

// Summary is what goes on, what of it is left to download, and what each disk
// that is written to has free.
func Summary(all []record.Download) string {
	running, missing := 0, int64(0)
	free := map[string]int64{}
	for _, d := range all {
		if d.State.Running() {
			running++
			missing += d.NeededBytes
			if d.Device != "" && d.FreeBytes != nil {
				free[d.Device] = *d.FreeBytes
			}
		}
	}
	text := "no downloads"
	switch {
	case running > 0:
		text = Count(running, "download")
	case len(all) > 0:
		text = "no download goes on"
	}
	if missing > 0 {
		text += ", " + sizer.FormatBytes(missing) + " left"
	}
	var disks []string
	for _, device := range slices.Sorted(maps.Keys(free)) {
		disks = append(disks, sizer.FormatBytes(free[device])+" free")
		if len(free) > 1 {
			disks[len(disks)-1] += " on disk " + device
		}
	}
	if len(disks) > 0 {
		text += "; " + strings.Join(disks, ", ")
	}
	return text
}
