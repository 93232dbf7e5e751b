package live

import (
	"strings"
	"testing"
	"time"

	"progressd/record"
)

func TestWhatIsToldBringsADownloadOn(t *testing.T) {
	now := time.Now()
	var v View
	tells := func(key, event string, bytes int64) {
		now = now.Add(time.Second)
		v.Apply(Update{Key: key, Event: &record.Record{Event: event, Model: "org/a", RepoType: "model", Root: "/r", Bytes: &bytes, Time: now}})
	}
	want := func(state record.State, bytes int64, grown time.Time) {
		t.Helper()
		all := v.Of("org/a", "model")
		if len(all) != 1 || all[0].State != state || *all[0].Bytes != bytes || !all[0].Grown.Equal(grown) {
			t.Errorf("%+v", all)
		}
	}
	v.Apply(Update{Event: &record.Record{Event: "root-gone"}}) // of no download
	if len(v.Downloads()) > 0 {
		t.Errorf("%+v", v.Downloads())
	}
	tells("k1", "preparing", 0)
	grown := now
	want(record.Preparing, 0, grown)
	tells("k1", "progress", 5)
	grown = now
	want(record.Downloading, 5, grown)
	tells("k1", "stalled", 5)
	want(record.Stalled, 5, grown)
	tells("k1", "keepalive", 5)
	want(record.Stalled, 5, grown)
	tells("k1", "output", 5)
	want(record.Stalled, 5, grown)
	tells("k1", "completed", 9)
	want(record.Completed, 9, now)
	// The next download of the same model takes its place.
	tells("k2", "preparing", 9)
	want(record.Preparing, 9, now)
	v.Apply(Update{Gone: "k2"})
	if all := v.Downloads(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	if v.Of("org/a", "dataset") != nil && len(v.Of("org/a", "dataset")) > 0 {
		t.Error("of another type")
	}
}

// A level keeps the room on the disk, which no event tells.
func TestAnEventKeepsWhatOnlyLevelsTell(t *testing.T) {
	var v View
	free := int64(7)
	v.Apply(Update{Level: &record.Download{Key: "k", State: record.Downloading, Device: "1:2", Record: record.Record{FreeBytes: &free}}})
	v.Apply(Update{Key: "k", Event: &record.Record{Event: "progress"}})
	if d := v.Downloads()[0]; d.Device != "1:2" || d.FreeBytes == nil || *d.FreeBytes != 7 {
		t.Errorf("%+v", d)
	}
}

func TestTheOrderOfDownloads(t *testing.T) {
	now := time.Now()
	of := func(model string, state record.State, ago time.Duration) record.Download {
		return record.Download{Key: model, State: state, Grown: now.Add(-ago), Record: record.Record{Model: model}}
	}
	all := []record.Download{
		of("org/old", record.Completed, time.Hour), of("org/z", record.Stalled, 0), of("org/new", record.Ended, time.Minute),
		of("org/cut", record.Interrupted, 0), of("org/a", record.Downloading, 0),
	}
	Sort(all)
	var names []string
	for _, d := range all {
		names = append(names, d.Model)
	}
	if got := strings.Join(names, " "); got != "org/a org/z org/cut org/new org/old" {
		t.Error(got)
	}
}
