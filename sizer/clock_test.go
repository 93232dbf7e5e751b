package sizer

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// settable is a file system by a clock that is set: files get other times from then
// on, and keep those that they have.
type settable struct {
	fsys.Real
	was []setting
}

type setting struct {
	at    int64
	ahead time.Duration
}

func (s *settable) set(ahead time.Duration) {
	s.was = append(s.was, setting{time.Now().UnixNano(), ahead})
}

func (s *settable) shown(stamp int64) int64 {
	ahead := time.Duration(0)
	for _, w := range s.was {
		if stamp >= w.at {
			ahead = w.ahead
		}
	}
	return stamp + int64(ahead)
}

func (s *settable) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	err := s.Real.Fstatat(at, name, st, flags)
	st.Mtim, st.Ctim = unix.NsecToTimespec(s.shown(st.Mtim.Nano())), unix.NsecToTimespec(s.shown(st.Ctim.Nano()))
	return err
}

func (s *settable) Birth(at int, name string) int64 {
	if born := s.Real.Birth(at, name); born != 0 {
		return s.shown(born)
	}
	return 0
}

// Whatever the clock says: a new revision consists of what came for it, and of
// nothing that came before.
func TestAClockThatIsSetMakesNothingNewOrOld(t *testing.T) {
	for what, ahead := range map[string]time.Duration{"ahead": time.Hour, "back": -time.Hour} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			c.step = 0
			kernel := &settable{}
			c.opts.FS = kernel
			c.root = NewRoot(c.opts)
			fetch := func(word, commit string) {
				t.Helper()
				c.nextTick()
				must(t, os.MkdirAll(c.in(demo, "snapshots", commit), 0o755))
				c.partial(word, ".incomplete", 0)
				c.expect("begun", want{play: true, partials: 1})
				for size := 1; size <= 3; size++ {
					c.nextTick()
					c.partial(word, ".incomplete", size*mib)
					c.expect("grows", want{play: true, bytes: int64(size * mib), arrived: mib, partials: 1})
				}
				c.nextTick()
				c.finish(word, ".incomplete", commit, word+".bin")
				c.expect("in its place", want{play: true, bytes: 3 * mib, done: 1})
				c.conclude()
				c.expect("told", want{})
			}
			fetch("a", commitA)
			c.nextTick()
			kernel.set(ahead)
			fetch("b", commitB)
			c.nextTick()
			kernel.set(10 * time.Second) // more than what a look tells too late
			fetch("c", "cccccccccccccccccccccccccccccccccccccccc")
		})
	}
}

// A repository that is removed and made anew is another one, though the clock was set.
func TestAClockThatIsSetRemovesNothing(t *testing.T) {
	c := newCache(t)
	kernel := &settable{}
	c.opts.FS = kernel
	c.root = NewRoot(c.opts)
	c.nextTick()
	kernel.set(-time.Hour)
	c.partial("a", ".incomplete", 0)
	c.look()
	for size := 1; size <= 3; size++ {
		c.nextTick()
		c.partial("a", ".incomplete", size*mib)
		if l := c.look(); l.Gone || !l.InPlay {
			t.Fatalf("look %+v", l)
		}
	}
	must(t, os.RemoveAll(c.in(demo)))
	c.partial("a", ".incomplete", mib)
	if l := c.look(); !l.Gone {
		t.Fatalf("look %+v", l)
	}
}

// A folder that was made long ago and is moved to where another was tells of no clock.
func TestAFolderThatIsMovedSetsNoClock(t *testing.T) {
	c := newCache(t)
	kernel := &settable{}
	c.opts.FS = kernel
	c.root = NewRoot(c.opts)
	kernel.set(-time.Hour)
	c.nextTick() // what comes before that has the time of before
	c.write(c.in(other, "blobs", etag("a")), mib)
	c.nextTick()
	kernel.set(0)
	c.partial("b", ".incomplete", mib)
	c.look()
	must(t, os.RemoveAll(c.in(demo)))
	must(t, os.Rename(c.in(other), c.in(demo)))
	for range 3 {
		c.look()
	}
	if now := time.Now(); !c.root.clock.Ours(now).Equal(now) || !c.root.clock.Theirs(now).Equal(now) {
		t.Error("the clock is taken to be set")
	}
}
