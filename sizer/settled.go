package sizer

import (
	"time"
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

func newSettled() *settled {
	return &settled{files: make(map[uint64]settledFile), links: make(map[uint64]struct{}), round: 1}
}

// has reports whether a file is counted.
func (s *settled) has(key string) bool {
	return len(s.files) > 0 && s.files[hashOf(key)].round == s.round
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
	s.bytes = AddSaturating(s.bytes, size)
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
