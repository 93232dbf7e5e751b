package sizer

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"progressd/downloader"
)

// A client leaves a lock for each file. Of very many no more are kept than are looked at.
func TestOfVeryManyLocksThoseAreKeptThatWereMadeLast(t *testing.T) {
	inMemory(t)
	const dirs, each = 60, 1000
	c := newCache(t)
	name := func(i int) string { return fmt.Sprintf("d%02d", i) }
	for i := range dirs {
		must(t, os.MkdirAll(c.staged(name(i)), 0o755))
		for j := range each {
			must(t, os.WriteFile(c.staged(name(i), fmt.Sprintf("%d.bin.lock", j)), nil, 0o644))
		}
	}
	c.fetch("d00/first.bin", "first", 1)
	c.run(8, "hf")
	c.holdLocal(8, "d59/1.bin")
	for i := range dirs {
		at := time.Now().Add(time.Duration(i-dirs) * 10 * time.Millisecond)
		must(t, os.Chtimes(c.staged(name(i)), at, at))
	}
	for range 2 {
		l, _ := c.lookAt(llama)
		if len(l.InFlight) != 1 || l.InFlight[0].Name != "d00/first.bin" {
			t.Errorf("the file is not known by its lock: %+v", l.InFlight)
		}
		if !slices.ContainsFunc(l.Downloaders, func(d downloader.Process) bool { return d.PID == 8 }) {
			t.Errorf("who holds a lock that was made last isn't known: %+v", l.Downloaders)
		}
		kept := 0
		for _, td := range c.root.repos[llama].tree.dirs {
			kept += len(td.locks)
		}
		if kept < maxLocks || kept > 2*maxLocks+each {
			t.Errorf("%d of %d are kept", kept, dirs*each)
		}
	}
}
