package sizer

import (
	"os"
	"strings"
	"testing"
	"time"

	"progressd/fsys"
)

// Who asks for a whole repository, and is refused after the tokenizer, has none of
// it, though nothing is in flight and no listing tells. Who asks for just that has it.
func TestWhatStandsBesideTheWeightsIsWholeOnlyForWhoAskedForIt(t *testing.T) {
	for command, lacking := range map[string]bool{
		"":                               true,
		"--include *.safetensors *.json": true,
		"--include *00001*":              true,
		"--exclude *.bin":                true,
		"--include *.json *.txt":         false,
		"tokenizer.json":                 false,
	} {
		t.Run(command, func(t *testing.T) {
			c := newCache(t)
			c.run(7, append([]string{"hf", "download", "org/demo"}, strings.Fields(command)...)...)
			c.lock(7, "t")
			c.partial("t", ".incomplete", kib)
			c.look()
			c.finish("t", ".incomplete", commitA, "tokenizer.json")
			c.kill(7)
			c.look()
			c.now = c.now.Add(livelyAfter)
			if l := c.look(); l.Lacking != lacking || !l.WantedKnown {
				t.Errorf("lacking %v, wanted known %v", l.Lacking, l.WantedKnown)
			}
		})
	}
}

// Nor is it whole when another client, that wants the rest and was never seen, has brought
// a file that nobody known has asked for.
func TestWhatNobodyKnownHasAskedForTellsOfAnotherClient(t *testing.T) {
	c := newCache(t)
	c.run(7, "hf", "download", "org/demo", "tokenizer.json")
	c.lock(7, "t")
	c.partial("t", ".incomplete", kib)
	c.look()
	c.finish("t", ".incomplete", commitA, "tokenizer.json")
	c.kill(7)
	if l := c.look(); l.Lacking {
		t.Fatalf("what was asked for is there: look %+v", l)
	}
	c.whole("r", kib, commitA, "README.md")
	c.look()
	c.now = c.now.Add(livelyAfter)
	if l := c.look(); !l.InPlay || !l.Lacking {
		t.Errorf("look %+v", l)
	}
}

// Where a program that doesn't say what it loads fills a directory of its own, the
// kind of what it brings is known by the files alone.
func TestADirectoryOfItsOwnIsJudgedByItsFiles(t *testing.T) {
	c := newCache(t)
	c.put("config.json", "c", kib, commitA)
	c.kill(7)
	c.now = c.now.Add(fsys.Coarse)
	if l, _ := c.lookAt(llama); !l.InPlay || !l.Lacking || l.Whole {
		t.Fatalf("a configuration: look %+v", l)
	}
	c.put("model.safetensors", "m", mib, commitA)
	c.kill(7)
	c.now = c.now.Add(livelyAfter)
	if l, _ := c.lookAt(llama); l.Lacking || !l.Whole {
		t.Fatalf("and its weights: look %+v", l)
	}
}

// So it is with files that lie in the snapshot themselves.
func TestFilesInTheSnapshotAreAskedForTheirKind(t *testing.T) {
	c := newCache(t)
	must(t, os.MkdirAll(c.in(demo, "snapshots", commitA), 0o755))
	c.place(c.partial("c", ".01234567.incomplete", kib), commitA, "config.json")
	if l := c.look(); !l.InPlay || !l.Lacking {
		t.Fatalf("a configuration: look %+v", l)
	}
	c.place(c.partial("m", ".01234567.incomplete", mib), commitA, "model.safetensors")
	c.now = c.now.Add(livelyAfter)
	if l := c.look(); l.Lacking || !l.Whole {
		t.Fatalf("and its weights: look %+v", l)
	}
}

// Blobs that were copied in have no snapshot; then a client comes that has to put
// its files there themselves.
func TestFilesInTheFirstSnapshotOfADownloadAreFound(t *testing.T) {
	c := newCache(t)
	c.partial("copied", "", mib)
	if l := c.look(); !l.InPlay || l.Bytes != mib {
		t.Fatalf("look %+v", l)
	}
	c.now = c.now.Add(time.Minute)
	c.nextTick()
	c.place(c.partial("m", ".01234567.incomplete", 2*mib), commitA, "model.safetensors")
	if l := c.look(); l.Arrived != 2*mib {
		t.Fatalf("look %+v", l)
	}
}

// A killed attempt at a blob that is there takes nothing away.
func TestADeadFetchOfWhatIsThereIsNotWaitedFor(t *testing.T) {
	c := newCache(t)
	c.list(commitA, map[string]listedFile{"a.bin": {"a", mib}})
	c.whole("a", mib, commitA, "a.bin")
	c.age()
	c.watch(c.now.Add(-time.Second), nil)
	c.run(7, "python3", "x.py")
	c.lock(7, "a")
	c.partial("a", ".01234567.incomplete", kib)
	c.expect("fetched anew", want{play: true, bytes: kib, arrived: kib, total: mib, files: 1, missing: 1, partials: 1})
	c.kill(7)
	c.now = c.now.Add(lockMemory)
	c.expect("all is there", want{play: true, bytes: mib, base: mib - kib, total: mib, files: 1, done: 1, proof: ProvenByListing})
}

// A model that was removed, and of which a client has made the folder anew without
// a file, has none of its bytes.
func TestWithoutBlobsNothingIsThere(t *testing.T) {
	c := newCache(t)
	c.whole("a", mib, commitA, "a.bin")
	c.partial("b", ".incomplete", kib)
	if l := c.look(); l.Bytes != mib+kib {
		t.Fatalf("look %+v", l)
	}
	must(t, os.RemoveAll(c.in(demo)))
	must(t, os.MkdirAll(c.in(demo, "refs"), 0o755))
	if l := c.look(); l.Bytes != 0 || l.FilesDone != 0 {
		t.Errorf("look %+v", l)
	}
}
