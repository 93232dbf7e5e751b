package web

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"progressd/record"
	"progressd/socket"
)

// described is what openapi.json says.
type described struct {
	Paths      map[string]map[string]any
	Components struct {
		Schemas map[string]struct {
			Properties map[string]any
			Required   []string
		}
	}
}

func readDescription(t *testing.T) described {
	t.Helper()
	var d described
	if err := json.Unmarshal(openapi, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryPathIsDescribed(t *testing.T) {
	d := readDescription(t)
	var served []string
	for _, r := range New(Options{}).routes() {
		served = append(served, strings.TrimSuffix(r.path, "{$}"))
	}
	slices.Sort(served)
	if got := slices.Sorted(maps.Keys(d.Paths)); !slices.Equal(got, served) {
		t.Errorf("described:\n%q\nserved:\n%q", got, served)
	}
	for path, methods := range d.Paths {
		if len(methods) != 1 || methods["get"] == nil {
			t.Errorf("%s: %v", path, methods)
		}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	schemas := readDescription(t).Components.Schemas
	for name, value := range map[string]any{
		"Record": record.Record{}, "Download": record.Download{}, "Answered": socket.Answered{}, "File": record.File{}, "Frame": frame{}, "Snapshot": snapshot{}, "Stand": stand{},
	} {
		var names, always []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(value)) {
			if f.Anonymous {
				continue
			}
			name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
			if names = append(names, name); rest == "" {
				always = append(always, name)
			}
		}
		slices.Sort(names)
		if got := slices.Sorted(maps.Keys(schemas[name].Properties)); !slices.Equal(got, names) {
			t.Errorf("%s has\n%q\ndescribed are\n%q", name, names, got)
		}
		if got := slices.Sorted(slices.Values(schemas[name].Required)); !slices.Equal(got, slices.Sorted(slices.Values(always))) {
			t.Errorf("%s always has %q, described are %q", name, always, got)
		}
	}
}
