package sink

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

var update = flag.Bool("update", false, "write the golden files anew")

type sample struct {
	name  string
	event tracker.Event
}

func with(kind tracker.Kind, change func(*tracker.Event)) tracker.Event {
	e := event(kind, "e1")
	change(&e)
	return e
}

func typed(kind tracker.Kind, typ hfcache.RepoType) tracker.Event {
	return with(kind, func(e *tracker.Event) { e.Repo = hfcache.Repo{Type: typ, ID: "org/name"} })
}

// moving has all that a download in flight may have.
func moving(e *tracker.Event) {
	e.Bytes, e.Total, e.TotalSource = 975e6, 1.2e9, sizer.FromListing
	e.FilesDone, e.Files = 3, 9
	e.InFlight = []tracker.File{{Name: "model-00004-of-00009.safetensors", Bytes: 45.8e6, Size: 100e6, Rate: 1_500_000}, {Name: "b", Bytes: 10}}
	e.Partials = 3
	e.Rate, e.Left = 12_100_000, 12*time.Minute
	e.Downloader = &downloader.Process{PID: 4242, Command: "vllm", Unit: "vllm.service"}
}

func bytesOnly(n int64) func(*tracker.Event) {
	return func(e *tracker.Event) { e.Bytes = n }
}

// room is an event that tells of the disk.
func room(kind tracker.Kind, disk tracker.Disk, needed, free int64, downloads int) tracker.Event {
	return with(kind, func(e *tracker.Event) {
		e.Bytes, e.Total, e.Silence = 550e6, 1.2e9, 10*time.Minute
		e.Downloader = &downloader.Process{PID: 4242, Command: "hf"}
		e.Disk, e.Needed, e.Free, e.Count = disk, needed, free, downloads
	})
}

func samples() []sample {
	return slices.Concat(ordinarySamples(), rareSamples(), runSamples())
}

