package record

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/tracker"
)

// set gives every field of a record a value.
func set(t *testing.T) Record {
	t.Helper()
	var r Record
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case string, json.Number:
			f.SetString("7")
		case int64:
			f.SetInt(7)
		case *int64:
			f.Set(reflect.ValueOf(new(int64(7))))
		case []File:
			f.Set(reflect.ValueOf([]File{{Name: "7"}}))
		}
	}
	return r
}

func TestEveryFieldHasAPlainValueInTheJournal(t *testing.T) {
	fields := set(t).Fields()
	for _, name := range FieldNames() {
		want := "7"
		if name == "PROGRESSD_IN_FLIGHT" {
			want = `[{"name":"7","bytes":0}]`
		}
		if fields[name] != want {
			t.Errorf("%s is %q", name, fields[name])
		}
		delete(fields, name)
	}
	if len(fields) > 0 {
		t.Errorf("beside the names that are known: %v", fields)
	}
}

// What is made from JSON is what was made to JSON.
func TestARecordSurvivesJSON(t *testing.T) {
	line, err := json.Marshal(set(t))
	if err != nil {
		t.Fatal(err)
	}
	var again Record
	if err := json.Unmarshal(line, &again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, set(t)) {
		t.Errorf("%s", line)
	}
}

func TestTheFirstFieldsAreThoseThatMatterMost(t *testing.T) {
	line, err := json.Marshal(set(t))
	if err != nil {
		t.Fatal(err)
	}
	var at []int
	for _, name := range []string{"id", "time", "event", "level", "message", "model", "bytes", "total", "in_flight", "pid", "proof", "cause"} {
		at = append(at, strings.Index(string(line), `"`+name+`":`))
	}
	if !slices.IsSorted(at) || at[0] < 0 {
		t.Errorf("%s", line)
	}
}

// Thirty seconds of quiet lie between the last byte and the line that says so.
func TestWhenTheLineWasToldIsNotWhenTheLastByteCame(t *testing.T) {
	e := tracker.Event{ID: "e1-4", Kind: tracker.Completed, At: time.Now(), Repo: hfcache.Repo{Type: hfcache.Model, ID: "org/name"}}
	if d := Last(e, Of(e, "")); !d.Grown.IsZero() || d.Time.IsZero() || d.State != Completed {
		t.Errorf("%+v", d)
	}
}
