package sizer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/fsys"
)

const other = "models--org--other"

// atRest is a cache of two repositories that have a file each and of which nothing
// more is waited for; births of files are compared with the time of looks.
func atRest(t *testing.T) *cache {
	t.Helper()
	c := newCache(t)
	c.step = 0
	c.whole("config", 700, commitA, "config.json")
	c.look()
	c.conclude()
	must(t, os.MkdirAll(c.in(other, "blobs"), 0o755))
	if _, pace := c.lookAt(other); pace != Idle {
		t.Fatalf("pace %v", pace)
	}
	if l, pace := c.lookAt(demo); l.InPlay || pace != Idle {
		t.Fatalf("pace %v: %+v", pace, l)
	}
	c.stirs()
	return c
}

// stirs expects that those are to be looked at.
func (c *cache) stirs(folders ...string) {
	c.t.Helper()
	got, more := c.root.Stirred(time.Now())
	if !slices.Equal(got, folders) {
		c.t.Fatalf("stirred are %q, want %q", got, folders)
	}
	// Who isn't asked any more hears of a file when its name comes, and of no other.
	names, err := filepath.Glob(filepath.Join(c.path, "tmp*"))
	if c.must(err); more != (len(names) > 0) {
		c.t.Fatalf("more is %t, with %q in the root", more, names)
	}
}

// besidesIn makes a process hold the lock that huggingface_hub before 0.19 puts
// beside the blob.
func (c *cache) besidesIn(folder string, pid int, word string) {
	c.t.Helper()
	c.lockAt(c.in(folder, "blobs", etag(word)+".lock"), pid, word)
}

// Weights that come to a repository at rest are written into the root by old
// clients: nothing in the repository tells of them.
func TestAFileInTheRootStirsTheRepositoryThatItIsFor(t *testing.T) {
	for what, begin := range map[string]func(c *cache) string{
		"huggingface_hub 0.19 to 0.22": func(c *cache) string {
			c.lock(42, "weights")
			return c.temp("abcdefgh", mib)
		},
		"and before": func(c *cache) string {
			c.besidesIn(demo, 42, "weights")
			c.age() // it lay there from an attempt before
			return c.temp("abcdefgh", mib)
		},
		"a modern client is at the other repository": func(c *cache) string {
			c.run(43, "python3", "y.py")
			c.write(c.in(other, "blobs", etag("others")+".incomplete"), kib)
			c.lockIn(other, 43, "others")
			c.lookAt(other)
			c.lock(42, "weights")
			return c.temp("abcdefgh", mib)
		},
	} {
		t.Run(what, func(t *testing.T) {
			c := atRest(t)
			c.run(42, "python3", "x.py")
			path := begin(c)
			if got, more := c.root.Stirred(time.Now()); !slices.Contains(got, demo) || !more {
				t.Fatalf("stirred are %q, more is %t", got, more)
			}
			if l, pace := c.lookAt(demo); l.Partials != 1 || l.Bytes < mib || pace != Fast {
				t.Fatalf("pace %v: %+v", pace, l)
			}
			c.write(path, 2*mib)
			if l := c.look(); l.Arrived != mib || !l.Locked {
				t.Fatalf("look %+v", l)
			}
			if _, pace := c.lookAt(other); pace == Slow {
				t.Error("the other repository awaits something")
			}
		})
	}
}

func TestAFileOfOneThatTakesNoLockStirsTheOnlyRepository(t *testing.T) {
	c := atRest(t)
	c.loose("aB3dE5g", mib)
	c.stirs() // whose it is nobody can tell
	c = atRest(t)
	must(t, os.RemoveAll(c.in(other)))
	c.lookAt(other)
	c.loose("aB3dE5g", mib)
	c.stirs(demo)
	c.expect("counted", want{play: true, bytes: mib, arrived: mib, partials: 1})
	c.stirs()
	c.loose("Z000000", 0)
	c.stirs(demo)
}

