package sizer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"progressd/hfcache"
)

const llama = "llama"

// staged is a path beneath the stage of the directory.
func (c *cache) staged(parts ...string) string {
	return c.in(llama, append([]string{hfcache.LocalStage}, parts...)...)
}

// local passes once over the directory and holds the facts against w.
func (c *cache) local(what string, w want) Look {
	c.t.Helper()
	l, _ := c.lookAt(llama)
	got := want{l.InPlay, l.Bytes, l.Base, l.Arrived, l.Total, l.FilesDone, l.Files, l.Partials, l.Missing, l.Proof}
	if got != w {
		c.t.Fatalf("%s:\n got %+v\nwant %+v\nlook %+v", what, got, w, l)
	}
	return l
}

// listLocal writes the tree file of a commit.
func (c *cache) listLocal(commit string, files map[string]listedFile) {
	c.t.Helper()
	c.list(commit, files)
	c.must(os.MkdirAll(c.in(llama, hfcache.LocalTrees), 0o755))
	c.must(os.Rename(c.in(demo, "trees", commit+".json"), c.in(llama, hfcache.LocalTrees, commit+".json")))
	c.must(os.RemoveAll(c.in(demo)))
}

// fetch extends the partial of a file, as the newer clients name it.
func (c *cache) fetch(path, word string, size int) string {
	c.t.Helper()
	dir, file := filepath.Split(path)
	partial := c.staged(dir, hfcache.LocalHash(file)+"."+etag(word)+".01234567.incomplete")
	if c.locks[path] == "" {
		c.run(7, "python3", "train.py")
		c.holdLocal(7, path)
	}
	c.write(partial, size)
	return partial
}

// put moves a partial to its place; note writes its metadata.
func (c *cache) put(path, word string, size int, commit string) {
	c.t.Helper()
	partial := c.fetch(path, word, size)
	c.must(os.MkdirAll(filepath.Dir(c.in(llama, path)), 0o755))
	c.must(os.Rename(partial, c.in(llama, path)))
	c.note(path, word, commit)
	c.unlock(path)
}

func (c *cache) note(path, word, commit string) {
	c.t.Helper()
	c.must(os.MkdirAll(filepath.Dir(c.staged(path)), 0o755))
	c.must(os.WriteFile(c.staged(path+".metadata"), fmt.Appendf(nil, "%s\n%s\n%f\n", commit, etag(word), 1.5), 0o644))
}

// holdLocal makes a process hold the lock of a file.
func (c *cache) holdLocal(pid int, path string) {
	c.t.Helper()
	c.write(c.staged(path+".lock"), 0)
	var st syscall.Stat_t
	c.must(syscall.Stat(c.staged(path+".lock"), &st))
	c.locks[path] = fmt.Sprintf("1: FLOCK  ADVISORY  WRITE %d %02x:%02x:%d 0 EOF\n", pid, major(st.Dev), minor(st.Dev), st.Ino)
	c.writeLocks()
}

func TestALocalDirIsFollowedFromItsFirstPartialToItsProof(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo", "--local-dir", "llama")
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", 3 * mib}, "sub/b.bin": {"b", 2 * mib}, "twin.bin": {"a", 3 * mib}})
	c.local("a listing alone is no download", want{})
	c.holdLocal(42, "a.bin")
	c.local("a lock alone is no download", want{})
	c.fetch("a.bin", "a", 0)
	c.local("an empty partial begins it", want{play: true, total: 8 * mib, files: 3, missing: 3, partials: 1})
	c.fetch("a.bin", "a", mib)
	l := c.local("bytes arrive", want{play: true, bytes: mib, arrived: mib, total: 8 * mib, files: 3, missing: 3, partials: 1})
	if len(l.InFlight) != 1 || l.InFlight[0].Name != "a.bin" || l.TotalSource != FromListing || l.Checkpoint.Name.ID != "org/demo" {
		t.Fatalf("look %+v", l)
	}
	c.put("a.bin", "a", 3*mib, commitA)
	c.local("a finished file", want{play: true, bytes: 3 * mib, arrived: 2 * mib, total: 8 * mib, files: 3, done: 1, missing: 2})
	c.put("twin.bin", "a", 3*mib, commitA)
	c.local("one content under two paths is two files", want{play: true, bytes: 6 * mib, arrived: 3 * mib, total: 8 * mib, files: 3, done: 2, missing: 1})
	c.fetch("sub/b.bin", "b", 2*mib)
	c.local("a partial in a sub-directory", want{play: true, bytes: 8 * mib, arrived: 2 * mib, total: 8 * mib, files: 3, done: 2, missing: 1, partials: 1})
	c.put("sub/b.bin", "b", 2*mib, commitA)
	c.local("all is there", want{play: true, bytes: 8 * mib, total: 8 * mib, files: 3, done: 3, proof: ProvenByListing})
	c.local("then it rests", want{})
}

