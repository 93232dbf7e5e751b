package hfcache

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func parse(s string) (Listing, error) {
	return ParseListing(strings.NewReader(s), DefaultLimits())
}

func listing(entries ...string) string {
	return `{"format_version": 1, "files": {` + strings.Join(entries, ",") + `}}`
}

func entry(path string) string {
	return fmt.Sprintf(`%q: {"size": 1, "blob_id": %q}`, path, sha1Hex)
}

func TestListingIsReadAsTheClientReadsIt(t *testing.T) {
	got, err := parse(`{
 "files": {
  "z/model.safetensors": {"size": 134, "blob_id": "` + sha1Hex + `", "lfs_sha256": "` + sha256Hex + `", "lfs_size": 5000000000, "xet_hash": "x"},
  "no-lfs-size.bin": {"size": 7, "blob_id": "` + sha1Hex + `", "lfs_sha256": "` + sha256Hex + `", "lfs_size": null},
  "\u00e9.json": {"size": 0, "blob_id": "` + sha1Hex + `", "lfs_sha256": null, "new": {"a": [1, {}]}}
 },
 "later": [{"a": "}{"}, [], null, "\"]"],
 "format_version": 1
}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []ListedFile{
		{Path: "no-lfs-size.bin", Etag: sha256Hex, Size: 7},
		{Path: "z/model.safetensors", Etag: sha256Hex, Size: 5_000_000_000},
		{Path: "\u00e9.json", Etag: sha1Hex, Size: 0},
	}
	if !reflect.DeepEqual(got.Files, want) {
		t.Errorf("got %+v", got.Files)
	}
}

func TestListingOfAnEmptyRepo(t *testing.T) {
	if got, err := parse(listing()); err != nil || len(got.Files) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestFaultsOfListings(t *testing.T) {
	one := entry("a")
	tests := map[string]string{
		"empty":               "",
		"truncated":           listing(one)[:40],
		"truncated at end":    strings.TrimSuffix(listing(one), "}"),
		"not JSON":            "hello",
		"NULs":                strings.Repeat("\x00", 100),
		"an array":            "[]",
		"null":                "null",
		"files missing":       `{"format_version": 1}`,
		"files null":          `{"format_version": 1, "files": null}`,
		"files an array":      `{"format_version": 1, "files": []}`,
		"files twice":         `{"format_version": 1, "files": {}, "files": {}}`,
		"data after":          listing(one) + "{}",
		"entry null":          listing(`"a": null`),
		"entry a number":      listing(`"a": 1`),
		"no size":             listing(`"a": {"blob_id": "x"}`),
		"no blob":             listing(`"a": {"size": 1}`),
		"negative":            listing(`"a": {"size": -1, "blob_id": "x"}`),
		"beyond int64":        listing(`"a": {"size": 9223372036854775808, "blob_id": "x"}`),
		"a float":             listing(`"a": {"size": 1.5, "blob_id": "x"}`),
		"negative lfs":        listing(`"a": {"size": 1, "blob_id": "x", "lfs_sha256": "y", "lfs_size": -1}`),
		"bad blob":            listing(`"a": {"size": 1, "blob_id": "../x"}`),
		"bad sha256":          listing(`"a": {"size": 1, "blob_id": "x", "lfs_sha256": ""}`),
		"path twice":          listing(one, one),
		"path twice, escaped": listing(one, `"\u0061": {"size": 1, "blob_id": "x"}`),
	}
	for name, path := range map[string]string{
		"parent": "../a", "inner parent": "a/../b", "dot": "a/./b", "absolute": "/a", "no path": "",
		"slash at end": "a/", "double slash": "a//b", "newline": `a\nb`, "escape": `a\u001bb`, "C1": `a\u009bb`,
		"NUL": `a\u0000`, "backslash": `a\\b`,
	} {
		tests["path: "+name] = listing(`"` + path + `": {"size": 1, "blob_id": "x"}`)
	}
	for name, text := range tests {
		t.Run("V3 "+name, func(t *testing.T) {
			got, err := parse(text)
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if got.Files != nil {
				t.Errorf("error and files: %+v", got)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("raw text in %q", err)
			}
		})
	}
}

func TestListingVersionIsTold(t *testing.T) {
	for _, text := range []string{
		`{"format_version": 2, "files": "anything"}`,
		`{"format_version": "1", "files": {}}`,
		`{"files": {}}`,
		`{"files": {}, "format_version": null}`,
	} {
		if _, err := parse(text); !errors.Is(err, ErrListingVersion) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := parse("{"); errors.Is(err, ErrListingVersion) {
		t.Errorf("truncated: %v", err)
	}
}

func TestListingLimits(t *testing.T) {
	limits := Limits{Bytes: 1000, Entries: 3, Path: 10}
	tests := map[string]struct {
		text string
		want error
	}{
		"at the limits":  {listing(entry("a"), entry("b"), entry(strings.Repeat("c", 10))), nil},
		"too many":       {listing(entry("a"), entry("b"), entry("c"), entry("d")), ErrListingTooBig},
		"path too long":  {listing(entry(strings.Repeat("c", 11))), ErrListingTooBig},
		"too many bytes": {listing(entry("a")) + strings.Repeat(" ", 1000), ErrListingTooBig},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseListing(strings.NewReader(tt.text), limits); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestListingTellsAReadError(t *testing.T) {
	broken := errors.New("input/output error")
	r := io.MultiReader(strings.NewReader(listing(entry("a"))[:50]), iotest.ErrReader(broken))
	if _, err := ParseListing(r, DefaultLimits()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// endless repeats a text for ever and counts what was taken.
type endless struct {
	head, text string
	at, taken  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	for ; n < len(p); n++ {
		p[n] = e.text[e.at%len(e.text)]
		e.at++
	}
	e.taken += n
	return n, nil
}

// One value that the decoder would have to hold has to be refused long before
// the limit of the whole file.
func TestListingMemoryStaysFlat(t *testing.T) {
	tests := map[string]*endless{
		"endless path":         {head: `{"files": {"`, text: "aaaaaaaa"},
		"endless blob name":    {head: `{"files": {"a": {"blob_id": "`, text: `\"\\aaaa`},
		"endless entry":        {head: `{"files": {"a": {"x": [`, text: `1,{},`},
		"endless number":       {head: `{"format_version": `, text: "11111111"},
		"endless nesting":      {head: `{"x": `, text: "[[[[[[[["},
		"endless spaces":       {head: `{`, text: "        "},
		"endless key on top":   {head: `{"`, text: "aaaaaaaa"},
		"endless version list": {head: `{"format_version": [[`, text: "1,"},
	}
	for name, r := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseListing(r, DefaultLimits())
			if !errors.Is(err, ErrListingTooBig) {
				t.Errorf("got %v", err)
			}
			if r.taken > 1<<20 {
				t.Errorf("%d bytes read", r.taken)
			}
		})
	}
}

