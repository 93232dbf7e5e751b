package sizer

import "testing"

// quietly passes the time that a missed lock is allowed, and lets the play be
// worked out anew.
func (c *cache) quietly() Look {
	c.t.Helper()
	c.now = c.now.Add(2 * livelyAfter)
	c.look()
	return c.look()
}

// A client that gives up between taking a file's lock and making its partial
// leaves a tidy cache.
func TestALockThatCameToNothingIsAFailedAttempt(t *testing.T) {
	c := newCache(t)
	c.run(42, "hf-hub")
	c.lock(42, "small")
	c.whole("small", 700, commitA, "config.json")
	c.look()
	c.unlock("small")
	c.lock(42, "large")
	c.look()
	c.look()
	c.kill(42)
	l := c.quietly()
	if !l.InPlay || l.Failed != 1 || l.Bytes != 700 {
		t.Fatalf("look %+v", l)
	}
	c.restart(l.Checkpoint)
	if l = c.quietly(); l.Failed != 1 {
		t.Fatalf("after a restart: %+v", l)
	}
	// Another one brings it.
	c.run(43, "hf-hub")
	c.lock(43, "large")
	c.partial("large", ".incomplete", mib)
	c.look()
	c.finish("large", ".incomplete", commitA, "model.bin")
	c.kill(43)
	if l = c.quietly(); l.Failed != 0 || l.FilesDone != 2 {
		t.Fatalf("once it is there: %+v", l)
	}
}

func TestALockOfWhatIsThereIsNoFailedAttempt(t *testing.T) {
	c := newCache(t)
	c.whole("known", mib, commitA, "known.bin")
	c.watch(c.now, nil)
	c.run(42, "hf-hub")
	c.lock(42, "new")
	c.partial("new", ".01234567.incomplete", mib)
	c.lock(42, "known")
	c.look()
	c.unlock("known")
	c.link("known", commitB, "known.bin")
	c.look()
	c.finish("new", ".01234567.incomplete", commitB, "new.bin")
	c.look()
	c.kill(42)
	if l := c.quietly(); l.Failed != 0 {
		t.Fatalf("look %+v", l)
	}
}
