package sizer

import (
	"os"
	"testing"
	"time"

	"progressd/fsys"
)

func TestABlobThatIsFetchedAgainAndIsToBeLinkedProvesNothing(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	c.whole("a", mib, commitA, "a.bin")
	c.whole("b", mib, commitA, "b.bin")
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	linked, err := os.Lstat(c.in(demo, "snapshots", commitA, "a.bin"))
	must(t, err)
	for again := linked; again.ModTime().Sub(linked.ModTime()) <= 2*fsys.Tick; {
		must(t, os.RemoveAll(c.in(demo, "blobs", etag("a")+".part")))
		c.partial("a", ".part", mib)
		again, err = os.Stat(c.in(demo, "blobs", etag("a")+".part"))
		must(t, err)
	}
	must(t, os.Rename(c.in(demo, "blobs", etag("a")+".part"), c.in(demo, "blobs", etag("a"))))
	if l := c.look(); !l.InPlay || l.Proof != NoProof {
		t.Fatalf("look %+v", l)
	}
	c.now = c.now.Add(lockMemory)
	if l := c.look(); l.Proof != ProvenByListing {
		t.Fatalf("nobody has linked it elsewhere: %+v", l)
	}
}

func TestWhatOthersLeftDoesNotKeepAListingFromProving(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".00000000.incomplete", 1000)
	c.restart(c.look().Checkpoint)
	c.look()
	c.list(commitB, map[string]listedFile{"b.bin": {"b", mib}})
	c.run(43, "python3", "train.py")
	c.lock(43, "b")
	c.partial("b", ".11111111.incomplete", 1000)
	if l := c.look(); l.Total != mib || l.Bytes != 1000 {
		t.Fatalf("look %+v", l)
	}
}