func ordinarySamples() []sample {
	return []sample{
		{"preparing", event(tracker.Preparing, "e1")},
		{"preparing dataset", typed(tracker.Preparing, hfcache.Dataset)},
		{"preparing space", typed(tracker.Preparing, hfcache.Space)},
		{"preparing kernel", typed(tracker.Preparing, hfcache.Kernel)},
		{"started", event(tracker.Started, "e1")},
		{"started dataset", typed(tracker.Started, hfcache.Dataset)},
		{"started with total", with(tracker.Started, func(e *tracker.Event) { e.Total, e.Files = 1.2e9, 9 })},
		{"started with one file", with(tracker.Started, func(e *tracker.Event) { e.Total, e.Files = 1.2e9, 1 })},
		{"started, files unknown", with(tracker.Started, func(e *tracker.Event) { e.Total = 1.2e9 })},
		{"resumed", with(tracker.Resumed, bytesOnly(550e6))},
		{"resumed with total", with(tracker.Resumed, func(e *tracker.Event) { e.Bytes, e.Total = 550e6, 1.2e9 })},
		{"progress", with(tracker.Progress, bytesOnly(350e6))},
		{"progress with total", with(tracker.Progress, moving)},
		{"progress with an upper bound", with(tracker.Progress, func(e *tracker.Event) {
			moving(e)
			e.TotalSource = sizer.FromListingAtMost
		})},
		{"progress with more than a day left", with(tracker.Progress, func(e *tracker.Event) {
			moving(e)
			e.Left = 25 * time.Hour
		})},
		{"progress with an upper bound more than a day ahead", with(tracker.Progress, func(e *tracker.Event) {
			moving(e)
			e.TotalSource, e.Left = sizer.FromHubAtMost, 25*time.Hour
		})},
		{"progress of one file without a size, long name", with(tracker.Progress, func(e *tracker.Event) {
			e.Bytes, e.Rate, e.Partials = 350e6, 1_500_000, 1
			e.InFlight = []tracker.File{{Name: strings.Repeat("directory/", 10) + "model-00004-of-00009.safetensors", Bytes: 350e6}}
		})},
		{"progress of a file with a hostile name", with(tracker.Progress, func(e *tracker.Event) {
			e.Bytes, e.InFlight = 350e6, []tracker.File{{Name: "a\n\x1b[31m\u202e", Bytes: 2, Size: 1}}
		})},
		{"progress of a file that isn't named yet", with(tracker.Progress, func(e *tracker.Event) {
			e.Bytes, e.Partials = 350e6, 2
			e.InFlight = []tracker.File{{Name: strings.Repeat("0123456789abcdef", 4), Bytes: 45.8e6}}
		})},
		{"progress of files without a name", with(tracker.Progress, func(e *tracker.Event) { e.Bytes, e.Partials = 350e6, 2 })},
		{"progress beyond its total", with(tracker.Progress, func(e *tracker.Event) { e.Bytes, e.Total = 1300e6, 1200e6 })},
		{"keepalive silent", with(tracker.Keepalive, func(e *tracker.Event) { e.Bytes, e.Silence = 350e6, 65*time.Second })},
		{"keepalive of a disk that can't be read", with(tracker.Keepalive, func(e *tracker.Event) {
			e.Bytes, e.Total, e.Silence, e.Reason = 350e6, 1.2e9, 175*time.Second, "permission denied"
		})},
		{"keepalive moving", with(tracker.Keepalive, func(e *tracker.Event) {
			e.Bytes, e.Total, e.LastMinute = 350e6, 1.2e9, 12.1e6
		})},
		{"keepalive of what can't be counted", with(tracker.Keepalive, func(e *tracker.Event) { e.Bytes, e.Uncounted = 350e6, true })},
		{"keepalive of what came nobody knows when", with(tracker.Keepalive, func(e *tracker.Event) { e.Bytes = 350e6 })},
		{"stalled", with(tracker.Stalled, func(e *tracker.Event) {
			moving(e)
			e.Bytes, e.Silence, e.DownloaderAlive = 350e6, 10*time.Minute, true
		})},
		{"stalled, stopped", with(tracker.Stalled, func(e *tracker.Event) {
			moving(e)
			e.Bytes, e.Silence, e.DownloaderAlive, e.DownloaderStopped = 350e6, 10*time.Minute, true, true
		})},
		{"stalled, pid unknown", with(tracker.Stalled, func(e *tracker.Event) { e.Bytes, e.Silence = 350e6, 10*time.Minute })},
		{"moving", with(tracker.Moving, moving)},
		{"partials removed under their downloader", with(tracker.Restarted, func(e *tracker.Event) {
			e.Bytes, e.Lost, e.DownloaderAlive, e.Cause = 120e6, 550e6, true, tracker.CauseRemoved
			e.Downloader = &downloader.Process{PID: 4242, Command: "hf"}
		})},
		{"restarted with a little less", with(tracker.Restarted, func(e *tracker.Event) { e.Bytes, e.Lost = 2_000_100, 2_000_700 })},
		{"restarted", with(tracker.Restarted, func(e *tracker.Event) { e.Bytes, e.Lost = 120e6, 550e6 })},
		{"completed", event(tracker.Completed, "e1")},
		{"completed with mean", with(tracker.Completed, func(e *tracker.Event) {
			moving(e)
			e.Bytes, e.Fetched, e.Took, e.Rate = 1.2e9, 1.2e9, 4*time.Minute+39*time.Second, 4_300_000
		})},
		{"completed, resumed", with(tracker.Completed, func(e *tracker.Event) {
			e.Bytes, e.Fetched, e.Took, e.Rate = 1.2e9, 650e6, 2*time.Minute+20*time.Second, 4_640_000
		})},
		{"completed unwatched", with(tracker.Completed, bytesOnly(1.2e9))},
		{"completed dataset", typed(tracker.Completed, hfcache.Dataset)},
		{"completed space", typed(tracker.Completed, hfcache.Space)},
		{"completed kernel", typed(tracker.Completed, hfcache.Kernel)},
	}
}