func TestWhatALocalDirWasAskedForIsItsTotal(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo", "--local-dir=/x", "--include", "*.safetensors")
	c.listLocal(commitA, map[string]listedFile{"a.safetensors": {"a", mib}, "b.bin": {"b", 9 * mib}})
	c.holdLocal(42, "a.safetensors")
	c.fetch("a.safetensors", "a", mib/2)
	c.local("only what matches", want{play: true, bytes: mib / 2, arrived: mib / 2, total: mib, files: 1, missing: 1, partials: 1})
	c.put("a.safetensors", "a", mib, commitA)
	c.local("proven", want{play: true, bytes: mib, arrived: mib / 2, total: mib, files: 1, done: 1, proof: ProvenByRequest})
}

// A command line with --local-dir says nothing of a cache, nor the other way.
func TestARequestIsBelievedOnlyWhereItIsAbout(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo", "--local-dir", "x", "--include", "a.bin")
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	c.lock(42, "a")
	c.partial("a", ".01234567.incomplete", mib)
	if l := c.look(); l.WantedKnown || l.Total != 2*mib || l.Downloaders[0].Request != nil {
		t.Errorf("in a cache: %+v", l)
	}
	c.run(43, "hf", "download", "org/demo", "--include", "a.bin")
	c.holdLocal(43, "a.bin")
	c.fetch("a.bin", "a", mib)
	if l, _ := c.lookAt(llama); l.WantedKnown || l.Checkpoint.Name.ID != "" {
		t.Errorf("in a directory of its own: %+v", l)
	}
}

func TestASmallModelDoneInALocalDirBetweenTwoLooksIsSeen(t *testing.T) {
	c := newCache(t)
	c.listLocal(commitA, map[string]listedFile{"sub/a.bin": {"a", 10}})
	c.put("sub/a.bin", "a", 10, commitA)
	c.local("perhaps somebody says whose it is", want{})
	c.local("nobody yet", want{})
	c.local("D12", want{play: true, bytes: 10, arrived: 10, total: 10, files: 1, done: 1, proof: ProvenByListing})
	c.local("once", want{})
}

func TestALocalDirThatIsCompleteAtFirstSightIsAtRest(t *testing.T) {
	c := newCache(t)
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", 10}})
	c.put("a.bin", "a", 10, commitA)
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	if l, pace := c.lookAt(llama); l.InPlay || pace != Idle || len(c.root.repos) != 0 {
		t.Fatalf("look %+v pace %v, %d repos kept", l, pace, len(c.root.repos))
	}
}

// Partials beneath sub-directories move no time stamp of the stage itself.
func TestALocalDirWithSubDirectoriesIsLookedAtAtEveryPoll(t *testing.T) {
	c := newCache(t)
	c.put("sub/deep/a.bin", "a", 10, commitA)
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	if l, pace := c.lookAt(llama); l.InPlay || pace != Slow {
		t.Fatalf("look %+v pace %v", l, pace)
	}
	c.fetch("sub/deep/b.bin", "b", mib)
	c.local("found", want{play: true, bytes: mib + 10, base: 10, arrived: mib, done: 1, partials: 1})
}

