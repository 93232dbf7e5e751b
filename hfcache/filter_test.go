package hfcache

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// fnmatchTable was made by testdata/fnmatch.py.
//
//go:embed testdata/fnmatch.json
var fnmatchTable []byte

func TestFilterSelectsWhatPythonSelects(t *testing.T) {
	var rows [][3]any
	if err := json.Unmarshal(fnmatchTable, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 100 {
		t.Fatalf("only %d rows", len(rows))
	}
	for _, row := range rows {
		pattern, path, want := row[0].(string), row[1].(string), row[2].(bool)
		if got := (Filter{Include: []string{pattern}}).Match(path); got != want {
			t.Errorf("include %q, path %q: %v, want %v", pattern, path, got, want)
		}
		if got := (Filter{Exclude: []string{pattern}}).Match(path); got == want {
			t.Errorf("exclude %q, path %q: %v, want %v", pattern, path, got, !want)
		}
	}
}

func TestFilterCombinesPatterns(t *testing.T) {
	tests := map[string]struct {
		filter Filter
		path   string
		want   bool
	}{
		"none selects all":              {Filter{}, "a/b", true},
		"any include is enough":         {Filter{Include: []string{"x", "*.b"}}, "a.b", true},
		"no include fits":               {Filter{Include: []string{"x", "*.c"}}, "a.b", false},
		"exclude alone":                 {Filter{Exclude: []string{"*.c"}}, "a.b", true},
		"exclude beats include":         {Filter{Include: []string{"a.*"}, Exclude: []string{"y", "*.b"}}, "a.b", false},
		"literal exclude":               {Filter{Exclude: []string{"a.b"}}, "a.b", false},
		"empty pattern selects nothing": {Filter{Include: []string{""}}, "a", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.filter.Match(tt.path); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLiteralPatternMatchesOnlyItself(t *testing.T) {
	for _, path := range []string{"a", "[a]", "*", "a?b", "[!x]*", "]", "[[]"} {
		f := Filter{Include: []string{LiteralPattern(path)}}
		if !f.Match(path) {
			t.Errorf("%q does not match itself", path)
		}
		for _, other := range []string{"b", "x", "axb", "!y"} {
			if f.Match(other) {
				t.Errorf("%q matches %q", path, other)
			}
		}
	}
}

func TestFilterTakesNoExponentialTime(t *testing.T) {
	pattern := strings.Repeat("*a", 200) + "b"
	path := strings.Repeat("a", 4096)
	begun := time.Now()
	if (Filter{Include: []string{pattern}}).Match(path) {
		t.Error("matches")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("*a[!b-c]?", "xx/abd")
	f.Add("[b-a!-z]", "-")
	f.Add("[!", "\xff")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if len(pattern)*len(path) > 1<<20 {
			t.Skip("too long to be quick")
		}
		in := Filter{Include: []string{pattern}}.Match(path)
		out := Filter{Exclude: []string{pattern}}.Match(path)
		if in == out {
			t.Errorf("included %v and not excluded %v", in, out)
		}
		if !strings.ContainsAny(path, `\`) && !strings.HasSuffix(path, "/") {
			if !(Filter{Include: []string{LiteralPattern(path)}}).Match(path) {
				t.Errorf("literal pattern of %q does not match it", path)
			}
		}
	})
}
