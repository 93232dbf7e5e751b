package sizer

import (
	"os"
	"path/filepath"
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
			c.restart(Checkpoint{
				Since: time.Now(), From: began,
				Facts: Facts{Play: newPlay(began, began).Play, Revisions: []string{commitA}, Bytes: 1000},
			})
			if l := c.look(); l.Bytes != tt.bytes {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

// A client with locks, or with partials of its own, writes nothing into the
// root: a stranger's file there says nothing about its download.
func TestAStrangersFileIsNoneOfADownloadThatIsKnownOverARestart(t *testing.T) {
	for what, known := range map[string]bool{"its partial was seen": true, "nothing of it was seen": false} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			must(t, os.MkdirAll(filepath.Join(c.path, "models--org--other"), 0o755))
			if known {
				c.partial("a", ".incomplete", 1000)
				c.look()
				c.finish("a", ".incomplete", commitA, "a.bin")
			} else {
				c.whole("a", 1000, commitA, "a.bin")
			}
			c.restart(c.look().Checkpoint)
			c.write(filepath.Join(c.path, "tmp", "abcdefg"), mib)
			c.look()
			c.write(filepath.Join(c.path, "tmp", "abcdefg"), 2*mib)
			if l := c.look(); l.Unseen == known || (l.Unclaimed > 0) == known {
				t.Fatalf("look %+v", l)
			}
		})
	}
}
