package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"progressd/record"
)

// A filter takes records: of each key any of its values must hold.
type filter map[string][]string

// parseFilter reads KEY=VALUE, where KEY is a name in a record.
func parseFilter(all []string) (filter, error) {
	known := filterKeys()
	f := filter{}
	for _, text := range all {
		key, value, ok := strings.Cut(text, "=")
		if !ok || !slices.Contains(known, key) {
			return nil, fmt.Errorf("--filter %q: expected KEY=VALUE, with one of the keys %s", text, strings.Join(known, ", "))
		}
		f[key] = append(f[key], value)
	}
	return f, nil
}

// filterKeys are the names in a record that have a plain value.
func filterKeys() []string {
	var names []string
	t := reflect.TypeFor[record.Record]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if t.Field(i).Type.Kind() != reflect.Slice {
			names = append(names, name)
		}
	}
	return names
}

func (f filter) takes(r record.Record) bool {
	if len(f) == 0 {
		return true
	}
	text, err := json.Marshal(r)
	if err != nil {
		return false
	}
	var values map[string]any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if d.Decode(&values) != nil {
		return false
	}
	for key, wanted := range f {
		value, known := values[key]
		if !known || !slices.Contains(wanted, fmt.Sprint(value)) {
			return false
		}
	}
	return true
}
