package sizer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"progressd/fsys"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// want holds the facts of a look that most tests are about.
type want struct {
	play                 bool
	bytes, base, arrived int64
	total                int64
	done, files          int
	partials             int
	missing              int
	proof                Proof
}

func (c *cache) expect(what string, w want) Look {
	c.t.Helper()
	l := c.look()
	got := want{l.InPlay, l.Bytes, l.Base, l.Arrived, l.Total, l.FilesDone, l.Files, l.Partials, l.Missing, l.Proof}
	if got != w {
		c.t.Fatalf("%s:\n got %+v\nwant %+v\nlook %+v", what, got, w, l)
	}
	return l
}

func TestADownloadWithAListingIsFollowedFromItsFirstPartialToItsProof(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo")
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 3 * mib}, "sub/b.bin": {"b", 2 * mib}, "twin.bin": {"a", 3 * mib}})
	c.expect("a listing alone is no download", want{})
	c.lock(42, "a")
	c.expect("a lock alone is no download", want{})
	c.partial("a", ".01234567.incomplete", 0)
	c.expect("an empty partial begins it", want{play: true, total: 5 * mib, files: 3, missing: 3, partials: 1})
	c.partial("a", ".01234567.incomplete", 1*mib)
	l := c.expect("bytes arrive", want{play: true, bytes: mib, arrived: mib, total: 5 * mib, files: 3, missing: 3, partials: 1})
	if len(l.InFlight) != 1 || l.InFlight[0] != (InFlight{etag("a"), "a.bin", 1 * mib, 3 * mib}) || l.TotalSource != FromListing || !l.WantedKnown {
		t.Fatalf("look %+v", l)
	}
	c.partial("a", ".01234567.incomplete", 3*mib)
	c.finish("a", ".01234567.incomplete", commitA, "a.bin")
	c.link("a", commitA, "twin.bin")
	c.unlock("a")
	c.expect("a finished blob counts once under two paths", want{play: true, bytes: 3 * mib, arrived: 2 * mib, total: 5 * mib, files: 3, done: 2, missing: 1})
	c.partial("b", ".89abcdef.incomplete", 2*mib)
	must(t, os.Rename(c.in(demo, "blobs", etag("b")+".89abcdef.incomplete"), c.in(demo, "blobs", etag("b"))))
	c.expect("all blobs are no proof while a path is missing", want{play: true, bytes: 5 * mib, arrived: 2 * mib, total: 5 * mib, files: 3, done: 3})
	c.link("b", commitA, "sub/b.bin")
	c.expect("all paths are", want{play: true, bytes: 5 * mib, total: 5 * mib, files: 3, done: 3, proof: ProvenByListing})
	c.expect("then it rests", want{})
}

func TestAMissingLinkIsWaitedFor(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}})
	c.partial("a", ".01234567.incomplete", mib)
	c.look()
	must(t, os.Rename(c.in(demo, "blobs", etag("a")+".01234567.incomplete"), c.in(demo, "blobs", etag("a"))))
	w := want{play: true, bytes: mib, total: mib, files: 1, done: 1}
	c.expect("killed before the link", w)
	c.now = c.now.Add(2 * quiet)
	c.expect("still looked at", w)
	c.link("a", commitA, "a.bin")
	w.proof = ProvenByListing
	c.expect("the next client makes the link only", w)
}

func TestASmallModelDoneBetweenTwoLooksIsSeen(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 10}})
	c.whole("a", 10, commitA, "a.bin")
	c.expect("D12", want{play: true, bytes: 10, arrived: 10, total: 10, files: 1, done: 1, proof: ProvenByListing})
	c.expect("once", want{})
}

func TestWhatIsCompleteAtFirstSightIsAtRest(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 10}})
	c.whole("a", 10, commitA, "a.bin")
	c.watch(time.Now().Add(time.Second), nil)
	l, pace := c.lookAt(demo)
	if l.InPlay || pace != Idle || len(c.root.repos) != 0 {
		t.Fatalf("look %+v pace %v, %d repos kept", l, pace, len(c.root.repos))
	}
}