func rareSamples() []sample {
	return []sample{
		{"interrupted, gone", with(tracker.Interrupted, func(e *tracker.Event) { moving(e); e.Bytes = 550e6 })},
		{"interrupted, in a container", with(tracker.Interrupted, func(e *tracker.Event) {
			moving(e)
			e.Downloader.Unit, e.Downloader.Container, e.Downloader.User = "docker-0123456789ab.scope", "0123456789ab", "1000"
		})},
		{"interrupted, no command", with(tracker.Interrupted, func(e *tracker.Event) {
			e.Bytes, e.Downloader = 550e6, &downloader.Process{PID: 4242}
		})},
		{"interrupted, pid unknown", with(tracker.Interrupted, func(e *tracker.Event) {
			e.Bytes, e.Downloader = 550e6, &downloader.Process{Command: "hf"}
		})},
		{"interrupted, lock let go", with(tracker.Interrupted, func(e *tracker.Event) {
			moving(e)
			e.DownloaderAlive, e.Silence = true, 10*time.Minute
		})},
		{"interrupted, unknown", with(tracker.Interrupted, func(e *tracker.Event) { e.Bytes, e.Silence = 550e6, 10*time.Minute })},
		{"ended", with(tracker.Ended, func(e *tracker.Event) { e.Bytes, e.FilesDone, e.Files = 5.5e9, 4, 9 })},
		{"ended without one file", with(tracker.Ended, func(e *tracker.Event) {
			e.Bytes, e.FilesDone, e.Files, e.Absent = 133e6, 4, 5, []string{"README.md"}
		})},
		{"ended without many files", with(tracker.Ended, func(e *tracker.Event) {
			e.Bytes, e.FilesDone, e.Files = 5.5e9, 4, 9
			e.Absent = []string{"original/a\n\x1b[31m", "x" + strings.Repeat("/directory", 30) + "/model.bin", "b"}
		})},
		{"ended, files unknown", with(tracker.Ended, func(e *tracker.Event) { e.Bytes, e.FilesDone = 5.5e9, 4 })},
		{"ended with one file", with(tracker.Ended, func(e *tracker.Event) { e.Bytes, e.FilesDone = 5.5e9, 1 })},
		{"unlisted", with(tracker.Unlisted, func(e *tracker.Event) { e.Bytes, e.FilesDone = 5.5e9, 4 })},
		{"idle", with(tracker.Idle, func(e *tracker.Event) {
			e.Bytes, e.FilesDone, e.DownloaderAlive = 60e6, 300, true
			e.Downloader = &downloader.Process{PID: 4242, Command: "python3"}
		})},
		{"idle, pid unknown", with(tracker.Idle, func(e *tracker.Event) { e.Bytes, e.FilesDone = 60e6, 1 })},
		{"removed", with(tracker.Removed, func(e *tracker.Event) { e.Bytes, e.Total = 350e6, 1.2e9 })},
		{"total dropped", with(tracker.TotalDropped, func(e *tracker.Event) { e.Bytes, e.Total = 1.3e9, 1.2e9 })},
		{"total dropped, not told", with(tracker.TotalDropped, bytesOnly(1.3e9))},
		{"size differs", with(tracker.SizeDiffers, func(e *tracker.Event) {
			e.Mismatch = &sizer.Mismatch{Path: "model.safetensors", Got: 1_249_999_999, Want: 1_250_000_000}
		})},
		{"size differs, hostile name", with(tracker.SizeDiffers, func(e *tracker.Event) {
			e.Mismatch = &sizer.Mismatch{Path: "a\n\x1b[31m\u202e", Got: 1, Want: 2}
		})},
		{"holes", with(tracker.SizeDiffers, func(e *tracker.Event) {
			e.Mismatch = &sizer.Mismatch{Path: "model.safetensors", Got: 2_560_000, Want: 120_000_000, Holes: true}
		})},
		{"size differs, not told", event(tracker.SizeDiffers, "e1")},
		{"orphans", with(tracker.OrphansFound, func(e *tracker.Event) { e.Count, e.Lost = 742, 741e9 })},
		{"one orphan", with(tracker.OrphansFound, func(e *tracker.Event) { e.Count, e.Lost = 1, 10e6 })},
		{"old orphans", with(tracker.OrphansFound, func(e *tracker.Event) {
			e.Count, e.Lost, e.Age, e.Resumable = 742, 741e9, 12*24*time.Hour+time.Hour, 2
		})},
		{"one old orphan that may be resumed", with(tracker.OrphansFound, func(e *tracker.Event) {
			e.Count, e.Lost, e.Age, e.Resumable = 1, 10e6, 26*time.Hour+5*time.Minute, 1
		})},
		{"low space", room(tracker.LowSpace, tracker.DiskShort, 82e9, 61e9, 1)},
		{"low space for several", room(tracker.LowSpace, tracker.DiskShort, 82e9, 61e9, 3)},
		{"low space by a hair", room(tracker.LowSpace, tracker.DiskShort, 82_000_000_001, 82_000_000_000, 1)},
		{"low space, upper bound", room(tracker.LowSpace, tracker.DiskMaybeShort, 82e9, 61e9, 2)},
		{"enough space", room(tracker.SpaceBack, tracker.DiskEnough, 41e9, 61e9, 1)},
		{"interrupted, disk full", room(tracker.Interrupted, tracker.DiskFull, 650e6, 4096, 0)},
		{"interrupted, disk all but full", room(tracker.Interrupted, tracker.DiskFull, 650e6, 8.4e6, 0)},
		{"interrupted, disk was full", room(tracker.Interrupted, tracker.DiskWasFull, 650e6, 61e9, 0)},
		{"interrupted, disk short", room(tracker.Interrupted, tracker.DiskShort, 650e6, 550e6, 0)},
		{"stalled, disk full", room(tracker.Stalled, tracker.DiskFull, 650e6, 0, 0)},
		{"root gone", tracker.Event{Kind: tracker.RootGone, At: at, Root: "/mnt/cache"}},
		{"root gone, reason", tracker.Event{Kind: tracker.RootGone, At: at, Root: "/mnt/a\nb", Reason: "unmounted"}},
		{"root back", tracker.Event{Kind: tracker.RootBack, At: at, Root: "/mnt/cache"}},
		{"lines lost", with(tracker.LinesLost, func(e *tracker.Event) { e.Count, e.Reason = 5, "no space left on device" })},
		{"one line lost", with(tracker.LinesLost, func(e *tracker.Event) { e.Count = 1 })},
		{"unknown kind", event("\x1b[2J", "e1")},
		{"hostile id", with(tracker.Preparing, func(e *tracker.Event) { e.Repo.ID = "org/a\r\n<0>\u0085" })},
	}
}

