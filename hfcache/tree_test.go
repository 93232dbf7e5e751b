package hfcache

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// tree reads pages as one answer.
func tree(limits Limits, pages ...string) (Listing, error) {
	t := NewTree(limits)
	for _, page := range pages {
		if err := t.AddPage(strings.NewReader(page)); err != nil {
			return Listing{}, err
		}
	}
	return t.Listing()
}

func node(path string) string {
	return fmt.Sprintf(`{"type": "file", "path": %q, "oid": %q, "size": 1}`, path, sha1Hex)
}

func TestATreeIsReadAsTheHubWritesIt(t *testing.T) {
	got, err := tree(DefaultLimits(), `[
 {"type": "directory", "oid": "`+sha1Hex+`", "size": 0, "path": "z"},
 {"type": "file", "oid": "`+sha1Hex+`", "size": 135, "path": "z/model.safetensors", "xetHash": "x",
  "lfs": {"oid": "`+sha256Hex+`", "size": 5000000000, "pointerSize": 135}}
]
`, `[{"type": "file", "oid": "`+sha1Hex+`", "size": 7, "path": "config.json", "lfs": null, "later": {"a": [1, {}]}}]`)
	if err != nil {
		t.Fatal(err)
	}
	want := []ListedFile{
		{Path: "config.json", Etag: sha1Hex, Size: 7},
		{Path: "z/model.safetensors", Etag: sha256Hex, Size: 5_000_000_000},
	}
	if !reflect.DeepEqual(got.Files, want) {
		t.Errorf("got %+v", got.Files)
	}
}

func TestFaultsOfTrees(t *testing.T) {
	for name, pages := range map[string][]string{
		"empty":         {""},
		"not JSON":      {"<!DOCTYPE html>"},
		"truncated":     {"[" + node("a")},
		"an object":     {`{"error": "no"}`},
		"null":          {"null"},
		"data after":    {"[" + node("a") + "] []"},
		"entry null":    {"[null]"},
		"no type":       {strings.ReplaceAll("["+node("a")+"]", `"type"`, `"kind"`)},
		"no size":       {strings.ReplaceAll("["+node("a")+"]", `"size"`, `"length"`)},
		"no oid":        {strings.ReplaceAll("["+node("a")+"]", `"oid"`, `"sha"`)},
		"no path":       {strings.ReplaceAll("["+node("a")+"]", `"path"`, `"name"`)},
		"negative":      {strings.ReplaceAll("["+node("a")+"]", ": 1", ": -1")},
		"a float":       {strings.ReplaceAll("["+node("a")+"]", ": 1", ": 1.5")},
		"beyond int64":  {strings.ReplaceAll("["+node("a")+"]", ": 1", ": 9223372036854775808")},
		"bad path":      {"[" + node("../a") + "]"},
		"bad oid":       {strings.ReplaceAll("["+node("a")+"]", sha1Hex, "../x")},
		"half an lfs":   {strings.ReplaceAll("["+node("a")+"]", `"oid"`, `"lfs": {"size": 1}, "oid"`)},
		"bad lfs":       {strings.ReplaceAll("["+node("a")+"]", `"oid"`, `"lfs": {"oid": "`+sha256Hex+`", "size": -1}, "oid"`)},
		"twice":         {"[" + node("a") + "]", "[" + node("a") + "]"},
		"endless value": {`[{"type": "` + strings.Repeat("x", 1<<20) + `"}]`},
		"endless entry": {`[{` + strings.Repeat(`"x": 1, `, 1<<17) + `"y": 2}]`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := tree(DefaultLimits(), pages...); err == nil {
				t.Errorf("accepted as %+v", got)
			}
		})
	}
}

func TestTheLimitsOfATreeAreForAllPagesTogether(t *testing.T) {
	one, two := "["+node("a")+"]", "["+node("b")+"]"
	enough := Limits{Bytes: int64(len(one) + len(two)), Entries: 2, Path: 1}
	if _, err := tree(enough, one, two); err != nil {
		t.Errorf("refused within the limits: %v", err)
	}
	for name, limits := range map[string]Limits{
		"bytes":   {Bytes: enough.Bytes - 1, Entries: 2, Path: 1},
		"entries": {Bytes: enough.Bytes, Entries: 1, Path: 1},
		"path":    {Bytes: enough.Bytes, Entries: 2, Path: 0},
	} {
		if _, err := tree(limits, one, two); !errors.Is(err, ErrListingTooBig) {
			t.Errorf("%s: got %v, want too big", name, err)
		}
	}
}

func TestATreeThatBreaksOffKeepsItsCause(t *testing.T) {
	err := NewTree(DefaultLimits()).AddPage(io.MultiReader(strings.NewReader("["+node("a")), iotest.ErrReader(io.ErrClosedPipe)))
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

func FuzzTree(f *testing.F) {
	f.Add("["+node("a")+"]", "["+node("b/c")+"]")
	f.Add(`[{"type": "directory"}]`, "[]")
	f.Fuzz(func(t *testing.T, one, two string) {
		got, err := tree(Limits{Bytes: 1 << 20, Entries: 100, Path: 100}, one, two)
		if err != nil {
			return
		}
		if len(got.Files) > 100 {
			t.Errorf("%d files", len(got.Files))
		}
		for i, file := range got.Files {
			if file.Size < 0 || len(file.Path) > 100 || !validPath(file.Path) || !validEtag(file.Etag) {
				t.Errorf("file %+v", file)
			}
			if i > 0 && got.Files[i-1].Path >= file.Path {
				t.Error("not sorted, or twice")
			}
		}
	})
}
