package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"progressd/hfcache"
)

// truth is what lies in a repository's folder, as the soak itself sees it: by
// code that shares nothing with progressd's but the reading of shard numbers.
type truth struct {
	// whole: every file of the revision is linked to a blob of its size.
	whole bool
	// wanted: all that was asked for is.
	wanted bool
	// listing: the revision's listing is there.
	listing bool
	// short: a file is there and isn't what it should be: it has another size,
	// where a client that copies it to its place (swift) was killed in the middle
	// of that, or holes, where one that resumes by length followed one that wrote
	// sparsely (hf_transfer).
	short bool
	// linked counts the files that are there, blobs the finished ones.
	linked, blobs int
	// partials counts the unfinished blobs for which there is a partial.
	partials int
	// gap: going by their names, shards are missing.
	gap bool
	// contents changes if bytes came or went.
	content string
}

// survey looks at what there is of a revision.
func (m *model) survey(r revision, want func(string) bool) truth {
	t := truth{whole: true, wanted: true}
	var paths []string
	for _, e := range r.files {
		there := false
		info, err := os.Stat(filepath.Join(m.dir(), "snapshots", r.commit, e.Path))
		if err == nil && info.Size() == e.Size && !hollow(info) {
			there = true
			t.linked++
			paths = append(paths, e.Path)
		}
		t.short = t.short || err == nil && !there
		t.whole = t.whole && there
		t.wanted = t.wanted && (there || !want(e.Path))
	}
	_, err := os.Stat(filepath.Join(m.dir(), "trees", r.commit+".json"))
	t.listing = err == nil
	t.gap = hfcache.ShardGap(paths)
	t.inventory(m.dir())
	return t
}

// hollow: of a file, more than progressd passes over was never written.
func hollow(info os.FileInfo) bool {
	return info.Size()-info.Sys().(*syscall.Stat_t).Blocks*512 > 1<<20
}

// inventory counts what is in blobs/.
func (t *truth) inventory(dir string) {
	entries, err := os.ReadDir(filepath.Join(dir, "blobs"))
	if err != nil {
		return
	}
	finished := map[string]bool{}
	var partials, contents []string
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, "blobs", e.Name()))
		if err != nil || strings.HasPrefix(e.Name(), "tmp_") || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ".lock") {
			continue
		}
		// A blob that was fetched again is another file.
		contents = append(contents, fmt.Sprintf("%s=%d:%d", e.Name(), info.Size(), info.Sys().(*syscall.Stat_t).Ino))
		etag, _, partial := strings.Cut(e.Name(), ".")
		if partial {
			partials = append(partials, etag)
		} else {
			finished[etag] = true
		}
	}
	t.blobs = len(finished)
	for _, etag := range partials {
		if !finished[etag] {
			t.partials++
		}
	}
	slices.Sort(contents)
	t.content = strings.Join(contents, " ")
}