func TestWhatIsInFlightAtFirstSightIsPickedUp(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
	c.whole("a", mib, commitA, "a.bin")
	c.partial("b", ".01234567.incomplete", 512*kib)
	c.run(7, "python3", "train.py")
	c.lock(7, "b")
	c.watch(time.Now().Add(time.Second), nil)
	c.expect("picked up", want{play: true, bytes: mib + 512*kib, base: mib + 512*kib, total: 2 * mib, files: 2, done: 1, missing: 1, partials: 1})
	c.partial("b", ".01234567.incomplete", 768*kib)
	l := c.expect("goes on", want{play: true, bytes: mib + 768*kib, base: mib + 512*kib, arrived: 256 * kib, total: 2 * mib, files: 2, done: 1, missing: 1, partials: 1})
	if l.TotalSource != FromListingAtMost || l.WantedKnown {
		t.Fatalf("an unknown command line makes the total an upper bound: %+v", l)
	}
}

func TestAnOrphanAtFirstSightIsLeftAloneUntilItGrows(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".incomplete", 512*kib)
	c.watch(time.Now().Add(time.Second), nil)
	if l, pace := c.lookAt(demo); l.InPlay || pace != Slow {
		t.Fatalf("look %+v pace %v", l, pace)
	}
	c.partial("a", ".incomplete", 768*kib)
	c.expect("resumed", want{play: true, bytes: 768 * kib, base: 512 * kib, arrived: 256 * kib, partials: 1})
}

func TestCommandLineNarrowsWhatIsWanted(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo", "--include", "*.safetensors")
	c.list(commitA, map[string]listedFile{"a.safetensors": {"a", mib}, "b.bin": {"b", 9 * mib}})
	c.lock(42, "a")
	c.partial("a", ".01234567.incomplete", mib)
	c.expect("only what matches", want{play: true, bytes: mib, arrived: mib, total: mib, files: 1, missing: 1, partials: 1})
	c.finish("a", ".01234567.incomplete", commitA, "a.safetensors")
	c.expect("proven by what was asked for", want{play: true, bytes: mib, total: mib, files: 1, done: 1, proof: ProvenByRequest})
}

func TestWithoutAListingTheSnapshotSaysWhatBelongsToIt(t *testing.T) {
	c := newCache(t)
	c.whole("old", mib, commitA, "old.bin")
	c.whole("shared", mib, commitA, "shared.bin")
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	c.link("shared", commitB, "shared.bin")
	c.partial("new", ".incomplete", 512*kib)
	c.expect("blobs of another revision don't count", want{play: true, bytes: mib + 512*kib, base: mib, arrived: 512 * kib, done: 1, partials: 1})
	c.partial("new", ".incomplete", mib)
	c.finish("new", ".incomplete", commitB, "model-00001-of-00002.safetensors")
	l := c.expect("finished", want{play: true, bytes: 2 * mib, base: mib, arrived: 512 * kib, done: 2})
	if !l.ShardGap {
		t.Fatalf("a shard is missing: %+v", l)
	}
}

func TestDeadAttempts(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo")
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 4 * mib}, "b.bin": {"b", 4 * mib}})
	for _, word := range []string{"a", "b"} {
		c.lock(42, word)
		c.partial(word, ".00000000.incomplete", mib)
	}
	w := want{play: true, bytes: 2 * mib, arrived: 2 * mib, total: 8 * mib, files: 2, missing: 2, partials: 2}
	c.expect("under way", w)
	c.kill(42)
	c.now = c.now.Add(lockMemory)
	w.arrived, w.partials = 0, 0
	if l := c.expect("what the dead left is counted while none takes over", w); l.Unfinished != 2 || l.Alive[0] {
		t.Fatalf("look %+v", l)
	}
	c.run(43, "hf", "download", "org/demo")
	c.lock(43, "a")
	c.partial("a", ".11111111.incomplete", mib/2)
	w.bytes, w.arrived, w.partials = mib/2, mib/2, 1
	l := c.expect("D3: a new attempt makes orphans of them, never counted", w)
	if l.Orphans != 2 || l.OrphanBytes != 2*mib {
		t.Fatalf("look %+v", l)
	}
}

func TestAnOrphanStaysOneWhenItsSuccessorIsFinished(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}})
	c.run(42, "hf", "download", "org/demo")
	c.lock(42, "a")
	c.partial("a", ".00000000.incomplete", mib)
	c.look()
	c.kill(42)
	c.look()
	c.run(43, "hf", "download", "org/demo")
	c.lock(43, "a")
	c.partial("a", ".11111111.incomplete", 2*mib)
	c.look()
	c.finish("a", ".11111111.incomplete", commitA, "a.bin")
	l := c.expect("while the lock is still held", want{play: true, bytes: 2 * mib, total: 2 * mib, files: 1, done: 1, proof: ProvenByListing})
	if l.Orphans != 1 || l.OrphanBytes != mib || l.Unfinished != 0 {
		t.Fatalf("look %+v", l)
	}
}