func TestAFileOfAnOlderRevisionIsNoPartOfTheNewOne(t *testing.T) {
	c := newCache(t)
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	c.put("a.bin", "a", mib, commitA)
	c.put("b.bin", "b", mib, commitA)
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	c.listLocal(commitB, map[string]listedFile{"a.bin": {"new", mib}, "b.bin": {"b", mib}})
	c.note("b.bin", "b", commitB) // found unchanged by the client
	c.must(os.Chtimes(c.in(llama, "b.bin"), time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)))
	c.fetch("a.bin", "new", mib)
	c.local("a file of the right size and the wrong content", want{play: true, bytes: 2 * mib, base: mib, arrived: mib, total: 2 * mib, files: 2, done: 1, missing: 1, partials: 1})
	c.must(os.Remove(c.in(llama, "a.bin")))
	c.put("a.bin", "new", mib, commitB)
	c.local("replaced", want{play: true, bytes: 2 * mib, base: mib, total: 2 * mib, files: 2, done: 2, proof: ProvenByListing})
}

func TestWhatUsersPutIntoALocalDirIsNoDownload(t *testing.T) {
	c := newCache(t)
	c.put("a.bin", "a", mib, commitA)
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	c.local("at rest", want{})
	c.write(c.in(llama, "checkpoint.bin"), mib)
	c.write(c.in(llama, "a.bin"), 2*mib) // edited: its metadata don't vouch for it any more
	later := time.Now().Add(2 * time.Second)
	c.must(os.Chtimes(c.in(llama, "a.bin"), later, later))
	c.write(c.staged("x.lock"), 0)
	c.local("still", want{})
}

func TestAFileBesideItsMetadataThatWasEditedIsNotDone(t *testing.T) {
	c := newCache(t)
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	c.put("a.bin", "a", mib, commitA)
	edited := time.Now().Add(time.Minute)
	c.must(os.Chtimes(c.in(llama, "a.bin"), edited, edited))
	c.fetch("b.bin", "b", mib)
	c.local("the client fetches it again", want{play: true, bytes: mib, arrived: mib, total: 2 * mib, files: 2, missing: 2, partials: 1})
}

func TestWithoutAListingTheMetadataSayWhatBelongsToALocalDir(t *testing.T) {
	c := newCache(t)
	c.put("a.bin", "a", mib, commitA)
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	partial := c.staged("b.bin." + etag("b") + ".incomplete") // as 0.26 names it
	c.run(7, "python3", "train.py")
	c.holdLocal(7, "b.bin")
	c.write(partial, mib)
	c.local("one was there before", want{play: true, bytes: 2 * mib, base: mib, arrived: mib, done: 1, partials: 1})
	c.must(os.Rename(partial, c.in(llama, "b.bin")))
	c.local("in its place before its metadata are", want{play: true, bytes: 2 * mib, base: mib, done: 2})
	c.note("b.bin", "b", commitA)
	c.local("and after", want{play: true, bytes: 2 * mib, base: mib, done: 2})
}

// The client takes a file whose content it has found to be right, and rewrites
// its metadata: that moves no directory.
func TestAFileThatWasFoundUnchangedCountsAtLast(t *testing.T) {
	c := newCache(t)
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	c.put("a.bin", "a", mib, commitB)
	c.note("a.bin", "other", commitB)
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	c.put("b.bin", "b", mib, commitA)
	c.now = c.now.Add(-2 * c.step)
	c.local("nobody to be seen", want{})
	c.local("nor now", want{})
	c.local("not yet", want{play: true, bytes: mib, arrived: mib, total: 2 * mib, files: 2, done: 1, missing: 1})
	c.note("a.bin", "a", commitA)
	c.now = c.now.Add(livelyAfter)
	c.local("all", want{play: true, bytes: 2 * mib, base: mib, total: 2 * mib, files: 2, done: 2, proof: ProvenByListing})
}

func TestALocalDirRemovedAndMadeAgainIsGoneOnce(t *testing.T) {
	c := newCache(t)
	c.fetch("a.bin", "a", mib)
	c.local("begins", want{play: true, bytes: mib, arrived: mib, partials: 1})
	c.must(os.RemoveAll(c.in(llama)))
	if l, _ := c.lookAt(llama); !l.Gone {
		t.Fatalf("removed: %+v", l)
	}
	c.kill(7)
	c.fetch("a.bin", "a", mib)
	c.local("a new one", want{play: true, bytes: mib, arrived: mib, partials: 1})
}

