package watcher

import "time"

// The kernel keeps so many events for a process (fs.inotify.max_queued_events, 16 384)
// and no more: what one user makes as fast as it can is what others' events are lost
// for, and these are seen a poll later, or several. So what tells too much isn't
// watched any more, and is polled.
const (
	// stormOfOne is how many events a directory may give in a second: then it goes
	// unwatched until the next poll.
	stormOfOne = 2000
	// stormOfUser is how many all directories of a user may give: then each that goes
	// on does, and none is watched again before a rest of that many polls, which
	// doubles up to the longest while it begins anew.
	stormOfUser   = 6000
	stormRest     = 12
	stormRestsMax = 16
)

// storms are how much is told in this second, and who told too much.
type storms struct {
	rest   time.Duration
	second int64
	of     map[*repo]int
	by     map[int]int // by owner
	unruly map[int]unruly
}

// unruly is a user who told too much.
type unruly struct {
	until time.Time
	times int
}

func newStorms() storms {
	return storms{rest: armingRest, of: make(map[*repo]int), by: make(map[int]int), unruly: make(map[int]unruly)}
}

// counts counts an event, and reports whether it is one too many. Those in which a
// pattern waits for a root are watched by name, and aren't counted.
func (s *storms) counts(p *repo) bool {
	owner := p.box.owner
	if owner == nobody {
		return false
	}
	now := time.Now()
	if second := now.Unix(); second != s.second {
		s.second = second
		clear(s.of)
		clear(s.by)
	}
	s.of[p]++
	s.by[owner]++
	if s.by[owner] == stormOfUser+1 {
		s.begins(owner, now)
	}
	return s.of[p] > stormOfOne || s.by[owner] > stormOfUser
}

// begins lets a user's directories rest.
func (s *storms) begins(owner int, now time.Time) {
	u := s.unruly[owner]
	if now.Sub(u.until) > stormRestsMax*s.rest {
		u.times = 0
	}
	u.until = now.Add(backOff(s.rest, stormRestsMax*s.rest, u.times))
	u.times++
	s.unruly[owner] = u
}

// calm reports whether a user's directories may be watched.
func (s *storms) calm(owner int, now time.Time) bool { return !now.Before(s.unruly[owner].until) }