func TestAListingThatComesLateIsTakenUp(t *testing.T) {
	c := newCache(t)
	c.partial("a", ".incomplete", mib)
	c.expect("without", want{play: true, bytes: mib, arrived: mib, partials: 1})
	c.now = c.now.Add(fsys.Coarse)
	c.look()
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}})
	c.now = c.now.Add(livelyAfter)
	c.expect("with", want{play: true, bytes: mib, total: 2 * mib, files: 1, missing: 1, partials: 1})
}

func TestALockMissedOnceIsNotLost(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo")
	for _, word := range []string{"a", "b"} {
		c.lock(42, word)
		c.partial(word, ".00000000.incomplete", mib)
	}
	w := want{play: true, bytes: 2 * mib, arrived: 2 * mib, partials: 2}
	c.expect("under way", w)
	line := c.locks["a"]
	c.unlock("a")
	w.arrived = 0
	c.expect("one reading without it", w)
	c.locks["a"] = line
	c.writeLocks()
	c.expect("the next has it again", w)
}

func TestAResumablePartialKeepsItsBytes(t *testing.T) {
	c := newCache(t)
	c.run(42, "huggingface-cli", "download", "org/demo")
	c.lock(42, "a")
	c.partial("a", ".incomplete", mib)
	c.expect("under way", want{play: true, bytes: mib, arrived: mib, partials: 1})
	c.kill(42)
	c.now = c.now.Add(lockMemory)
	c.expect("killed", want{play: true, bytes: mib})
	c.run(43, "huggingface-cli", "download", "org/demo")
	c.lock(43, "a")
	c.partial("a", ".incomplete", mib+1000)
	c.expect("resumed", want{play: true, bytes: mib + 1000, arrived: 1000, partials: 1})
	must(t, os.Truncate(c.in(demo, "blobs", etag("a")+".incomplete"), 10))
	c.expect("D4: truncated", want{play: true, bytes: 10, arrived: 0, partials: 1})
}

func TestAFailedAttemptIsNoted(t *testing.T) {
	c := newCache(t)
	path := c.partial("a", ".01234567.incomplete", mib)
	c.expect("under way", want{play: true, bytes: mib, arrived: mib, partials: 1})
	must(t, os.Remove(path))
	if l := c.expect("D1: a partial vanishes and no blob came of it", want{play: true}); l.Failed != 1 {
		t.Fatalf("look %+v", l)
	}
	c.whole("a", mib, commitA, "a.bin")
	if l := c.look(); l.Failed != 0 {
		t.Fatalf("mended: %+v", l)
	}
}

func TestAWrongSizeIsNoProof(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 4 * mib}})
	c.whole("a", mib, commitA, "a.bin")
	l := c.expect("D15", want{play: true, bytes: mib, arrived: mib, total: 4 * mib, files: 1, done: 1})
	if l.Mismatched == nil || *l.Mismatched != (Mismatch{Path: "a.bin", Got: mib, Want: 4 * mib}) {
		t.Fatalf("look %+v", l)
	}
}

func TestARevisionThatAppearsInTheMiddleJoins(t *testing.T) {
	c := newCache(t)
	c.whole("old", mib, commitB, "old.bin")
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}})
	c.age()
	c.watch(time.Now().Add(-time.Second), nil)
	c.partial("a", ".01234567.incomplete", mib)
	c.expect("first", want{play: true, bytes: mib, arrived: mib, total: 2 * mib, files: 1, missing: 1, partials: 1})
	second := "cccccccccccccccccccccccccccccccccccccccc"
	c.list(second, map[string]listedFile{"a.bin": {"a", 2 * mib}, "c.bin": {"c", mib}})
	c.partial("c", ".01234567.incomplete", 1000)
	c.expect("D5", want{play: true, bytes: mib + 1000, arrived: 1000, total: 3 * mib, files: 3, missing: 3, partials: 2})
}

func TestARevisionOfWhichNothingIsWrittenGivesWayToTheNext(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}})
	path := c.partial("a", ".01234567.incomplete", mib)
	c.expect("first", want{play: true, bytes: mib, arrived: mib, total: 2 * mib, files: 1, missing: 1, partials: 1})
	must(t, os.Remove(path))
	c.look()
	c.list(commitB, map[string]listedFile{"b.bin": {"b", mib}})
	c.partial("b", ".01234567.incomplete", mib)
	c.expect("by a client without locks", want{play: true, bytes: mib, arrived: mib, total: mib, files: 1, missing: 1, partials: 1})
}