func TestUnknownKeysAreSkippedInAStream(t *testing.T) {
	r := &endless{head: `{"later": [`, text: `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",`}
	if _, err := ParseListing(r, Limits{Bytes: 4 << 20, Entries: 1, Path: 1}); !errors.Is(err, ErrListingTooBig) {
		t.Errorf("got %v", err)
	}
	if r.taken < 4<<20 {
		t.Errorf("gave up after %d bytes", r.taken)
	}
}

func TestNewListingSortsAndChecks(t *testing.T) {
	got, err := NewListing([]ListedFile{{"b", "x", 1}, {"a", "y", 2}})
	if err != nil || got.Files[0].Path != "a" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := NewListing([]ListedFile{{"a", "x", -1}}); err == nil {
		t.Error("negative size accepted")
	}
}

func FuzzParseListing(f *testing.F) {
	f.Add(listing(entry("b/c"), entry("a")))
	f.Add(`{"format_version": 1, "x": [{}], "files": {}}`)
	f.Add(`{"format_version": 2`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseListing(strings.NewReader(text), Limits{Bytes: 1 << 20, Entries: 100, Path: 100})
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(got.Files, func(a, b ListedFile) int { return strings.Compare(a.Path, b.Path) }) {
			t.Error("not sorted")
		}
		for _, file := range got.Files {
			if file.Size < 0 || len(file.Path) > 100 || !validPath(file.Path) || !validEtag(file.Etag) {
				t.Errorf("file %+v", file)
			}
		}
	})
}
