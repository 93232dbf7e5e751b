package sizer

import (
	"os"
	"testing"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// A hub answers for commits, from when it is told to.
type fakeHub struct {
	files map[string][]hfcache.ListedFile
	asked []string
}

func (h *fakeHub) listing(_ hfcache.Repo, commit string) (hfcache.Listing, bool) {
	h.asked = append(h.asked, commit)
	files, ok := h.files[commit]
	delete(h.files, commit) // an answer is given once
	return hfcache.Listing{Files: files}, ok
}

func (c *cache) askHub() *fakeHub {
	h := &fakeHub{files: map[string][]hfcache.ListedFile{}}
	c.opts.Listing = h.listing
	c.root = NewRoot(c.opts)
	return h
}

func TestTheHubsListingIsUsedLikeOneOfTheCache(t *testing.T) {
	c := newCache(t)
	h := c.askHub()
	c.run(42, "huggingface-cli", "download", "org/demo")
	c.lock(42, "a")
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.partial("a", ".incomplete", 0)
	c.expect("without an answer there is no total", want{play: true, partials: 1})
	if len(h.asked) == 0 || h.asked[0] != commitA || !c.look().Asked {
		t.Fatalf("asked for %q", h.asked)
	}
	c.now = c.now.Add(fsys.Coarse + time.Second) // from now on nothing else makes a look read anew
	c.expect("still without", want{play: true, partials: 1})
	h.files[commitA] = []hfcache.ListedFile{{Path: "a.bin", Etag: etag("a"), Size: 3 * mib}, {Path: "b.bin", Etag: etag("b"), Size: 2 * mib}}
	l := c.expect("the next look has it", want{play: true, total: 5 * mib, files: 2, missing: 2, partials: 1})
	if l.TotalSource != FromHub || l.Asked || l.InFlight[0].Name != "a.bin" {
		t.Fatalf("look %+v", l)
	}
	asked := len(h.asked)
	c.partial("a", ".incomplete", 3*mib)
	c.finish("a", ".incomplete", commitA, "a.bin")
	c.expect("what is listed is missing", want{play: true, bytes: 3 * mib, arrived: 3 * mib, total: 5 * mib, files: 2, done: 1, missing: 1})
	c.partial("b", ".incomplete", 2*mib)
	c.finish("b", ".incomplete", commitA, "b.bin")
	c.unlock("a")
	c.expect("all is proven", want{play: true, bytes: 5 * mib, arrived: 2 * mib, total: 5 * mib, files: 2, done: 2, proof: ProvenByListing})
	if len(h.asked) != asked {
		t.Errorf("asked again for what is known: %q", h.asked)
	}
}

func TestWhereNothingSaysWhatIsWantedTheHubsTotalIsAnUpperBound(t *testing.T) {
	c := newCache(t)
	h := c.askHub()
	h.files[commitA] = []hfcache.ListedFile{{Path: "a.bin", Etag: etag("a"), Size: 3 * mib}, {Path: "b.bin", Etag: etag("b"), Size: 2 * mib}}
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.partial("a", ".incomplete", mib)
	if l := c.look(); l.TotalSource != FromHubAtMost || l.Total != 5*mib {
		t.Fatalf("look %+v", l)
	}
	c.partial("a", ".incomplete", 3*mib)
	c.finish("a", ".incomplete", commitA, "a.bin")
	c.now = c.now.Add(2 * quiet)
	c.age()
	if l := c.look(); l.Proof != NoProof || l.Missing != 1 {
		t.Fatalf("a part is taken for all: %+v", l)
	}
}

func TestTheCachesOwnListingWins(t *testing.T) {
	c := newCache(t)
	h := c.askHub()
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 3 * mib}})
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.partial("a", ".incomplete", 0)
	if l := c.look(); l.TotalSource != FromListingAtMost || l.Total != 3*mib || len(h.asked) > 0 {
		t.Fatalf("asked %q, look %+v", h.asked, l)
	}
}

func TestAListingThatComesAfterTheHubsWins(t *testing.T) {
	c := newCache(t)
	h := c.askHub()
	h.files[commitA] = []hfcache.ListedFile{{Path: "a.bin", Etag: etag("a"), Size: 9 * mib}}
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.partial("a", ".incomplete", 0)
	c.look()
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 3 * mib}})
	c.partial("a", ".incomplete", 3*mib)
	c.finish("a", ".incomplete", commitA, "a.bin")
	if l := c.look(); l.TotalSource != FromListingAtMost || l.Total != 3*mib || l.Proof != ProvenByListing {
		t.Fatalf("look %+v", l)
	}
}

func TestAnUnusableListingIsMadeUpForByTheHub(t *testing.T) {
	c := newCache(t)
	h := c.askHub()
	h.files[commitA] = []hfcache.ListedFile{{Path: "a.bin", Etag: etag("a"), Size: 3 * mib}}
	must(t, os.MkdirAll(c.in(demo, "trees"), 0o755))
	must(t, os.WriteFile(c.in(demo, "trees", commitA+".json"), []byte("{"), 0o600))
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.partial("a", ".incomplete", 0)
	for range 3 { // the file is read again each time while it is young
		if l := c.look(); l.TotalSource != FromHubAtMost || l.Total != 3*mib {
			t.Fatalf("look %+v", l)
		}
	}
}

func TestAnAnswerThatDoesNotListWhatIsWrittenIsNoTotal(t *testing.T) {
	c := newCache(t)
	h := c.askHub()
	h.files[commitA] = []hfcache.ListedFile{{Path: "x.bin", Etag: etag("x"), Size: 3 * mib}}
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.partial("a", ".incomplete", mib)
	if l := c.look(); l.Total != 0 || l.TotalSource != NoTotal || l.Proof != NoProof {
		t.Fatalf("look %+v", l)
	}
}

func TestWithoutASnapshotTheHubIsNotAsked(t *testing.T) {
	c := newCache(t)
	h := c.askHub()
	c.partial("a", ".incomplete", mib)
	c.look()
	c.now = c.now.Add(time.Minute)
	c.look()
	if len(h.asked) > 0 {
		t.Fatalf("asked for %q", h.asked)
	}
}
