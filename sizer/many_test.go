package sizer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// many is more than are kept one by one.
	many      = maxLinks + 100
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

// inMemory has a test make its thousands of files where that takes no time: on a
// disk it takes a millisecond each.
func inMemory(t *testing.T) {
	t.Helper()
	const memory = "/dev/shm"
	if unix.Access(memory, unix.W_OK) == nil {
		t.Setenv("TMPDIR", memory)
	}
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
	inMemory(t)
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			l := c.followMany(k, many)
			if kept := len(c.root.repos[k.folder].play.files); kept > maxKept+many/10 {
				t.Errorf("%d files are kept", kept)
			}
			c.restart(l.Checkpoint)
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
	inMemory(t)
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

// listMany lists many files, and the one in flight.
func (c *cache) listMany(k kind) (total int64) {
	c.t.Helper()
	files := map[string]listedFile{"last.bin": {"last", 1}}
	for i := range many {
		files[manyPath(i)] = listedFile{fmt.Sprint(i), eachSize}
	}
	if k.folder == llama {
		c.listLocal(commitA, files)
	} else {
		c.list(commitA, files)
	}
	return many*eachSize + 1
}

// finishLast ends what is in flight.
func (c *cache) finishLast(k kind) {
	c.t.Helper()
	if k.folder == llama {
		c.put("last.bin", "last", 1, commitA)
		return
	}
	c.finish("last", ".incomplete", commitA, "last.bin")
	c.unlock("last")
}

func TestALongListingHasATotalAndIsProven(t *testing.T) {
	inMemory(t)
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			total := c.listMany(k)
			l := c.followMany(k, many)
			if l.Total != total || l.Files != many+1 || l.Missing != 1 || l.TotalSource != FromListingAtMost || l.Proof != NoProof {
				t.Fatalf("total %d in %d files from %q, %d missing, proof %q", l.Total, l.Files, l.TotalSource, l.Missing, l.Proof)
			}
			c.restart(l.Checkpoint)
			l, _ = c.lookAt(k.folder)
			c.counts("after a restart", l, many)
			if l.Total != total || l.Missing != 1 {
				t.Errorf("after a restart: total %d, %d missing", l.Total, l.Missing)
			}
			c.finishLast(k)
			l, _ = c.lookAt(k.folder)
			for range 3 { // its links are found by the next
				if l.Proof == NoProof {
					l, _ = c.lookAt(k.folder)
				}
			}
			if l.Proof != ProvenByListing || l.Bytes != total || l.FilesDone != many+1 || l.Missing != 0 {
				t.Errorf("all there: %d bytes in %d files, %d missing, proof %q", l.Bytes, l.FilesDone, l.Missing, l.Proof)
			}
		})
	}
}

// Where links can't be made each file lies in the snapshot itself. Of many that have one
// size nothing but their paths tells them apart.
func TestALongListingIsProvenWhereLinksCannotBeMade(t *testing.T) {
	inMemory(t)
	c := newCache(t)
	k := kind{folder: demo, hold: kinds["cache"].hold, bring: func(c *cache, i int) {
		path := c.in(demo, "snapshots", commitA, manyPath(i))
		c.must(os.MkdirAll(filepath.Dir(path), 0o755))
		c.must(os.WriteFile(path, make([]byte, eachSize), 0o644))
		if i%100 == 0 { // it was there as a blob, and is copied
			c.must(os.MkdirAll(c.in(demo, "blobs"), 0o755))
			c.must(os.WriteFile(c.in(demo, "blobs", etag(fmt.Sprint(i))), make([]byte, eachSize), 0o644))
		}
	}}
	total := c.listMany(k)
	l := c.followMany(k, many)
	if l.Total != total || l.Files != many+1 || l.Missing != 1 || l.Proof != NoProof {
		t.Fatalf("total %d in %d files, %d missing, proof %q", l.Total, l.Files, l.Missing, l.Proof)
	}
	c.must(os.Rename(c.in(demo, "blobs", etag("last")+".incomplete"), c.in(demo, "snapshots", commitA, "last.bin")))
	c.unlock("last")
	for range 3 {
		if l.Proof == NoProof {
			l = c.look()
		}
	}
	if l.Proof != ProvenByListing || l.Bytes != total || l.FilesDone != many+1 || l.Missing != 0 {
		t.Errorf("all there: %d bytes in %d files, %d missing, proof %q", l.Bytes, l.FilesDone, l.Missing, l.Proof)
	}
}