// What a dead client has left in the root stirs nobody for long.
func TestALeftoverInTheRootCostsNothingAfterAWhile(t *testing.T) {
	c := atRest(t)
	c.run(42, "python3", "x.py")
	c.temp("leftover", mib)
	c.stirs()
	c.lock(42, "weights")
	c.stirs(demo)
	if got, _ := c.root.Stirred(time.Now().Add(2 * grace)); len(got) > 0 {
		t.Errorf("stirred are %q", got)
	}
}

// Two who write into the root at a time: neither can be told from the other, and
// both are looked at until one of them can.
func TestAFileThatOneOfTwoMayHaveMadeIsAwaited(t *testing.T) {
	c := atRest(t)
	c.run(42, "python3", "x.py")
	c.run(43, "python3", "y.py")
	c.besidesIn(demo, 42, "weights")
	c.besidesIn(other, 43, "others")
	path := c.temp("abcdefgh", mib)
	c.stirs(demo, other)
	for _, folder := range []string{demo, other} {
		if l, pace := c.lookAt(folder); l.InPlay || pace != Slow {
			t.Fatalf("pace %v: %+v", pace, l)
		}
	}
	c.unlock("others")
	for at := time.Now(); time.Since(at) < downloader.LocksAge; { // as long as one reading serves
		c.nextTick()
	}
	if l := c.look(); l.InPlay { // the other one may have left it behind
		t.Fatalf("look %+v", l)
	}
	c.write(path, 2*mib)
	if l, pace := c.lookAt(demo); l.Bytes < 2*mib || pace != Fast {
		t.Fatalf("pace %v: %+v", pace, l)
	}
	if _, pace := c.lookAt(other); pace != Idle {
		t.Errorf("pace %v", pace)
	}
}

// force_download fetches what is there: its lock is no bare one, and what counts
// is what has come anew.
func TestWhatIsThereIsFetchedAgainIntoTheRoot(t *testing.T) {
	c := newCache(t)
	c.step = 0
	c.whole("weights", 5*mib, commitA, "model.bin")
	c.look()
	c.conclude()
	c.run(42, "python3", "x.py")
	c.lock(42, "weights")
	path := c.temp("abcdefgh", mib)
	c.stirs(demo)
	if l, pace := c.lookAt(demo); l.InPlay || pace != Slow {
		t.Fatalf("pace %v: %+v", pace, l)
	}
	c.write(path, 2*mib)
	c.expect("it grows", want{play: true, bytes: 2 * mib, arrived: 2 * mib, partials: 1})
	must(t, os.Rename(path, c.in(demo, "blobs", etag("weights"))))
	c.expect("it is there", want{play: true, bytes: 2 * mib, done: 1})
	c.unlock("weights")
	c.expect("and nothing more", want{play: true, bytes: 2 * mib, done: 1})
}

// Beside the blobs of how many repositories lock files are searched for is bounded;
// what wasn't found may be anywhere.
func TestTheSearchForLocksIsBounded(t *testing.T) {
	c := newCache(t)
	for i := range 10 {
		c.besidesIn(fmt.Sprintf("models--org--m%d", i), 42, fmt.Sprint("w", i))
	}
	c.lockAt(filepath.Join(c.path, "of-no-repository.lock"), 43, "nowhere")
	c.root.Stirred(c.now) // learns what file system it is
	top, err := fsys.Open(c.root.opts.FS, c.path)
	must(t, err)
	defer top.Close()
	p := &pass{root: c.root, repo: &repo{}, now: c.now, top: top}
	for left, want := range map[int]int{5: 5, maxLocks: 10} {
		table, err := c.opts.Procs.Locks(c.now, 0)
		must(t, err)
		found := 0
		s := p.newLockSearch(table, func(string, string, int) bool {
			found++
			return true
		})
		s.left = left
		if all := s.run(); found != want || all != (left == maxLocks) {
			t.Errorf("bound %d: found %d, and all: %v", left, found, all)
		}
	}
}
