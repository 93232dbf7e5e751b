package sizer

import (
	"reflect"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// Every field is a fact but those that move at each look: a new one that is not
// compared would be forgotten over a restart.
func TestEveryFactOfAMemoryCounts(t *testing.T) {
	full := Memory{
		Since: time.Unix(1, 0), Play: "p", From: time.Unix(2, 0), Revisions: []string{"r"}, Base: 1, Bytes: 2,
		Downloaders: []downloader.Process{{PID: 42}}, Attempt: time.Unix(3, 0), Succeeded: true,
		Failed: 1, FailedBlobs: []string{"f"}, Unlinked: []string{"u"}, Kept: []string{"k"},
		Copying: map[string]int{"c": 42}, CutOffs: []CutOff{{Etag: "h", Size: 1}},
		Settled: true, Locks: true, Partials: true, BroughtUnseen: true, Name: hfcache.Repo{Type: hfcache.Model, ID: "o/m"},
	}
	if !full.SameFacts(full) {
		t.Error("it differs from itself")
	}
	moving := map[string]bool{"Since": true, "Base": true, "Bytes": true}
	fields := reflect.TypeFor[Memory]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Errorf("%s is not set by this test", name)
		}
		other := full
		reflect.ValueOf(&other).Elem().Field(i).SetZero()
		if full.SameFacts(other) != moving[name] {
			t.Errorf("without %s: same facts %v", name, !moving[name])
		}
	}
}
