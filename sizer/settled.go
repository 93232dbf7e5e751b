package sizer

import (
	"errors"
	"hash/maphash"
	"slices"
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

// settled are the files of a play that are there and of which no more is
// expected: each is a number, under the hash of its key. A dataset may have
// hundreds of thousands.
type settled struct {
	files map[uint64]settledFile
	// links are those of a cache that are counted, under the hash of their path.
	links map[uint64]struct{}
	// round is that of the counting. What was counted in a former one, and not
	// in this, isn't there any more, but would not arrive a second time.
	round uint32
	// alike: the round before was of the same revisions.
	alike bool
	// bytes and paths of what was counted in this round, and when the last of
	// that came.
	bytes  int64
	paths  int
	newest time.Time
	// arrived and found are bytes that the play has not taken up yet: what came
	// in it, and what was there before.
	arrived, found int64
	// reserved is for how many files there is memory; refused: there is none for
	// more.
	reserved int
	refused  bool
}

// A settledFile is what is kept of one.
type settledFile struct {
	size  int64
	round uint32
	paths uint32
}

var settledSeed = maphash.MakeSeed()

func hashOf(key string) uint64 { return maphash.String(settledSeed, key) }

func newSettled() *settled {
	return &settled{files: make(map[uint64]settledFile), links: make(map[uint64]struct{}), round: 1}
}

// has reports whether a file is counted.
func (s *settled) has(key string) bool {
	return len(s.files) > 0 && s.files[hashOf(key)].round == s.round
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

// unchanged reports whether a file of that size was counted in the round before,
// for the same revisions.
func (s *settled) unchanged(key string, size int64) bool {
	was := s.files[hashOf(key)]
	return s.alike && was.round == s.round-1 && was.size == size
}

// add counts a file that has so many paths. What was counted of it before has
// arrived already.
func (s *settled) add(key string, size int64, paths uint32, at time.Time) (before int64, known bool) {
	h := hashOf(key)
	was, known := s.files[h]
	s.files[h] = settledFile{size, s.round, paths}
	s.bytes = addSaturating(s.bytes, size)
	s.paths += int(paths)
	s.newest = later(s.newest, at)
	return was.size, known
}

// addPath counts one more path of a file that is counted.
func (s *settled) addPath(key string) {
	h := hashOf(key)
	f := s.files[h]
	f.paths++
	s.files[h] = f
	s.paths++
}

// take gives up a file that is to be kept by itself again. What was counted of
// it, and isn't there any more, is remembered.
func (s *settled) take(key string) (was settledFile, known, counted bool) {
	if len(s.files) == 0 {
		return was, false, false
	}
	h := hashOf(key)
	if was, known = s.files[h]; known && was.round == s.round {
		counted = true
		s.bytes -= was.size
		s.paths -= int(was.paths)
		was.round = 0
		s.files[h] = was
	}
	return was, known, counted
}

// anew begins another round; alike: of the same revisions.
func (s *settled) anew(alike bool) {
	for h, f := range s.files {
		if f.round != s.round {
			delete(s.files, h) // it was gone a round before
		}
	}
	clear(s.links)
	s.round++
	s.alike = alike
	s.bytes, s.paths, s.newest = 0, 0, time.Time{}
}

// drain gives what the play has not taken up yet.
func (s *settled) drain() (arrived, found int64) {
	arrived, found = s.arrived, s.found
	s.arrived, s.found = 0, 0
	return arrived, found
}

// settle counts a file that is in its place and that nobody has kept.
func (p *pass) settle(pl *play, key string, e fsys.Entry) error {
	if !pl.settled.room(p.root) {
		return errTooMany
	}
	size := e.Size - p.root.fs.holes(e)
	before, known := pl.settled.add(key, size, 1, e.Ctime)
	switch {
	case known:
		pl.settled.arrived = addSaturating(pl.settled.arrived, max(0, size-before))
	case e.After(pl.since):
		pl.settled.arrived = addSaturating(pl.settled.arrived, size)
	default:
		pl.settled.found = addSaturating(pl.settled.found, size)
	}
	if e.After(pl.since) && !known {
		pl.changed = p.now
	}
	return nil
}

// settleFiles gives up what is kept of the files of which no more is expected,
// where there are many.
func (p *pass) settleFiles(pl *play) error {
	if len(pl.files) <= maxKept {
		return nil
	}
	busy := make(map[string]bool)
	for _, part := range p.repo.partials {
		busy[part.Etag] = true
	}
	for _, etag := range slices.Concat(p.arrivedNew, pl.justDone, pl.unlinked) {
		busy[etag] = true
	}
	some := false
	for key, f := range pl.files {
		if busy[key] || pl.failed[key] || p.locked(key) || !p.calmed(f) {
			continue
		}
		if !pl.settled.room(p.root) {
			return errTooMany
		}
		pl.settled.keep(f)
		delete(pl.files, key)
		delete(pl.locked, key)
		delete(pl.unlocked, key)
		some = true
	}
	if some {
		p.repo.layout.settled(p, pl)
	}
	return nil
}

// calmed reports whether no more is expected of a file.
func (p *pass) calmed(f *file) bool {
	return f.wanted && f.done && f.paths > 0 && f.want < 0 && !f.loose && !f.anew && f.holes == 0 && f.part == nil &&
		p.now.Sub(f.came) >= settledAfter
}

// keep counts a file of the play as a number from now on.
func (s *settled) keep(f *file) {
	s.add(f.etag, f.size, uint32(max(f.paths, 0)), f.came)
	counted := f.counted
	if !f.known {
		counted = f.before()
		s.found = addSaturating(s.found, counted)
	}
	if more := f.size - counted; more > 0 && f.foundThere() {
		s.found = addSaturating(s.found, more)
	} else if more > 0 {
		s.arrived = addSaturating(s.arrived, more)
	}
}

// recountDue reports whether what is kept as numbers is to be counted anew: once
// when nothing has changed for a while, so that no verdict rests on what was.
func (p *pass) recountDue(pl *play) bool {
	return pl.recounting() && p.now.Sub(pl.moved) >= recountAfter
}

// recounting: it waits for that.
func (pl *play) recounting() bool {
	return len(pl.settled.files) > 0 && pl.recounted.Before(pl.moved)
}

// recount counts anew what is kept as numbers; alike: for the same revisions.
func (p *pass) recount(pl *play, alike bool) error {
	pl.recounted, p.thorough = p.now, true
	lean := p.repo.tree != nil && p.repo.tree.lean
	if len(pl.settled.files) == 0 && !lean {
		return nil
	}
	pl.settled.anew(alike)
	for _, f := range pl.files {
		f.elsewhere = 0
	}
	return p.repo.layout.recount(p, pl)
}

// dueAgain reports whether one of so many files, last looked at then, is to be
// looked at now.
func (p *pass) dueAgain(checked time.Time, among int) bool {
	age := p.now.Sub(checked)
	return p.thorough || among <= maxKept || age < 0 || age >= checkEvery
}
