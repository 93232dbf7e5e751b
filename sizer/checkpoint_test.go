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
func TestEveryFactOfACheckpointCounts(t *testing.T) {
	full := Checkpoint{
		Since: time.Unix(1, 0), From: time.Unix(2, 0), Attempt: time.Unix(3, 0),
		Failed: 1, FailedBlobs: []string{"f"}, Unlinked: []string{"u"}, Counted: []string{"k"}, CutOffs: []CutOff{{Etag: "h", Size: 1}},
		Facts: Facts{
			Play: "p", Revisions: []string{"r"}, Succeeded: true, Base: 1, Bytes: 2,
			Downloaders: []downloader.Process{{PID: 42}}, Copying: map[string]int{"c": 42},
			Settled: true, Seen: Seen{LockSeen: true, PartialSeen: true, BroughtUnseen: true}, Name: hfcache.Repo{Type: hfcache.Model, ID: "o/m"},
		},
	}
	if !full.SameFacts(full) {
		t.Error("it differs from itself")
	}
	if other := full.Copied(); !full.SameFacts(other) {
		t.Errorf("its copy differs: %+v", other)
	} else if other.Revisions[0] = "other"; full.SameFacts(other) || full.Revisions[0] != "r" {
		t.Error("its copy has a list of it")
	}
	moving := map[string]bool{"Since": true, "Base": true, "Bytes": true}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Checkpoint]()) {
		name := field.Name
		if field.Anonymous {
			continue // its fields come one by one
		}
		if reflect.ValueOf(full).FieldByIndex(field.Index).IsZero() {
			t.Errorf("%s is not set by this test", name)
		}
		other := full
		reflect.ValueOf(&other).Elem().FieldByIndex(field.Index).SetZero()
		if full.SameFacts(other) != moving[name] {
			t.Errorf("without %s: same facts %v", name, !moving[name])
		}
	}
}
