package sizer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// A folder that is renamed, or comes from another root, brings nothing that was
// fetched there.
func TestWhatWasMovedInWasNotDownloaded(t *testing.T) {
	const aside = demo + ".bak"
	words := []string{"a", "b"}
	for what, move := range map[string]func(c *cache) (folder string){
		"renamed aside": func(c *cache) string {
			must(c.t, os.Rename(c.in(demo), c.in(aside)))
			return aside
		},
		"renamed aside, and the daemon started anew": func(c *cache) string {
			must(c.t, os.Rename(c.in(demo), c.in(aside)))
			c.root = NewRoot(c.opts)
			return aside
		},
		"renamed to what was there before": func(c *cache) string {
			c.whole("other", mib, commitA, "other.bin")
			must(c.t, os.Rename(c.in(demo), c.in(aside)))
			c.lookAt(demo)
			must(c.t, os.Rename(c.in(aside), c.in(demo)))
			return demo
		},
		"away and back": func(c *cache) string {
			away := filepath.Join(c.t.TempDir(), demo)
			must(c.t, os.Rename(c.in(demo), away))
			c.lookAt(demo)
			must(c.t, os.Rename(away, c.in(demo)))
			return demo
		},
		"its directories put into a new folder": func(c *cache) string {
			c.root.Came(aside, time.Now())
			must(c.t, os.Mkdir(c.in(aside), 0o755))
			for _, dir := range []string{"blobs", "snapshots"} {
				must(c.t, os.Rename(c.in(demo, dir), c.in(aside, dir)))
			}
			return aside
		},
		"its files put into a new folder": func(c *cache) string {
			c.root.Came(aside, time.Now())
			must(c.t, os.MkdirAll(c.in(aside, "blobs"), 0o755))
			must(c.t, os.Rename(c.in(demo, "snapshots"), c.in(aside, "snapshots")))
			for _, word := range words {
				must(c.t, os.Rename(c.in(demo, "blobs", etag(word)), c.in(aside, "blobs", etag(word))))
			}
			return aside
		},
		"copied with its times, as mv does from another file system": func(c *cache) string {
			must(c.t, os.MkdirAll(c.in(aside, "blobs"), 0o755))
			for _, word := range words {
				path, then := c.in(aside, "blobs", etag(word)), time.Now().Add(-10*time.Second)
				c.write(path, mib)
				must(c.t, os.Chtimes(path, then, then))
			}
			return aside
		},
	} {
		for how, whole := range map[string]bool{"whole": true, "in part": false} {
			t.Run(what+", "+how, func(t *testing.T) {
				c := newCache(t)
				c.step = 0
				for _, word := range words {
					c.whole(word, mib, commitA, word+".bin")
				}
				if !whole {
					c.partial("c", ".incomplete", mib)
				}
				if l := c.look(); !l.InPlay {
					t.Fatalf("look %+v", l)
				}
				c.ticks()
				folder := move(c)
				c.ticks()
				for range 2 {
					if l, _ := c.lookAt(folder); l.InPlay {
						t.Fatalf("look %+v", l)
					}
				}
				c.ticks()
				c.write(c.in(folder, "blobs", etag("new")), 3*mib)
				if l, _ := c.lookAt(folder); !l.InPlay || l.Arrived != 3*mib {
					t.Errorf("what comes later: look %+v", l)
				}
			})
		}
	}
}

// ticks waits for more than one tick of the file system's clock.
func (c *cache) ticks() {
	for range 4 {
		c.nextTick()
	}
}

// What is in a folder that is made while the root is watched has come there.
func TestWhatComesWithItsFolderIsNew(t *testing.T) {
	c := newCache(t)
	c.step = 0
	c.nextTick()
	c.root.Came(demo, time.Now().Add(-20*time.Millisecond))
	c.whole("a", mib, commitA, "a.bin")
	c.expect("new", want{play: true, bytes: mib, arrived: mib, done: 1})
}

// evenSeconds is a file system that knows no others, as FAT: what was done since then got
// the last one.
type evenSeconds struct {
	fsys.Real

	since time.Time
}

func (e evenSeconds) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	err := e.Real.Fstatat(at, name, st, flags)
	for _, stamp := range []*unix.Timespec{&st.Mtim, &st.Ctim} {
		if last := e.since.Truncate(2 * time.Second); time.Unix(stamp.Unix()).After(last) {
			*stamp = unix.NsecToTimespec(last.UnixNano())
		}
	}
	return err
}

func (evenSeconds) Birth(int, string) int64 { return 0 }

func TestWhatComesWithItsFolderIsNewWhereTimesAreCoarse(t *testing.T) {
	for _, phase := range []time.Duration{100 * time.Millisecond, 900 * time.Millisecond, 1100 * time.Millisecond, 1900 * time.Millisecond} {
		absent := time.Now().Truncate(2 * time.Second).Add(phase - 2*time.Second)
		c := newCache(t)
		c.step = 0
		c.opts.FS, c.opts.Since, c.opts.Opened = evenSeconds{since: absent}, absent.Add(-time.Hour), absent.Add(-time.Hour)
		c.root = NewRoot(c.opts)
		c.root.Came(demo, absent)
		c.whole("a", mib, commitA, "a.bin")
		if l := c.look(); l.Base != 0 || l.Bytes != mib {
			t.Errorf("%v after an even second: look %+v", phase, l)
		}
	}
}
