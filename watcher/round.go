package watcher

import (
	"context"
	"path/filepath"
	"time"

	"progressd/fsys"
)

// A round is what is asked at one poll.
type round struct {
	kernel fsys.Kernel
	began  time.Time
	stops  []asked
	absent []string
}

// An asked is a stop at which to ask, and how much.
type asked struct {
	stop
	// deep: about what lies in the root, too; prove: whether a link has come on the way.
	deep, prove bool
}

// ask goes the round. It goes on where something has changed, so that what lies in roots
// has its turn, whatever happens elsewhere.
func (r *round) ask() (found finding) {
	proven := ""
	for _, a := range r.stops {
		path := a.path()
		e, err := fsys.PeekAt(r.kernel, path)
		switch {
		case a.place == nil:
			found.changed = found.changed || err != nil || a.listing.mark != markOf(e)
		case err != nil || !a.place.is(e):
			found.changed = true
		case a.rest != nil && (!a.rest.asLeft(e, r.began) || a.deep && !a.rest.allAsLeft(r.kernel)):
			found.stirred = append(found.stirred, a.rest.box)
		}
		if a.prove {
			found.strayed = found.strayed || !straight(r.kernel, proven, path)
			proven = path
		}
	}
	for _, path := range r.absent {
		_, err := fsys.PeekAt(r.kernel, path)
		found.changed = found.changed || !absent(err)
	}
	return found
}

// straight reports whether no link leads to path, where none leads to proven.
func straight(kernel fsys.Kernel, proven, path string) bool {
	for dir := filepath.Dir(path); dir != "/" && !leadsTo(dir, proven); dir = filepath.Dir(dir) {
		if e, err := fsys.PeekAt(kernel, dir); err != nil || !e.IsDir() {
			return false
		}
	}
	return true
}

// round is what to ask now. Whatever is left to the finder and lies on no trail is taken
// back: a root that was found by another pattern, too, and is by that one only now.
func (f *finder) round() *round {
	t := &f.trail
	t.plan()
	f.guards.heed()
	n := t.rounds()
	r := &round{kernel: f.fs, began: fileClock(), stops: make([]asked, 0, len(t.stops)/n+turns), absent: t.absent}
	proving := time.Since(t.began) >= trailAge-time.Duration(n-1)*f.poll
	f.rests.mu.Lock()
	defer f.rests.mu.Unlock()
	covered := 0
	for i := range t.stops {
		s := &t.stops[i]
		deep := s.turn == t.turn
		mine, calm := n == 1 || deep, false
		if s.place == nil {
			calm = !mine && f.guards.calm(s)
		} else if f.rests.find(s) {
			covered++
			calm = true
		}
		if mine || !calm {
			r.stops = append(r.stops, asked{stop: *s, deep: deep, prove: proving && mine})
		}
	}
	if covered < len(f.rests.of) {
		f.rests.wakeStrays(t)
	}
	t.turn = (t.turn + 1) % turns
	if t.proven++; !proving {
		t.proven = 0
	}
	return r
}

// asBefore reports whether all is as the last survey has found it. It is one question:
// if an answer is long in coming, each place is asked about by itself, and each root looks
// after itself meanwhile.
func (f *finder) asBefore(ctx context.Context) bool {
	if !f.trail.sure() || time.Since(f.trail.began) >= trailAge+time.Duration(turns)*f.poll {
		f.rests.close()
		return false
	}
	start, r := time.Now(), f.round()
	answers, _, late := f.surveyor.ask(ctx, []question{{f.surveyor.prefix + "\x00", f.pattern, func() answer {
		return answer{found: r.ask()}
	}}})
	if answers[0] == nil || !late.IsZero() {
		f.rests.close()
		return false
	}
	found := answers[0].found
	for _, box := range found.stirred {
		box.rouse()
	}
	if found.strayed {
		f.trail = trail{}
		f.rests.close()
	}
	if found.changed || found.strayed {
		return false
	}
	if f.trail.proven == f.trail.rounds() {
		f.trail.began, f.trail.proven = start, 0
		if f.guards.missing {
			f.guards.post(&f.trail)
		}
	}
	return true
}
