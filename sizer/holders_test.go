package sizer

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// lockedCache is one into which process 42 downloads one file.
func lockedCache(t *testing.T) *cache {
	t.Helper()
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo")
	c.partial("a", ".01234567.incomplete", 1000)
	c.lock(42, "a")
	return c
}

// steadyCache is one in which that has gone on for a while.
func steadyCache(t *testing.T) *cache {
	t.Helper()
	c := lockedCache(t)
	c.steadily(2000)
	return c
}

// steadily looks until nothing has changed for longer than a directory's
// mtime is distrusted, and the locks have just been read.
func (c *cache) steadily(size int) {
	c.t.Helper()
	for i := 0; i < 8 || !c.root.repos[demo].reading.at.Equal(c.now); i++ {
		c.partial("a", ".01234567.incomplete", size+i)
		if look := c.look(); !look.Locked {
			c.t.Fatalf("look %d: the lock isn't seen", i)
		}
	}
}

func TestLocksAreReadSeldomWhileNothingComesOrGoes(t *testing.T) {
	c := lockedCache(t)
	readings, last := 0, c.now
	for i := range 40 {
		c.partial("a", ".01234567.incomplete", 2000+i)
		if look := c.look(); !look.Locked || len(look.Alive) != 1 || !look.Alive[0] {
			t.Fatalf("look %d: locked %v, alive %v", i, look.Locked, look.Alive)
		}
		if at := c.root.repos[demo].reading.at; !at.Equal(last) {
			readings, last = readings+1, at
		}
	}
	// Eight while the directory is young, then one in sixteen.
	if readings > 10 {
		t.Errorf("%d readings of /proc/locks in 40 looks", readings)
	}
	// What grows no more may be locked no more.
	c.steadily(3000)
	readings, last = 0, c.now
	for range 24 {
		c.look()
		if at := c.root.repos[demo].reading.at; !at.Equal(last) {
			readings, last = readings+1, at
		}
	}
	if readings < 4 {
		t.Errorf("%d readings of /proc/locks in 12 seconds without a byte", readings)
	}
}

func TestWhoseHolderIsGoneIsNotTakenForLocked(t *testing.T) {
	c := steadyCache(t)
	c.kill(42)
	if look := c.look(); look.Locked || look.Alive[0] {
		t.Errorf("after the end of its holder: locked %v, alive %v", look.Locked, look.Alive)
	}
}

// Who wrote since the last look ran then; whoever goes on writing, that is
// believed for two seconds at most.
func TestWhoHasJustWrittenIsTakenToRun(t *testing.T) {
	c := steadyCache(t)
	c.kill(42)
	c.partial("a", ".01234567.incomplete", 3000)
	if look := c.look(); !look.Alive[0] {
		t.Error("gone, though it has written since the last look")
	}
	if look := c.look(); look.Locked || look.Alive[0] {
		t.Errorf("a look later: locked %v, alive %v", look.Locked, look.Alive)
	}

	c.run(43, "hf", "download", "org/demo")
	c.lock(43, "a")
	c.steadily(4000)
	c.kill(43)
	looks := 1
	for size := 5000; ; size++ {
		c.partial("a", ".01234567.incomplete", size)
		if look := c.look(); !look.Alive[1] {
			break
		}
		if looks++; looks > 5 {
			t.Fatal("taken to run for more than two seconds after its end")
		}
	}
	if looks == 1 {
		t.Error("asked for at each look")
	}
}

func TestALockLetGoWithoutASignIsMissedForTwoSecondsAtMost(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf", "download", "org/demo")
	for _, word := range []string{"a", "b"} {
		c.partial(word, ".01234567.incomplete", 1000)
		c.lock(42, word)
	}
	c.steadily(2000)
	held := func() bool {
		c.look()
		return c.root.repos[demo].reading.held.has(etag("b"))
	}
	c.unlock("b")
	looks := 1
	for held() {
		if looks++; looks > 4 {
			t.Fatal("still locked after 4 looks")
		}
	}
	// One reading that has missed a lock is no reason to go without it.
	c.lock(42, "b")
	if !held() {
		t.Error("a lock that is back isn't seen at the next look")
	}
}

func TestALockTakenWhereOneIsHeldIsSeenWithItsPartial(t *testing.T) {
	c := steadyCache(t)
	c.run(43, "hf", "download", "org/demo")
	c.lock(43, "b")
	c.partial("b", ".01234567.incomplete", 1000)
	if look := c.look(); look.Partials != 2 || len(look.Downloaders) != 2 {
		t.Errorf("%d partials, downloaders %v", look.Partials, look.Downloaders)
	}
}

func TestAHolderThatIsStoppedIsKnownToBe(t *testing.T) {
	c := steadyCache(t)
	if look := c.look(); len(look.Stopped) != 0 {
		t.Fatalf("stopped: %v", look.Stopped)
	}
	stat := filepath.Join(c.proc, "42", "stat")
	for state, want := range map[string]bool{"T": true, "S": false} {
		text, err := os.ReadFile(stat)
		c.must(err)
		c.must(os.WriteFile(stat, regexp.MustCompile(`\) [A-Z]`).ReplaceAll(text, []byte(") "+state)), 0o644))
		if look := c.look(); !look.Alive[0] || slices.Equal(look.Stopped, []int{42}) != want {
			t.Errorf("state %s: alive %v, stopped %v", state, look.Alive, look.Stopped)
		}
	}
}

// Beyond what is read of the list, who holds a lock isn't seen: but the one who held
// it last may still, as long as it lives, and its death is noticed.
func TestWhoHeldALockBeyondTheListStillMay(t *testing.T) {
	c := newCache(t)
	c.look()
	c.run(42, "python3", "x.py")
	c.partial("a", ".01234567.incomplete", 1000)
	c.lock(42, "a")
	if l := c.look(); !l.Locked || len(l.Downloaders) != 1 {
		t.Fatalf("look %+v", l)
	}
	crowd := strings.Repeat("2: POSIX  ADVISORY  WRITE 666 08:02:999 0 0\n", 100_000)
	c.must(os.WriteFile(filepath.Join(c.proc, "locks"), []byte(crowd+c.locks["a"]), 0o644))
	for range 8 {
		c.now = c.now.Add(growingAge)
		if l := c.look(); !l.Locked || !l.Alive[0] {
			t.Fatalf("while it lives: look %+v", l)
		}
	}
	if n := strings.Count(c.log.String(), "most_are_held_by_pid=666"); n != 1 {
		t.Errorf("said %d times:\n%s", n, c.log)
	}
	c.must(os.RemoveAll(filepath.Join(c.proc, "42")))
	var l Look
	for range 3 {
		c.now = c.now.Add(growingAge)
		l = c.look()
	}
	if l.Locked || l.Alive[0] {
		t.Errorf("after its death: look %+v", l)
	}
}
