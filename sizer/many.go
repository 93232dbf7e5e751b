package sizer

import (
	"errors"
	"time"

	"progressd/fsys"
)

const (
	// maxKept is how many files of a download are kept one by one, before those
	// of which no more is expected are kept as a number each; settledAfter is
	// how long ago such a one has come.
	maxKept      = 256
	settledAfter = 5 * time.Second
	// checkEvery is how often it is looked, where there are more, whether one
	// that is there is as it was.
	checkEvery = 5 * time.Second
	// maxSettled is how many files of a download are counted at all.
	maxSettled = 1 << 20
	// recountAfter is how long nothing must have changed until those that are
	// kept as numbers are counted anew: that they are still there, and are what
	// they were, is not seen before.
	recountAfter = 15 * time.Second
)

// errTooMany is said of a repository of which not all can be counted: a part
// of it would be a wrong number.
var errTooMany = errors.New("it has more files than are counted, so nothing is told of it")

// A settled file takes so much memory, in bytes (seen).
const (
	settledBytes = 48
	settledPiece = 4096
)

// settle counts a file that is in its place and that nobody has kept.
func (p *pass) settle(pl *play, key string, e fsys.Entry) error {
	if !pl.settled.room(p.root) {
		return errTooMany
	}
	size := e.Size - p.root.fs.holes(e)
	before, known := pl.settled.add(key, size, 1, e.Ctime)
	switch {
	case known:
		pl.settled.arrived = AddSaturating(pl.settled.arrived, max(0, size-before))
	case e.After(pl.baseline):
		pl.settled.arrived = AddSaturating(pl.settled.arrived, size)
	default:
		pl.settled.found = AddSaturating(pl.settled.found, size)
	}
	if e.After(pl.baseline) && !known {
		pl.changed = p.now
	}
	return nil
}

// room reports whether one more can be counted.
func (s *settled) room(r *Root) bool {
	if n := len(s.files); n < s.reserved || s.refused {
		return !s.refused
	}
	const piece = settledPiece * settledBytes
	if s.refused = len(s.files) >= maxSettled || !r.reserve(piece); s.refused {
		return false
	}
	s.reserved += settledPiece
	giveBackWith(s, r.opts.Reserve, piece)
	return true
}

// dueAgain reports whether one of so many files, last looked at then, is to be
// looked at now.
func (p *pass) dueAgain(checked time.Time, among int) bool {
	age := p.now.Sub(checked)
	return p.thorough || among <= maxKept || age < 0 || age >= checkEvery
}
