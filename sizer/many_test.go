package sizer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	// many is more than are kept one by one.
	many      = maxLinks + 500
	eachSize  = 5000
	perFolder = 10 // so in more directories than was looked at
)

func manyPath(i int) string {
	return fmt.Sprintf("data/%04d/f%05d.txt", i/perFolder, i)
}

// drop puts a finished file and its metadata in place, as one that was fetched
// between two looks.
func (c *cache) drop(path, word, commit string) {
	c.t.Helper()
	c.must(os.MkdirAll(filepath.Dir(c.in(llama, path)), 0o755))
	c.must(os.WriteFile(c.in(llama, path), make([]byte, eachSize), 0o644))
	c.note(path, word, commit)
}

// placeBlob puts a finished blob and its link in place.
func (c *cache) placeBlob(word, commit, path string) {
	c.t.Helper()
	blob := c.in(demo, "blobs", etag(word))
	c.must(os.MkdirAll(filepath.Dir(blob), 0o755))
	c.must(os.WriteFile(blob, make([]byte, eachSize), 0o644))
	c.link(word, commit, path)
}

// A kind is a download of very many small files without a listing.
type kind struct {
	folder string
	bring  func(c *cache, i int)
	hold   func(c *cache)
	remove func(c *cache, i int)
}

var kinds = map[string]kind{
	"local": {
		folder: llama,
		bring:  func(c *cache, i int) { c.drop(manyPath(i), fmt.Sprint(i), commitA) },
		hold:   func(c *cache) { c.fetch("last.bin", "last", 1) },
		remove: func(c *cache, i int) { c.must(os.Remove(c.in(llama, manyPath(i)))) },
	},
	"cache": {
		folder: demo,
		bring:  func(c *cache, i int) { c.placeBlob(fmt.Sprint(i), commitA, manyPath(i)) },
		hold: func(c *cache) {
			c.run(7, "python3", "train.py")
			c.lock(7, "last")
			c.partial("last", ".incomplete", 1)
		},
		remove: func(c *cache, i int) { c.must(os.Remove(c.in(demo, "blobs", etag(fmt.Sprint(i))))) },
	},
}

// followMany brings files in steps, and holds each look against what came.
func (c *cache) followMany(k kind, files int) (last Look) {
	c.t.Helper()
	k.hold(c)
	arrived := int64(0)
	for came := 0; came < files; {
		for range files / 10 {
			k.bring(c, came)
			came++
		}
		last, _ = c.lookAt(k.folder)
		arrived += last.Arrived
		c.counts(fmt.Sprintf("after %d files", came), last, came)
		if arrived != last.Bytes {
			c.t.Fatalf("after %d files %d bytes are there and %d have arrived", came, last.Bytes, arrived)
		}
		c.now = c.now.Add(settledAfter)
	}
	return last
}

// counts holds a look against so many files beside one in flight.
func (c *cache) counts(what string, l Look, files int) {
	c.t.Helper()
	if want := int64(files)*eachSize + 1; l.Unreadable != nil || !l.InPlay || l.Bytes != want || l.FilesDone != files || l.Base != 0 || l.Partials != 1 || !l.Locked {
		c.t.Fatalf("%s: %d bytes in %d files, base %d, %d partials, locked %v, %v; want %d bytes\n%s",
			what, l.Bytes, l.FilesDone, l.Base, l.Partials, l.Locked, l.Unreadable, want, c.log)
	}
}

func TestManySmallFilesAreCountedToTheLast(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			l := c.followMany(k, many)
			if kept := len(c.root.repos[k.folder].play.files); kept > maxKept+many/10 {
				t.Errorf("%d files are kept", kept)
			}
			c.restart(l.Memory)
			again, _ := c.lookAt(k.folder)
			c.counts("after a restart", again, many)
			if again.Arrived != 0 {
				t.Errorf("after a restart %d arrived", again.Arrived)
			}
			for i := range 10 {
				k.remove(c, 100*i)
			}
			c.now = c.now.Add(2 * recountAfter)
			again, _ = c.lookAt(k.folder)
			if again.Bytes != int64(many-10)*eachSize+1 || again.Arrived != 0 {
				t.Errorf("ten were removed: %d bytes, %d arrived", again.Bytes, again.Arrived)
			}
			for i := range 10 {
				k.bring(c, many+i)
			}
			again, _ = c.lookAt(k.folder)
			if again.Bytes != int64(many)*eachSize+1 || again.Arrived != 10*eachSize {
				t.Errorf("ten more came: %d bytes, %d arrived", again.Bytes, again.Arrived)
			}
		})
	}
}

// What lay there before the download is no news.
func TestManySmallFilesOfBeforeAreTheBase(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			for i := range many {
				k.bring(c, i)
			}
			c.age()
			c.watch(time.Now().Add(-time.Second), nil)
			c.lookAt(k.folder)
			k.hold(c)
			l, _ := c.lookAt(k.folder)
			if l.Bytes != many*eachSize+1 || l.Base != many*eachSize || l.Arrived != 1 || l.FilesDone != many {
				t.Errorf("%d bytes in %d files, base %d, arrived %d", l.Bytes, l.FilesDone, l.Base, l.Arrived)
			}
		})
	}
}
