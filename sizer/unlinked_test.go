package sizer

import (
	"slices"
	"testing"
	"time"
)

// swift-huggingface holds the lock of a blob until it is linked, and makes the
// snapshot's directory only then.
func TestABlobWhoseLockIsHeldCountsAloneUntilItsLinkTellsTheRevision(t *testing.T) {
	c := newCache(t)
	c.whole("config", 990, commitA, "config.json")
	c.whole("a", mib, commitA, "model.safetensors")
	c.age()
	c.old("snapshots", commitA)
	c.watch(time.Now().Add(-time.Second), nil)
	c.run(42, "swift")
	c.lock(42, "b")
	c.write(c.in(demo, "blobs", etag("b")), mib+1)
	c.expect("before its link", want{play: true, bytes: mib + 1, arrived: mib + 1, done: 1})
	c.old("blobs") // so that its names are not read again
	for range 3 {
		c.expect("still before it", want{play: true, bytes: mib + 1, done: 1})
	}
	c.link("b", commitB, "model.safetensors")
	if l := c.look(); !slices.Equal(l.Revisions, []string{commitB}) || l.Bytes != mib+1 || l.Base != 0 {
		t.Fatalf("look %+v", l)
	}
}
