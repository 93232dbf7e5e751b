package sizer

import (
	"slices"
)

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
		s.found = AddSaturating(s.found, counted)
	}
	if more := f.size - counted; more > 0 && f.foundThere() {
		s.found = AddSaturating(s.found, more)
	} else if more > 0 {
		s.arrived = AddSaturating(s.arrived, more)
	}
}

// recountDue reports whether what is kept as numbers is to be counted anew: once
// when nothing has changed for a while, so that no verdict rests on what was.
func (p *pass) recountDue(pl *play) bool {
	return pl.recounting() && p.now.Sub(pl.moved) >= recountAfter
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
