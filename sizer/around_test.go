package sizer

import (
	"os"
	"path/filepath"
	"testing"

	"progressd/downloader"
	"progressd/hfcache"
)

// begins brings a first file so fast that nobody is seen to hold its lock.
func begins(c *cache) {
	twoFormats(c)
	c.whole("cf", 500, commitA, "config.json")
}

// A client lets go of one lock before it takes the next: the first look may
// find none of them.
func TestACommandIsFoundWithoutItsLock(t *testing.T) {
	const excluded = twoFormatsBytes - 3*mib
	start := map[string]func(c *cache){
		"a file has come": begins,
		"one is being written": func(c *cache) {
			twoFormats(c)
			c.partial("cf", ".01234567.incomplete", 100)
		},
		"another one is known from a second ago": func(c *cache) {
			c.run(41, "hf", "download", "org/demo", "config.json")
			c.root.opts.Procs.Fetched(c.now, hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}, 0)
			c.must(os.RemoveAll(filepath.Join(c.proc, "41")))
			c.now = c.now.Add(downloader.CommandsAge / 10)
			begins(c)
		},
	}
	for name, start := range start {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			start(c)
			c.run(42, "hf", "download", "org/demo", "--exclude", "*.bin")
			l := c.total("what it asks for", FromHabits, excluded, 7, 8)
			if l.WantedKnown || l.Proof != NoProof || l.Settled != NoProof {
				t.Fatalf("it may fetch into another cache: %+v", l)
			}
			c.now = c.now.Add(2 * downloader.CommandsAge)
			c.total("still", FromHabits, excluded, 7, 8)
			c.lock(42, "s1")
			c.partial("s1", ".01234567.incomplete", mib)
			if l := c.total("it is here", FromListing, excluded, 7, 7); !l.WantedKnown {
				t.Fatalf("look %+v", l)
			}
		})
	}
}

func TestTwoCommandsWithoutLocksWantWhatEitherDoes(t *testing.T) {
	c := newCache(t)
	begins(c)
	c.run(42, "hf", "download", "org/demo", "--include", "*.json")
	c.run(43, "huggingface-cli", "download", "org/demo", "pytorch_model.bin")
	c.total("both", FromHabits, 3*mib+1000, 4, 8)
}

func TestACommandTellsNothing(t *testing.T) {
	other := map[string]func(c *cache){
		"for another repository":     func(c *cache) { c.run(42, "hf", "download", "org/other", "--exclude", "*.bin") },
		"for a directory of its own": func(c *cache) { c.run(42, "hf", "download", "org/demo", "--exclude", "*.bin", "--local-dir", "x") },
		"for other files":            func(c *cache) { c.run(42, "hf", "download", "org/demo", "--include", "*.bin") },
		"of another user": func(c *cache) {
			c.run(42, "hf", "download", "org/demo", "--exclude", "*.bin")
			c.owner(42, os.Getuid()+1)
		},
		"that runs too often": func(c *cache) {
			for pid := range maxDownloaders + 1 {
				c.run(100+pid, "hf", "download", "org/demo", "--exclude", "*.bin")
			}
		},
		"beside who holds a lock": func(c *cache) {
			c.run(42, "hf", "download", "org/demo", "--include", "*.json")
			c.look()
			c.run(43, "python3", "train.py")
			c.lock(43, "cf")
		},
	}
	for name, other := range other {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			begins(c)
			other(c)
			c.total("all of it", FromListingAtMost, twoFormatsBytes, 8, 8)
		})
	}
}

// What it asked for stands when it is gone, until something else comes.
func TestACommandThatEndedUnseen(t *testing.T) {
	c := newCache(t)
	begins(c)
	c.run(42, "hf", "download", "org/demo", "--include", "*.json")
	c.total("its total", FromHabits, 1000, 3, 8)
	c.kill(42)
	c.now = c.now.Add(2 * downloader.CommandsAge)
	if l := c.total("stands", FromHabits, 1000, 3, 8); l.Proof != NoProof || l.Settled != NoProof || l.Missing != 7 {
		t.Fatalf("look %+v", l)
	}
	c.whole("pb", 3*mib, commitA, "pytorch_model.bin")
	c.total("until another comes", FromListingAtMost, twoFormatsBytes, 8, 8)
}
