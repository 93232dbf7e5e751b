package fsclock

import (
	"testing"
	"time"

	"progressd/fsys"
)

// What is remembered is by the clock of the files, which the next life of the daemon
// has to go by.
func TestWhatIsRememberedIsByTheClockOfTheFiles(t *testing.T) {
	start := time.Now()
	c := New(fsys.Real{}, true)
	c.start = start
	c.Look(start)
	then := start.Add(-time.Hour)
	c.Look(start.Add(time.Second))
	if !c.learn(then.Add(500*time.Millisecond).UnixNano(), start, start, late) {
		t.Fatal("a file got a time of an hour ago, and nothing follows")
	}
	if at := then.Add(600 * time.Millisecond); !c.Theirs(c.Ours(at)).Equal(at) {
		t.Errorf("%v became %v", at.Sub(start), c.Theirs(c.Ours(at)).Sub(start))
	}
	if at := c.Ours(then.Add(600 * time.Millisecond)); at.Before(start.Add(-late)) || at.After(c.now.Add(late)) {
		t.Errorf("it came at %v", at.Sub(start))
	}
	if at := start.Add(-time.Minute); !c.Ours(at).Equal(at) {
		t.Errorf("what came before has moved to %v", c.Ours(at).Sub(start))
	}
	c.Look(start.Add(time.Minute))
	if !c.learn(start.Add(time.Minute).UnixNano(), start.Add(time.Second), start.Add(time.Second), late) {
		t.Fatal("it is as it was at first")
	}
	if at := then.Add(400 * time.Millisecond); c.Ours(at).Before(start.Add(-late)) {
		t.Errorf("what came meanwhile came at %v", c.Ours(at).Sub(start))
	}
}
