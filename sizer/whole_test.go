package sizer

import (
	"fmt"
	"os"
	"testing"
	"time"

	"progressd/fsys"
)

func TestWhatIsThereWithoutAListingIsJudgedByItsKind(t *testing.T) {
	tests := map[string]struct {
		files          []string
		lacking, whole bool
	}{
		"a model's configuration":        {[]string{"config.json", "README.md"}, true, false},
		"and its weights":                {[]string{"config.json", "model.safetensors"}, false, true},
		"and one of its shards":          {[]string{"config.json", "model-00001-of-00002.safetensors"}, false, false},
		"and all of its shards":          {[]string{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}, false, true},
		"weights whose configuration is": {[]string{"model.safetensors"}, false, false},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			for i, path := range tt.files {
				c.whole(fmt.Sprint("f", i), kib, commitA, path)
			}
			if l := c.look(); l.Lacking != tt.lacking || l.Whole != tt.whole || l.Unlinked != 0 {
				t.Errorf("lacking %v, whole %v, unlinked %d", l.Lacking, l.Whole, l.Unlinked)
			}
			c.partial("z", ".incomplete", 10)
			if l := c.look(); l.Whole {
				t.Error("whole while something is in flight")
			}
		})
	}
}

// dataset makes the demo repository a dataset: as one that was fetched as such, not
// renamed, which would be no download.
func (c *cache) dataset() (look func() Look) {
	const folder = "datasets--org--demo"
	c.must(os.Mkdir(c.in(folder), 0o755))
	entries, err := os.ReadDir(c.in(demo))
	c.must(err)
	for _, e := range entries {
		c.must(os.Rename(c.in(demo, e.Name()), c.in(folder, e.Name())))
	}
	return func() Look {
		l, _ := c.lookAt(folder)
		return l
	}
}

func TestACardIsNoDataset(t *testing.T) {
	for file, lacking := range map[string]bool{"load.py": true, "dataset_infos.json": true, "data/train.parquet": false, "train.json": false} {
		c := newCache(t)
		c.whole("a", kib, commitA, "README.md")
		c.whole("b", kib, commitA, file)
		if l := c.dataset()(); !l.InPlay || l.Lacking != lacking || l.Whole {
			t.Errorf("%s: lacking %v, whole %v", file, l.Lacking, l.Whole)
		}
	}
}

func TestABlobWithoutALinkIsNotTaken(t *testing.T) {
	c := newCache(t)
	c.whole("a", kib, commitA, "a.bin")
	c.partial("b", "", kib)
	if l := c.look(); l.Unlinked != 1 || l.FilesDone != 2 {
		t.Fatalf("look %+v", l)
	}
	c.link("b", commitB, "deep/down/b.bin") // of whatever revision
	c.now = c.now.Add(unlinkedAge)
	if l := c.look(); l.Unlinked != 0 {
		t.Fatalf("%d are unlinked", l.Unlinked)
	}
}

func TestWithoutAnySnapshotNothingIsLinked(t *testing.T) {
	c := newCache(t)
	c.partial("a", "", kib)
	c.partial("b", "", kib)
	if l := c.look(); !l.InPlay || l.Unlinked != 2 {
		t.Fatalf("look %+v", l)
	}
}

// Links are read within bounds; which blobs have one is searched beyond them.
func TestMoreLinksThanAreKeptAreLinksAllTheSame(t *testing.T) {
	inMemory(t)
	c := newCache(t)
	c.whole("first", kib, commitA, "first.bin")
	c.look()
	for i := range maxLinks + 10 {
		word := fmt.Sprintf("w%04d", i)
		c.must(os.WriteFile(c.in(demo, "blobs", etag(word)), nil, 0o600))
		c.link(word, commitA, fmt.Sprintf("%05d.bin", i))
	}
	c.now = c.now.Add(fsys.Coarse)
	c.look()
	c.now = c.now.Add(time.Minute)
	if l := c.look(); l.Unlinked != 0 || l.FilesDone < maxLinks {
		t.Fatalf("%d of %d are unlinked", l.Unlinked, l.FilesDone)
	}
}
