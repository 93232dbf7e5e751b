package sizer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
)

// twoFormats is a repository as most are: weights in two formats, small files.
func twoFormats(c *cache) {
	c.list(commitA, map[string]listedFile{
		".gitattributes":                   {"ga", 100},
		"README.md":                        {"rm", 1000},
		"config.json":                      {"cf", 500},
		"model-00001-of-00002.safetensors": {"s1", 2 * mib},
		"model-00002-of-00002.safetensors": {"s2", mib},
		"model.safetensors.index.json":     {"ix", 200},
		"pytorch_model.bin":                {"pb", 3 * mib},
		"tokenizer.json":                   {"tk", 300},
	})
}

const twoFormatsBytes = 6*mib + 2100

// child makes a process whose parent is another.
func (c *cache) child(pid, parent int, args ...string) {
	c.t.Helper()
	c.run(pid, args...)
	stat := fmt.Sprintf("%d (%s) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, args[0], parent, 1000+pid)
	c.must(os.WriteFile(filepath.Join(c.proc, fmt.Sprint(pid), "stat"), []byte(stat), 0o644))
}

// bring fetches a whole file under its lock.
func (c *cache) bring(pid int, word string, size int, path string) {
	c.lock(pid, word)
	c.partial(word, ".01234567.incomplete", size)
	c.look()
	c.finish(word, ".01234567.incomplete", commitA, path)
	c.unlock(word)
}

func (c *cache) total(what string, source Source, total int64, files, listed int) Look {
	c.t.Helper()
	l := c.look()
	if l.Total != total || l.TotalSource != source || l.Files != files || l.Listed != listed {
		c.t.Fatalf("%s: total %d by %q in %d of %d files\nlook %+v", what, l.Total, l.TotalSource, l.Files, l.Listed, l)
	}
	if l.Bytes > l.Total {
		c.t.Fatalf("%s: %d bytes of %d", what, l.Bytes, l.Total)
	}
	return l
}

// vLLM fetches its configuration in the server, its weights in a worker, and
// runs on: what it loads is complete when its weights are, and not before.
func TestALoaderWantsOneFormatOfItsWeights(t *testing.T) {
	for name, restarts := range map[string]bool{"in one life": false, "D14 with a restart in between": true} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			again := func(l Look) {
				if restarts {
					c.restart(l.Checkpoint)
				}
			}
			c.run(42, "vllm", "serve", "org/demo", "--port", "8000")
			c.child(43, 42, "VLLM::EngineCore")
			twoFormats(c)
			c.bring(42, "cf", 500, "config.json")
			l := c.total("the weights of one format, and what has come", FromLoader, 3*mib+500, 3, 8)
			if !l.Lacking || l.Settled != NoProof || l.Proof != NoProof || l.WantedKnown {
				t.Fatalf("look %+v", l)
			}
			again(l)
			c.now = c.now.Add(2 * quiet)
			c.look()
			if l := c.look(); !l.InPlay || !l.Awaited {
				t.Fatalf("it may take its time: %+v", l)
			}
			c.bring(43, "s1", 2*mib, "model-00001-of-00002.safetensors")
			l = c.total("one of two", FromLoader, 3*mib+500, 3, 8)
			if !l.Lacking || l.Settled != NoProof || l.Downloaders[len(l.Downloaders)-1].Command != "VLLM::EngineCore" {
				t.Fatalf("look %+v", l)
			}
			again(l)
			c.bring(43, "s2", mib, "model-00002-of-00002.safetensors")
			l = c.total("all", FromLoader, 3*mib+500, 3, 8)
			if l.Lacking || l.Settled != ProvenByLoader || l.Proof != NoProof || l.Missing != 5 {
				t.Fatalf("look %+v", l)
			}
			again(l)
			if l = c.look(); l.Settled != ProvenByLoader || l.Bytes != l.Total {
				t.Fatalf("look %+v", l)
			}
			c.bring(42, "tk", 300, "tokenizer.json")
			c.total("what comes after all counts", FromLoader, 3*mib+800, 4, 8)
		})
	}
}