func TestALocalDirGoesOnOverARestart(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo", "--local-dir", "llama")
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", mib}, "sub/b.bin": {"b", mib}})
	c.holdLocal(42, "sub/b.bin")
	c.put("a.bin", "a", mib, commitA)
	c.fetch("sub/b.bin", "b", mib/2)
	l := c.local("before", want{play: true, bytes: mib + mib/2, arrived: mib + mib/2, total: 2 * mib, files: 2, done: 1, missing: 1, partials: 1})
	c.put("sub/b.bin", "b", mib, commitA)
	c.kill(42)
	c.restart(l.Checkpoint)
	l = c.local("finished meanwhile", want{play: true, bytes: 2 * mib, arrived: mib / 2, total: 2 * mib, files: 2, done: 2, proof: ProvenByListing})
	if l.Checkpoint.Name.ID != "org/demo" {
		t.Errorf("name %+v", l.Checkpoint.Name)
	}
}

func TestHostileThingsInALocalDirAreNotFollowed(t *testing.T) {
	outside := t.TempDir()
	for name, spoil := range map[string]func(c *cache){
		".cache is a link":   func(c *cache) { c.must(os.Symlink(outside, c.in(llama, ".cache"))) },
		"download is a file": func(c *cache) { c.write(c.in(llama, hfcache.LocalStage), 10) },
		"download is a loop": func(c *cache) {
			c.must(os.MkdirAll(c.in(llama, hfcache.LocalMeta), 0o755))
			c.must(os.Symlink("download", c.in(llama, hfcache.LocalStage)))
		},
		"the directory is one": func(c *cache) { c.must(os.RemoveAll(c.in(llama))); c.must(os.Symlink(outside, c.in(llama))) },
		"a partial is a FIFO": func(c *cache) {
			c.write(c.staged("a.lock"), 0)
			c.must(syscall.Mkfifo(c.staged(hfcache.LocalHash("a")+"."+etag("a")+".incomplete"), 0o644))
		},
		"metadata are a FIFO": func(c *cache) {
			c.write(c.in(llama, "a"), 10)
			c.write(c.staged("a.lock"), 0)
			c.must(syscall.Mkfifo(c.staged("a.metadata"), 0o644))
		},
		"a sub-directory a link": func(c *cache) { c.write(c.staged("a.lock"), 0); c.must(os.Symlink(outside, c.staged("sub"))) },
		"a name with an escape":  func(c *cache) { c.write(c.staged("\x1b[2J\n.lock"), 0); c.must(os.Mkdir(c.staged("\x1b[2J\n"), 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.must(os.MkdirAll(c.in(llama), 0o755))
			staged := filepath.Join(outside, "huggingface", "download")
			c.write(filepath.Join(staged, "b."+etag("b")+".incomplete"), mib)
			c.write(filepath.Join(outside, "c."+etag("c")+".incomplete"), mib)
			spoil(c)
			for range 2 {
				if l, _ := c.lookAt(llama); l.InPlay || l.Unreadable != nil {
					t.Errorf("look %+v", l)
				}
			}
			if strings.ContainsAny(c.log.String(), "\x1b") {
				t.Errorf("log %q", c.log)
			}
		})
	}
}

// What lies at a path of the listing, but isn't the client's, proves nothing.
func TestALinkAtTheListedPathIsNoFile(t *testing.T) {
	c := newCache(t)
	elsewhere := filepath.Join(t.TempDir(), "b.bin")
	c.write(elsewhere, mib)
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	c.must(os.Symlink(elsewhere, c.in(llama, "b.bin")))
	c.note("b.bin", "b", commitA)
	c.put("a.bin", "a", mib, commitA)
	c.now = c.now.Add(-2 * c.step)
	c.local("nobody to be seen", want{})
	c.local("nor now", want{})
	c.local("one of two", want{play: true, bytes: mib, arrived: mib, total: 2 * mib, files: 2, done: 1, missing: 1})
}

// What can't be counted to its end is not told in part.
func TestOfATooDeepStageNothingIsTold(t *testing.T) {
	c := newCache(t)
	c.put("a.bin", "a", mib, commitA)
	c.fetch(strings.Repeat("d/", maxDepth+2)+"b.bin", "b", mib)
	for range 2 {
		if l, _ := c.lookAt(llama); l.InPlay || !errors.Is(l.Unreadable, errTooMany) {
			t.Errorf("look %+v", l)
		}
	}
	if n := strings.Count(c.log.String(), "more files than are counted"); n != 1 {
		t.Errorf("said %d times: %s", n, c.log)
	}
}

func TestADirectoryThatNoClientFillsIsNothing(t *testing.T) {
	c := newCache(t)
	c.must(os.MkdirAll(c.in(llama, "data"), 0o755))
	c.local("nothing", want{})
	if len(c.root.repos) != 0 || c.log.Len() > 0 {
		t.Errorf("%d kept, log %s", len(c.root.repos), c.log)
	}
}

// Leftovers lie in a directory of its own as in a cache, and room is weighed.
func TestALeftoverInALocalDirIsReportedAtRest(t *testing.T) {
	c := newCache(t)
	partial := c.staged(hfcache.LocalHash("a.bin") + "." + etag("a") + ".incomplete")
	c.write(c.staged("a.bin.lock"), 0)
	c.write(partial, mib)
	old := time.Now().Add(-2 * leftAlone)
	c.must(os.Chtimes(partial, old, old))
	c.age()
	c.must(os.Chtimes(partial, old, old))
	c.watch(time.Now().Add(time.Second), nil)
	l, pace := c.lookAt(llama)
	if l.InPlay || pace != Slow || l.Orphans != 1 || l.OrphanBytes != mib || l.Resumable != 1 {
		t.Fatalf("look %+v pace %v", l, pace)
	}
	c.write(c.in(llama, "a.bin"), mib)
	c.write(c.staged("x.lock"), 0)
	if l, _ := c.lookAt(llama); l.Resumable != 0 {
		t.Errorf("the file is there: %+v", l)
	}
}

func TestRoomIsWeighedForALocalDir(t *testing.T) {
	c := newCache(t)
	c.fetch("a.bin", "a", mib)
	if l, _ := c.lookAt(llama); !l.InPlay {
		t.Fatalf("look %+v", l)
	}
	if l, _ := c.lookAt(llama); l.Room.Size == 0 {
		t.Errorf("room %+v", l.Room)
	}
}

// A client takes the lock of a file to read what it has noted of it. A partial of a dead
// attempt lies there still, and is none of its work.
func TestALockOverADeadPartialBeginsNoDownloadInALocalDir(t *testing.T) {
	c := newCache(t)
	c.listLocal(commitA, map[string]listedFile{"a.bin": {"a", mib}})
	dead := c.staged(hfcache.LocalHash("a.bin") + "." + etag("a") + ".76543210.incomplete")
	c.write(dead, 1000)
	c.put("a.bin", "a", mib, commitA)
	for range 3 { // it is told, and rests
		c.lookAt(llama)
		c.now = c.now.Add(grace)
	}
	c.run(8, "python3", "again.py")
	c.holdLocal(8, "a.bin")
	if l, _ := c.lookAt(llama); l.InPlay {
		t.Fatalf("a lock alone: look %+v", l)
	}
	c.write(dead, 2000)
	if l, _ := c.lookAt(llama); !l.InPlay {
		t.Errorf("it is written to: look %+v", l)
	}
}

// Another revision that is fetched into the same directory takes its files over: what
// was fetched anew tells of it, and so the directory is known again after a restart.
func TestAFileThatIsFetchedAnewTellsTheRevisionOfALocalDir(t *testing.T) {
	c := newCache(t)
	looks := func() (l Look) { // nobody is to be seen at work: that is looked at for a while
		for range 5 {
			l, _ = c.lookAt(llama)
		}
		return l
	}
	c.drop("a.bin", "1", commitA)
	c.drop("b.bin", "2", commitA)
	if l := looks(); !slices.Equal(l.Revisions, []string{commitA}) || l.Bytes != 2*eachSize {
		t.Fatalf("look %+v", l)
	}
	c.nextTick()
	c.put("a.bin", "3", eachSize, commitB)
	c.note("b.bin", "2", commitB)
	l := looks()
	if !slices.Equal(l.Revisions, []string{commitB}) || l.Bytes != 2*eachSize {
		t.Fatalf("fetched anew: look %+v", l)
	}
	c.restart(l.Checkpoint)
	if l, _ = c.lookAt(llama); l.Bytes != 2*eachSize || l.FilesDone != 2 {
		t.Fatalf("after a restart: look %+v", l)
	}
}