func TestARevisionFinishedWhileNobodyLookedIsNotHeldToTheDeadOneBefore(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}, "both.bin": {"both", mib}})
	c.run(42, "hf", "download", "org/demo")
	c.lock(42, "a")
	c.lock(42, "both")
	c.partial("a", ".01234567.incomplete", mib)
	c.partial("both", ".01234567.incomplete", 10)
	before := c.look()
	c.kill(42)
	second := func() {
		c.list(commitB, map[string]listedFile{"both.bin": {"both", mib}})
		c.partial("both", ".89abcdef.incomplete", mib)
		c.finish("both", ".89abcdef.incomplete", commitB, "both.bin")
	}
	t.Run("in one life", func(t *testing.T) {
		c.now = c.now.Add(lockMemory)
		c.look()
		second()
		c.look()
		if l := c.look(); l.Proof != ProvenByListing && c.root.repos[demo].play != nil {
			t.Fatalf("look %+v", l)
		}
	})
	t.Run("over a restart", func(t *testing.T) {
		c.restart(before.Checkpoint)
		if l := c.look(); l.Proof != ProvenByListing || l.Total != mib {
			t.Fatalf("look %+v", l)
		}
	})
}

func TestTheNewestRevisionIsEnoughWhenNobodyWorksAnyMore(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}})
	c.list(commitB, map[string]listedFile{"b.bin": {"b", mib}})
	c.run(42, "hf", "download", "org/demo")
	c.run(43, "hf", "download", "org/demo")
	c.lock(42, "a")
	c.lock(43, "b")
	c.partial("a", ".01234567.incomplete", mib)
	c.partial("b", ".01234567.incomplete", mib)
	c.expect("both", want{play: true, bytes: 2 * mib, arrived: 2 * mib, total: 3 * mib, files: 2, missing: 2, partials: 2})
	c.finish("b", ".01234567.incomplete", commitB, "b.bin")
	c.kill(42)
	c.kill(43)
	c.now = c.now.Add(lockMemory)
	c.look()
	if l := c.look(); l.Proof != ProvenByListing || l.Total != mib {
		t.Fatalf("look %+v", l)
	}
}

func TestARepositoryRemovedAndMadeAgainBetweenTwoLooksIsGoneFirst(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.expect("first", want{play: true, bytes: mib, arrived: mib, done: 1})
	must(t, os.Rename(c.in(demo), c.in("models--org--away")))
	c.whole("b", mib, commitB, "b.bin")
	if l, pace := c.lookAt(demo); !l.Gone || pace != Fast {
		t.Fatalf("look %+v", l)
	}
	c.expect("then the new one", want{play: true, bytes: mib, arrived: mib, done: 1})
}

func TestABlobThatComesDuringALookIsNotNewToTheNext(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}})
	c.partial("a", ".01234567.incomplete", mib)
	c.look()
	p := &pass{root: c.root, repo: c.root.repos[demo], now: c.now}
	top, err := fsys.Open(fsys.Real{}, c.path)
	must(t, err)
	defer top.Close()
	p.top = top
	must(t, p.readBlobs())
	c.finish("a", ".01234567.incomplete", commitA, "a.bin")
	var l Look
	p.held = p.readHeld()
	p.judge()
	must(t, p.playOn(&l))
	if l.Proof != NoProof {
		t.Fatalf("proven by what came meanwhile: %+v", l)
	}
	c.expect("the next look proves it", want{play: true, bytes: mib, total: mib, files: 1, done: 1, proof: ProvenByListing})
	c.expect("once", want{})
}

func TestANewAttemptAtAnotherRevisionIsNotHeldToTheOldOne(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}})
	c.run(42, "hf", "download", "org/demo")
	c.lock(42, "a")
	c.partial("a", ".01234567.incomplete", mib)
	c.expect("first", want{play: true, bytes: mib, arrived: mib, total: 2 * mib, files: 1, missing: 1, partials: 1})
	c.kill(42)
	c.look()
	c.now = c.now.Add(lockMemory)
	c.list(commitB, map[string]listedFile{"b.bin": {"b", mib}})
	c.run(43, "hf", "download", "org/demo")
	c.lock(43, "b")
	c.partial("b", ".01234567.incomplete", mib)
	c.expect("second", want{play: true, bytes: mib, arrived: mib, total: mib, files: 1, missing: 1, partials: 1})
	c.finish("b", ".01234567.incomplete", commitB, "b.bin")
	c.expect("complete without the first", want{play: true, bytes: mib, total: mib, files: 1, done: 1, proof: ProvenByListing})
}