// TestTextOfEveryKind compares with testdata/lines.golden: the plain text,
// and below it the detailed one where it differs.
func TestTextOfEveryKind(t *testing.T) {
	var b strings.Builder
	for _, s := range samples() {
		fmt.Fprintf(&b, "# %s\n[%s] %s\n", s.name, levelName(s.event.Level()), Message(s.event))
		if d := Detailed(s.event); d != Message(s.event) {
			fmt.Fprintf(&b, "    %s\n", d)
		}
	}
	const golden = "testdata/lines.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wantFile(t, golden, b.String())
}

func TestEveryKindHasItsTextAndItsMessageID(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range samples() {
		if _, ok := messageIDs[s.event.Kind]; !ok {
			continue
		}
		seen[string(s.event.Kind)] = true
		if strings.Contains(Message(s.event), "unknown kind") {
			t.Errorf("%s: %s", s.name, Message(s.event))
		}
	}
	ids := map[string]bool{}
	for kind, id := range messageIDs {
		if !seen[string(kind)] {
			t.Errorf("no sample of kind %s", kind)
		}
		if len(id) != 32 || ids[id] {
			t.Errorf("%s: bad or repeated message id %q", kind, id)
		}
		ids[id] = true
	}
}

func TestStamps(t *testing.T) {
	zone := time.Local
	t.Cleanup(func() { time.Local = zone })
	time.Local = time.FixedZone("", 2*60*60)
	for _, c := range []struct {
		utc, clock, rfc3339 string
	}{
		{"2026-10-05T20:01:15Z", "10:01:15 PM", "2026-10-05T22:01:15+02:00"},
		{"2026-10-05T22:00:00Z", "12:00:00 AM", "2026-10-06T00:00:00+02:00"},
		{"2026-10-05T10:59:59Z", "12:59:59 PM", "2026-10-05T12:59:59+02:00"},
		{"2026-10-05T07:05:09.999Z", "09:05:09 AM", "2026-10-05T09:05:09+02:00"},
	} {
		utc, err := time.Parse(time.RFC3339Nano, c.utc)
		if err != nil {
			t.Fatal(err)
		}
		local := (*Zone)(nil).Local(utc)
		if got := Clock(local); got != c.clock {
			t.Errorf("Clock(%s) = %s, want %s", c.utc, got, c.clock)
		}
		if got := RFC3339(local); got != c.rfc3339 {
			t.Errorf("RFC3339(%s) = %s, want %s", c.utc, got, c.rfc3339)
		}
	}
}
