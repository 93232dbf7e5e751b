package sizer

import (
	"os"
	"testing"
	"time"
)

// Who came and went unseen may leave a play without a downloader; what others
// left before is not its partials.
func TestWhatLayThereBeforeAPlayIsNotTakenUpAfterARestart(t *testing.T) {
	for what, tt := range map[string]struct {
		written time.Duration // before now
		bytes   int64
	}{
		"written to before the play": {10 * time.Second, 1000},
		"... a moment before":        {5500 * time.Millisecond, 1000},
		"written to in the play":     {time.Second, 1000 + mib},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			left := c.partial("a", ".00000000.incomplete", mib)
			c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}, "c.bin": {"c", 1000}})
			c.whole("c", 1000, commitA, "c.bin")
			then := time.Now().Add(-tt.written)
			must(t, os.Chtimes(left, then, then))
			c.opts.Opened = time.Now().Add(time.Second)
			began := time.Now().Add(-5 * time.Second)
			c.restart(Memory{
				Play: newPlay(began, began).id, Since: time.Now(), From: began,
				Revisions: []string{commitA}, Bytes: 1000,
			})
			if l := c.look(); l.Bytes != tt.bytes {
				t.Fatalf("look %+v", l)
			}
		})
	}
}