func TestTheSharedStoreIsLookedUpAndNothingElse(t *testing.T) {
	store := func(c *cache, word string) (path, text string) {
		hash := etag(word)
		return filepath.Join(c.path, "blobs", hash[:2], hash), "../../blobs/" + hash[:2] + "/" + hash
	}
	t.Run("D6 a finished blob moves to the store", func(t *testing.T) {
		c := newCache(t)
		c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}, "b.bin": {"b", mib}})
		c.whole("a", mib, commitA, "a.bin")
		c.partial("b", ".01234567.incomplete", 10)
		w := want{play: true, bytes: mib + 10, arrived: mib + 10, total: 2 * mib, files: 2, done: 1, missing: 1, partials: 1}
		c.expect("before", w)
		path, text := store(c, "a")
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		link := c.in(demo, "blobs", "."+etag("a")+".01234567.shared")
		must(t, os.Symlink(text, link))
		must(t, os.Rename(c.in(demo, "blobs", etag("a")), path))
		w.arrived = 0
		c.expect("in between", w)
		must(t, os.Rename(link, c.in(demo, "blobs", etag("a"))))
		c.expect("after", w)
		must(t, os.Remove(c.in(demo, "blobs", etag("a"))))
		w.bytes, w.done, w.missing = 10, 0, 2
		c.expect("removed is not moved", w)
	})
	t.Run("D7 a hit in the store transfers nothing", func(t *testing.T) {
		c := newCache(t)
		path, text := store(c, "a")
		c.write(path, mib)
		c.age()
		c.watch(time.Now().Add(-time.Second), nil)
		c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}})
		must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
		must(t, os.Symlink(text, c.in(demo, "blobs", etag("a"))))
		c.link("a", commitA, "a.bin")
		c.expect("silent", want{})
	})
	t.Run("D7 nor does one of a file that another repo brought a moment ago", func(t *testing.T) {
		came := time.Now()
		for later, old := range map[time.Duration]bool{40 * time.Microsecond: false, time.Second: true} {
			e := throughLink(fsys.Entry{Ctime: came.Add(later)}, fsys.Entry{Mtime: came, Ctime: came})
			if was := !e.After(came.Add(-time.Minute)); was != old {
				t.Errorf("a link made %v after its file came: there before %v", later, was)
			}
		}
	})
	t.Run("other links are not followed", func(t *testing.T) {
		c := newCache(t)
		outside := filepath.Join(t.TempDir(), etag("a"))
		c.write(outside, mib)
		must(t, os.MkdirAll(c.in(demo, "blobs"), 0o755))
		must(t, os.Symlink(outside, c.in(demo, "blobs", etag("a"))))
		c.expect("silent", want{})
	})
}

func TestRestartTakesUpAPlay(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo", "--include", "a*")
	c.list(commitA, map[string]listedFile{"a.bin": {"a", 2 * mib}, "b.bin": {"b", mib}})
	c.lock(42, "a")
	c.partial("a", ".01234567.incomplete", mib)
	before := c.look()
	c.kill(42)
	c.partial("a", ".01234567.incomplete", 2*mib)
	c.finish("a", ".01234567.incomplete", commitA, "a.bin")
	c.restart(before.Checkpoint)
	l := c.expect("finished meanwhile", want{play: true, bytes: 2 * mib, arrived: mib, total: 2 * mib, files: 1, done: 1, proof: ProvenByRequest})
	if l.Play != before.Play {
		t.Fatalf("play %q, was %q", l.Play, before.Play)
	}
	after := l.Checkpoint
	after.Play = ""
	c.restart(after)
	c.expect("D10: told once", want{})
}

func TestAnOrphanWithoutAListingSpeaksAgainstCompletionOverARestart(t *testing.T) {
	c := newCache(t)
	c.whole("a", 300, commitA, "config.json")
	c.partial("b", ".01234567.incomplete", 0)
	before := c.look()
	c.restart(before.Checkpoint)
	if l := c.look(); l.Unfinished != 1 {
		t.Fatalf("look %+v", l)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
