// Package fsclock tells times of files by a clock that is never set. Files get theirs from
// one that may be: this machine's, or that of another one whose disk it is.
package fsclock

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// A Clock is one that only goes on: the time at which it was made, and how long ago that
// was. Where the file system's clock is set at some moment, what came first would seem to
// have come last. So as a Kernel it translates what that tells of times into its own, by
// what was seen to change between two looks: that got its time between them. It belongs to
// one goroutine.
type Clock struct {
	fsys.Kernel
	// remote: the file system's clock isn't this machine's.
	remote bool
	start  time.Time
	// now is that of the look that goes on, wall by how much this machine's clock
	// was ahead then.
	now  time.Time
	wall time.Duration
	// spells are those between which the file system's clock was set, the one first
	// that was seen last. What is of none of them is by the clock as it was at the
	// start; over: so is what comes now.
	spells []spell
	over   bool
	// plain: nothing is translated.
	plain bool
}

// A spell is a time in which a file system's clock wasn't as it was at the start.
// from and to are the first and the last time, in nanoseconds since 1970, that a file
// was seen to get then.
type spell struct {
	from, to int64
	// ahead is by how much it is ahead of the Clock.
	ahead time.Duration
}

const (
	// maxSpells bounds how often a clock may be set until that is forgotten.
	maxSpells = 16
	// late is how old what a network file system tells of a file may be: a change
	// that shows so much later tells of no clock that was set.
	late = 2 * time.Minute
	// wasSet is from when on this machine's clock was set, and not just read late.
	wasSet = 20 * time.Millisecond
)

// New makes one that starts now. remote: the file system's clock isn't this machine's.
func New(kernel fsys.Kernel, remote bool) *Clock {
	now := time.Now()
	return &Clock{Kernel: kernel, remote: remote, start: now, now: now}
}

// Fstatat implements fsys.Kernel.
func (c *Clock) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	err := c.Kernel.Fstatat(at, name, st, flags)
	if err == nil && len(c.spells) > 0 && !c.plain {
		st.Mtim = unix.NsecToTimespec(c.translated(st.Mtim.Nano()))
		st.Ctim = unix.NsecToTimespec(c.translated(st.Ctim.Nano()))
	}
	return err
}

func (c *Clock) translated(stamp int64) int64 {
	for i, s := range c.spells {
		if i == 0 && !c.over { // it goes on
			s.to = max(s.to, c.now.Add(s.ahead+late).UnixNano())
		}
		if s.from <= stamp && stamp <= s.to {
			return stamp - int64(s.ahead)
		}
	}
	return stamp
}

// Ours is a time of the file system by this clock.
func (c *Clock) Ours(theirs time.Time) time.Time {
	if theirs.IsZero() {
		return theirs
	}
	return time.Unix(0, c.translated(theirs.UnixNano()))
}

// Theirs is what a file would get as its time now, when it is that by this clock.
func (c *Clock) Theirs(ours time.Time) time.Time {
	if ours.IsZero() || c.over || len(c.spells) == 0 {
		return ours
	}
	return ours.Add(c.spells[0].ahead)
}

// steady is a moment by this clock.
func (c *Clock) steady(now time.Time) time.Time { return c.start.Add(now.Sub(c.start)) }

// Look begins a look and gives its time. That this machine's clock was set shows at
// once, and tells of the files that are its own.
func (c *Clock) Look(now time.Time) time.Time {
	before := c.now
	c.now = c.steady(now)
	wall := now.Round(0).Sub(c.now.Round(0))
	if (wall - c.wall).Abs() < wasSet {
		return c.now
	}
	c.wall = wall
	if !c.remote {
		c.learn(now.UnixNano(), c.now, before, wasSet)
	}
	return c.now
}

// learn takes in a time that a file got between some moment and now, as exactly as
// that can be told, and reports whether it follows that the clock was set, which was
// after a look.
func (c *Clock) learn(stamp int64, earliest, look time.Time, exactly time.Duration) bool {
	fits := func(s spell) bool {
		at := stamp - int64(s.ahead)
		return at >= earliest.Add(-exactly).UnixNano() && at <= c.now.Add(exactly).UnixNano()
	}
	asAtFirst := fits(spell{})
	if asAtFirst && (c.over || len(c.spells) == 0) {
		return false
	}
	if len(c.spells) > 0 && !c.over { // it went on until that look at least
		c.spells[0].to = max(c.spells[0].to, look.Add(c.spells[0].ahead).UnixNano())
	}
	gap := min(c.now.Sub(look), late)
	s := spell{from: stamp - int64(gap), to: stamp, ahead: time.Duration(stamp - c.now.UnixNano())}
	i := slices.IndexFunc(c.spells, fits)
	switch {
	case i < 0 && asAtFirst:
		c.over = true
		return true
	case i >= 0:
		s = c.spells[i]
		s.from, s.to = min(s.from, stamp), max(s.to, stamp)
		c.spells = slices.Delete(c.spells, i, i+1)
	}
	same := i == 0 && !c.over
	c.spells = slices.Insert(c.spells, 0, s)
	c.spells, c.over = c.spells[:min(len(c.spells), maxSpells)], false
	return !same
}

// Changed takes in that a file, which is e, has changed since a look, and reports whether
// it follows that the clock was set since. Then the file is to be asked for again, and all
// that was told of times may be wrong; see Amend. stat asks for the file.
func (c *Clock) Changed(e fsys.Entry, look time.Time, stat func() (fsys.Entry, error)) bool {
	asExpected := e.Ctime.After(look.Add(-late)) && e.Ctime.Before(c.now.Add(late))
	if look.IsZero() || asExpected && len(c.spells) == 0 {
		return false
	}
	c.plain = true
	e, err := stat()
	c.plain = false
	return err == nil && c.learn(e.Ctime.UnixNano(), look, look, late)
}

// Amend puts right a time that was told before the clock was known to be set, if it seems
// to be to come.
func (c *Clock) Amend(t *time.Time) {
	if t.After(c.now.Add(late)) {
		*t = c.Ours(*t)
	}
}