// A client that finds all blobs there makes links below the snapshot's own directory
// only, and nothing comes to blobs/.
func TestLinksBelowTheSnapshotAreFoundWhereNoBlobComes(t *testing.T) {
	inMemory(t)
	c := newCache(t)
	k := kinds["cache"]
	total := c.listMany(k)
	k.bring(c, 0)
	k.hold(c)
	for i := range many {
		blob := c.in(demo, "blobs", etag(fmt.Sprint(i)))
		c.must(os.WriteFile(blob, make([]byte, eachSize), 0o644))
	}
	before := c.now.Add(-time.Hour)
	for _, dir := range []string{"blobs", "snapshots/" + commitA} {
		c.must(os.Chtimes(c.in(demo, dir), before, before))
	}
	c.look()
	for i := 1; i < many; i++ {
		c.link(fmt.Sprint(i), commitA, manyPath(i))
	}
	c.now = c.now.Add(2 * checkEvery)
	if l := c.look(); l.Total != total || l.Bytes != total || l.Missing != 1 {
		t.Errorf("total %d, %d bytes, %d missing", l.Total, l.Bytes, l.Missing)
	}
}

func TestAFileThatIsNotAsALongListingSaysProvesNothing(t *testing.T) {
	inMemory(t)
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.listMany(k)
			k.hold(c)
			for i := range many {
				k.bring(c, i)
			}
			path := c.in(demo, "blobs", etag("77"))
			if k.folder == llama {
				path = c.in(llama, manyPath(77))
			}
			c.must(os.WriteFile(path, make([]byte, eachSize+1), 0o644))
			c.lookAt(k.folder)
			c.finishLast(k)
			for range 5 {
				if l, _ := c.lookAt(k.folder); l.Proof != NoProof || !l.InPlay {
					t.Fatalf("proof %q, in play %v", l.Proof, l.InPlay)
				}
			}
		})
	}
}

func TestWhatIsWantedOfALongListingIsItsTotal(t *testing.T) {
	c := newCache(t)
	k := kinds["local"]
	c.listMany(k)
	c.run(42, "hf", "download", "org/demo", "--local-dir=/x", "--include", "data/0001/*")
	c.holdLocal(42, manyPath(10))
	c.fetch(manyPath(10), "10", 1)
	l, _ := c.lookAt(llama)
	if l.Total != perFolder*eachSize || l.Files != perFolder || l.Missing != perFolder || l.TotalSource != FromListing {
		t.Errorf("look %+v", l)
	}
	for i := range perFolder {
		if i > 0 {
			k.bring(c, perFolder+i)
		}
	}
	c.put(manyPath(10), "10", eachSize, commitA)
	c.kill(42)
	if l, _ = c.lookAt(llama); l.Proof != ProvenByRequest {
		t.Errorf("look %+v", l)
	}
}

// Two revisions with long listings come at one time. Neither is proven, and that nothing
// comes any more proves nothing, either.
func TestOfTwoLongListingsNoneIsCompleteByQuiet(t *testing.T) {
	inMemory(t)
	c := newCache(t)
	k := kinds["cache"]
	c.listMany(k)
	k.hold(c)
	for i := range 300 {
		k.bring(c, i)
	}
	c.look()
	c.nextTick()
	c.must(os.WriteFile(c.in(demo, "trees", commitB+".json"), []byte(bigListing(many)), 0o644))
	c.partial("a", ".incomplete", mib)
	c.lock(7, "a")
	c.look()
	c.finish("a", ".incomplete", commitB, "a.bin")
	c.unlock("a")
	c.must(os.Remove(c.in(demo, "blobs", etag("last")+".incomplete")))
	c.unlock("last")
	c.kill(7)
	var l Look
	for range 3 {
		l = c.look()
	}
	if len(l.Revisions) != 2 || l.Doubtful == 0 || l.Proof != NoProof {
		t.Errorf("of %v %d are doubtful, proof %q", l.Revisions, l.Doubtful, l.Proof)
	}
}