func TestALoaderIsNotSettledWhileAnythingIsMissing(t *testing.T) {
	spoil := map[string]func(c *cache){
		"a weight": func(c *cache) { c.must(os.Remove(c.in(demo, "blobs", etag("s1")))) },
		"a link": func(c *cache) {
			c.must(os.Remove(c.in(demo, "snapshots", commitA, "model-00001-of-00002.safetensors")))
		},
		"bytes": func(c *cache) { c.must(os.Truncate(c.in(demo, "blobs", etag("s1")), mib)) },
		"the end of another file": func(c *cache) {
			c.lock(42, "tk")
			c.partial("tk", ".01234567.incomplete", 10)
		},
		"a listing": func(c *cache) { c.must(os.RemoveAll(c.in(demo, "trees"))) },
		"agreement on what is wanted": func(c *cache) {
			c.run(50, "python3", "train.py")
			c.lock(50, "tk")
			c.look()
			c.unlock("tk")
		},
	}
	for what, spoil := range spoil {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.run(42, "vllm", "serve", "org/demo")
			twoFormats(c)
			c.bring(42, "s1", 2*mib, "model-00001-of-00002.safetensors")
			c.bring(42, "s2", mib, "model-00002-of-00002.safetensors")
			if l := c.look(); l.Settled != ProvenByLoader {
				t.Fatalf("look %+v", l)
			}
			spoil(c)
			c.now = c.now.Add(fsys.Coarse)
			c.look()
			if l := c.look(); l.Settled != NoProof || l.Proof != NoProof {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

func TestALoaderWhoseVersionsDifferProvesNothing(t *testing.T) {
	c := newCache(t)
	c.run(42, "vllm", "serve", "org/demo")
	c.list(commitA, map[string]listedFile{
		"model-00001-of-00001.safetensors": {"s1", mib}, "model.safetensors.index.json": {"ix", 10},
		"original/model.safetensors": {"or", 9 * mib},
	})
	c.bring(42, "s1", mib, "model-00001-of-00001.safetensors")
	l := c.total("what the newer one wants", FromHabits, mib, 1, 3)
	if l.Settled != NoProof || l.Lacking {
		t.Fatalf("look %+v", l)
	}
	c.lock(42, "or")
	c.total("it was an older one", FromHabits, 10*mib, 2, 3)
}

// A loader without a listing fetches its configuration, is busy with other
// things for a while, then fetches its weights.
func TestALoaderWithoutAListingLacksItsWeights(t *testing.T) {
	c := newCache(t)
	c.run(42, "vllm", "serve", "org/demo")
	c.bring(42, "cf", 500, "config.json")
	c.now = c.now.Add(2 * quiet)
	c.look()
	if l := c.look(); !l.InPlay || !l.Awaited {
		t.Fatalf("look %+v", l)
	}
	c.restart(c.look().Checkpoint)
	if l := c.look(); !l.InPlay || !l.Awaited {
		t.Fatalf("after a restart: %+v", l)
	}
	c.bring(42, "s1", mib, "model.safetensors")
	if l := c.look(); l.Lacking {
		t.Fatalf("look %+v", l)
	}
}

// The small files that come first are fetched so fast that their locks are
// missed: the loader is found by its command line.
func TestALoaderWhoseLocksWereMissedIsFound(t *testing.T) {
	c := newCache(t)
	c.run(41, "vllm", "serve", "org/other")
	c.run(42, "vllm", "serve", "org/demo")
	c.whole("cf", 500, commitA, "config.json")
	c.look()
	c.now = c.now.Add(2 * quiet)
	c.look()
	if l := c.look(); !l.InPlay || !l.Awaited || len(l.Downloaders) > 0 {
		t.Fatalf("look %+v", l)
	}
	c.kill(42)
	c.now = c.now.Add(downloader.CommandsAge)
	if l := c.look(); !l.Lacking || l.Awaited {
		t.Fatalf("gone: %+v", l)
	}
	c = newCache(t)
	c.run(41, "vllm", "serve", "org/other")
	c.whole("cf", 500, commitA, "config.json")
	if l := c.look(); l.Awaited {
		t.Fatalf("another's: %+v", l)
	}
}

// A script that loads a model fetches its configuration, and perhaps minutes
// later its weights: until then it looks like one that wanted no more.
func TestAnUnlistedModelWithoutWeightsIsNotTakenForWhole(t *testing.T) {
	lacking := func(argv ...string) bool {
		c := newCache(t)
		c.run(42, argv...)
		c.bring(42, "cf", 500, "config.json")
		c.look()
		l := c.look()
		if l.Awaited || l.Settled != NoProof {
			t.Fatalf("look %+v", l)
		}
		c.bring(42, "s1", mib, "model.safetensors")
		c.look()
		if c.look().Lacking {
			t.Error("its weights are there")
		}
		return l.Lacking
	}
	if !lacking("python3", "load.py") {
		t.Error("a script's")
	}
	if lacking("hf", "download", "org/demo", "config.json") {
		t.Error("it is what was asked for")
	}
}

// Its client has found the configuration in the cache, and failed at the weights
// before anybody saw it write.
func TestAnUnlistedRevisionWithoutTheWeightsOfTheOneBeforeIsNotTakenForWhole(t *testing.T) {
	for _, tt := range []struct {
		what    string
		argv    []string
		lacking bool
	}{
		{"all of it was wanted", []string{"hf", "download", "org/demo"}, true},
		{"the configuration was", []string{"hf", "download", "org/demo", "config.json"}, false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			c := newCache(t)
			c.whole("cf", 500, commitA, "config.json")
			c.whole("s1", mib, commitA, "model.safetensors")
			c.age()
			c.watch(c.now.Add(-time.Second), nil)
			c.run(42, tt.argv...)
			c.lock(42, "s2")
			c.partial("s2", ".01234567.incomplete", 0)
			c.link("cf", commitB, "config.json")
			c.look()
			c.must(os.Remove(c.in(demo, "blobs", etag("s2")+".01234567.incomplete")))
			c.kill(42)
			c.look()
			if l := c.quietly(); l.Lacking != tt.lacking || l.Proof != NoProof {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

func TestALoaderOfAnotherModelTellsNothing(t *testing.T) {
	c := newCache(t)
	c.run(42, "vllm", "serve", "org/other")
	twoFormats(c)
	c.lock(42, "cf")
	c.partial("cf", ".01234567.incomplete", 10)
	c.total("all of it", FromListingAtMost, twoFormatsBytes, 8, 8)
}

func TestADeadLoadersWeightsAreStillWhatItWanted(t *testing.T) {
	c := newCache(t)
	c.run(42, "vllm", "serve", "org/demo")
	twoFormats(c)
	c.bring(42, "s1", 2*mib, "model-00001-of-00002.safetensors")
	c.look()
	c.kill(42)
	c.now = c.now.Add(lockMemory)
	l := c.total("killed with half of it", FromLoader, 3*mib, 2, 8)
	if !l.Lacking || l.Awaited || l.Settled != NoProof {
		t.Fatalf("look %+v", l)
	}
	c.restart(l.Checkpoint)
	l = c.total("after a restart, too", FromLoader, 3*mib, 2, 8)
	if !l.Lacking || l.Awaited || l.Settled != NoProof {
		t.Fatalf("look %+v", l)
	}
}

func TestAnUnknownDownloadersFormatIsGuessed(t *testing.T) {
	c := newCache(t)
	c.run(42, "python3", "train.py")
	twoFormats(c)
	c.bring(42, "cf", 500, "config.json")
	c.total("nothing is known yet", FromListingAtMost, twoFormatsBytes, 8, 8)
	c.lock(42, "s1")
	c.partial("s1", ".01234567.incomplete", mib)
	l := c.total("another format may be about to come", FromListingAtMost, twoFormatsBytes, 8, 8)
	c.restart(l.Checkpoint)
	c.total("a restart doesn't shorten that", FromListingAtMost, twoFormatsBytes, 8, 8)
	c.now = c.now.Add(settling)
	l = c.total("nobody wants two formats", FromHabits, 3*mib+2100, 7, 8)
	c.restart(l.Checkpoint)
	l = c.total("nor after a restart", FromHabits, 3*mib+2100, 7, 8)
	if l.Missing != 7 || l.WantedKnown {
		t.Fatalf("the proof asks for all: %+v", l)
	}
	c.lock(42, "pb")
	c.partial("pb", ".01234567.incomplete", 10)
	c.total("but for those who do", FromListingAtMost, twoFormatsBytes, 8, 8)
	c.unlock("pb")
	c.must(os.Remove(c.in(demo, "blobs", etag("pb")+".01234567.incomplete")))
	c.look()
	c.total("who has begun it wants it", FromListingAtMost, twoFormatsBytes, 8, 8)
}

func TestWhoTakesTheReadmeTakesAll(t *testing.T) {
	c := newCache(t)
	c.run(42, "python3", "mirror.py")
	twoFormats(c)
	c.bring(42, "rm", 1000, "README.md")
	c.lock(42, "s1")
	c.partial("s1", ".01234567.incomplete", mib)
	c.look()
	c.now = c.now.Add(settling)
	c.total("both formats", FromListingAtMost, twoFormatsBytes, 8, 8)
}

func TestWhatWasThereBeforeCountsAndTellsNothing(t *testing.T) {
	c := newCache(t)
	twoFormats(c)
	c.whole("pb", 3*mib, commitA, "pytorch_model.bin")
	c.age()
	c.watch(c.now, nil)
	c.run(42, "python3", "train.py")
	c.lock(42, "s1")
	c.partial("s1", ".01234567.incomplete", mib)
	c.look()
	c.now = c.now.Add(settling)
	c.total("the old format is there, and counts", FromListingAtMost, twoFormatsBytes, 8, 8)
	c = newCache(t)
	twoFormats(c)
	c.whole("s1", 2*mib, commitA, "model-00001-of-00002.safetensors")
	c.age()
	c.watch(c.now, nil)
	c.run(42, "python3", "train.py")
	c.lock(42, "pb")
	c.partial("pb", ".01234567.incomplete", mib)
	c.look()
	c.now = c.now.Add(settling)
	c.total("its other shard isn't wanted now", FromHabits, 5*mib+2100, 7, 8)
}

func TestWhatTheOrderHasLeftBehindIsNotWanted(t *testing.T) {
	c := newCache(t)
	c.run(42, "python3", "train.py")
	files := map[string]listedFile{
		"a/later.json": {"al", 1000}, "a.json": {"aa", 1000}, "model-00001-of-00002.bin": {"s1", 1000}, "model-00002-of-00002.bin": {"s2", 1000},
	}
	for i := range farBehind + 2 {
		files[fmt.Sprintf("x%02d.json", i)] = listedFile{fmt.Sprintf("x%02d", i), 10}
	}
	c.list(commitA, files)
	const listed = farBehind + 6
	all := int64(4000 + 10*(farBehind+2))
	for i := range farBehind - 1 {
		c.whole(fmt.Sprintf("x%02d", i), 10, commitA, fmt.Sprintf("x%02d.json", i))
	}
	c.total("not far enough", FromListingAtMost, all, listed, listed)
	c.whole(fmt.Sprintf("x%02d", farBehind-1), 10, commitA, fmt.Sprintf("x%02d.json", farBehind-1))
	c.total("three were left behind, the last two are ahead", FromHabits, all-3000, listed-3, listed)
	c.lock(42, "s2")
	c.partial("s2", ".01234567.incomplete", 10)
	c.total("of numbered files all or none are wanted", FromHabits, all-1000, listed-1, listed)
}

func TestARequestIsNotGuessedAt(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo")
	twoFormats(c)
	c.lock(42, "s1")
	c.partial("s1", ".01234567.incomplete", mib)
	c.total("all that was asked for", FromListing, twoFormatsBytes, 8, 8)
}

func TestALoadersChoiceOfTheHubsListing(t *testing.T) {
	c := newCache(t)
	h := c.askHub()
	h.files[commitA] = []hfcache.ListedFile{
		{Path: "config.json", Etag: etag("cf"), Size: 500}, {Path: "model.safetensors", Etag: etag("s1"), Size: mib},
		{Path: "pytorch_model.bin", Etag: etag("pb"), Size: mib},
	}
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.run(42, "/usr/bin/python3", "/opt/bin/text-generation-server", "download-weights", "org/demo")
	c.bring(42, "cf", 500, "config.json")
	if l := c.total("its weights, and what has come", FromHubLoader, mib+500, 2, 3); !l.Awaited {
		t.Fatalf("look %+v", l)
	}
	c.bring(42, "s1", mib, "model.safetensors")
	if l := c.look(); l.Settled != ProvenByLoader {
		t.Fatalf("look %+v", l)
	}
}
