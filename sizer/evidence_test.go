package sizer

import (
	"os"
	"slices"
	"testing"
	"time"
)

// Clients that link behind their blobs (Rust's hf-hub before 1.0, llama.cpp) show
// their revision late: until then only what they write is theirs.
func TestARevisionIsNotGuessedFromWhatItsClientWontFetch(t *testing.T) {
	for what, tt := range map[string]struct {
		partials []string
		revision []string
		bytes    int64
	}{
		"what it lists and lacks is fetched for it": {[]string{"lacking"}, []string{commitA}, 2*mib + 1000},
		"what it has linked is fetched for another": {[]string{"linked"}, nil, 300},
		"and so is what comes with something else":  {[]string{"lacking", "other"}, nil, 600},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}, "linked.json": {"linked", 700}, "config.json": {"lacking", 700}})
			c.whole("a", 2*mib, commitA, "a.bin")
			c.whole("linked", 700, commitA, "linked.json")
			c.age()
			c.watch(c.now, nil)
			c.run(42, "router")
			for _, word := range tt.partials {
				c.lock(42, word)
				c.partial(word, ".downloadInProgress", 300)
			}
			if l := c.look(); l.Bytes != tt.bytes || !slices.Equal(l.Revisions, tt.revision) {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// sharingCache is one in which a new revision lists a file that is there for
// the one before, and another.
func sharingCache(t *testing.T) *cache {
	t.Helper()
	c := newCache(t)
	c.whole("old", mib, commitA, "a.bin")
	c.age()
	c.watch(c.now.Add(-time.Second), nil)
	c.list(commitB, map[string]listedFile{"a.bin": {"old", mib}, "b.bin": {"new", 1000}})
	return c
}

// What another revision has brought is there; that it isn't linked tells that
// nobody has taken it for this one.
func TestWhatIsThereAndNotLinkedIsMissing(t *testing.T) {
	c := sharingCache(t)
	c.run(42, "python3", "train.py")
	c.lock(42, "new")
	c.partial("new", ".01234567.incomplete", 1000)
	if l := c.look(); l.Missing != 1 || l.FilesDone != 1 {
		t.Fatalf("under way: %+v", l)
	}
	c.finish("new", ".01234567.incomplete", commitB, "b.bin")
	c.kill(42)
	if l := c.quietly(); l.Missing != 1 || l.FilesDone != 1 || l.Proof != NoProof || l.Bytes != mib+1000 {
		t.Fatalf("over: %+v", l)
	}
	c.link("old", commitB, "a.bin")
	if l := c.look(); l.Proof != ProvenByListing {
		t.Fatalf("linked: %+v", l)
	}
}

// A client that goes on with what another has begun may have nothing left to do
// but links. They come without a blob, so that the play has to last until the
// tracker has judged it, and what it judges by has to be new.
func TestLinksMadeJustBeforeTheVerdictAreSeen(t *testing.T) {
	c := sharingCache(t)
	c.run(42, "python3", "train.py")
	c.lock(42, "new")
	c.partial("new", ".01234567.incomplete", 1000)
	c.look()
	c.finish("new", ".01234567.incomplete", commitB, "b.bin")
	c.kill(42)
	over := c.now.Add(quiet)
	for c.now.Before(over) {
		if l := c.look(); !l.InPlay || l.Missing != 1 {
			t.Fatalf("%v before the verdict: %+v", over.Sub(c.now), l)
		}
	}
	c.link("old", commitB, "a.bin")
	if l := c.look(); l.Proof != ProvenByListing {
		t.Errorf("linked: %+v", l)
	}
}

func TestWhatLacksOnlyLinksIsOverBehindTheVerdict(t *testing.T) {
	c := sharingCache(t)
	c.whole("new", 1000, commitB, "b.bin")
	if l := c.look(); !l.InPlay || l.Missing != 1 {
		t.Fatalf("look %+v", l)
	}
	c.now = c.now.Add(2 * quiet)
	if l := c.look(); !l.InPlay || l.Missing != 1 {
		t.Errorf("it was over before: %+v", l)
	}
	c.conclude()
	if l := c.look(); l.InPlay {
		t.Errorf("it goes on: %+v", l)
	}
}

// A client that wants one of two paths with the same content has brought the
// blob of both.
func TestOfTwoPathsOfOneBlobEachHasToBeLinked(t *testing.T) {
	for what, tt := range map[string]struct {
		link          bool
		missing, done int
	}{
		"one is, and the other wasn't wanted": {true, 1, 1},
		"neither is yet":                      {false, 0, 2},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "copy/twin.bin": {"a", mib}})
			c.run(42, "python3", "train.py")
			c.lock(42, "a")
			c.partial("a", ".01234567.incomplete", mib)
			c.look()
			c.must(os.Rename(c.in(demo, "blobs", etag("a")+".01234567.incomplete"), c.in(demo, "blobs", etag("a"))))
			if tt.link {
				c.link("a", commitA, "a.bin")
			}
			c.kill(42)
			for range 2 {
				l := c.quietly()
				if l.Missing != tt.missing || l.FilesDone != tt.done || l.Files != 2 || l.Proof != NoProof || l.Bytes != mib {
					t.Fatalf("look %+v", l)
				}
				c.restart(l.Checkpoint)
			}
			if tt.link {
				c.link("a", commitA, "copy/twin.bin")
				if l := c.look(); l.Proof != ProvenByListing {
					t.Fatalf("linked: %+v", l)
				}
			}
		})
	}
}
