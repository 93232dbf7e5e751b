package sizer

import "time"

// Pace is how closely a repository wants to be watched after a look.
type Pace int

// The paces.
const (
	// Idle: nothing to see until its blobs directory changes.
	Idle Pace = iota
	// Slow: partials lie there that may be resumed without the directory
	// showing it, or a play waits for its end to be judged.
	Slow
	// Steady: bytes are coming, and nothing else has changed for a while.
	Steady
	// Fast: bytes are coming.
	Fast
)

const (
	// calmAfter is how long nothing but sizes must have changed until
	// looks may come more seldom: who comes next shall not be missed.
	calmAfter = 5 * time.Second
	// lastLooks is in how many looks like the last one all would be there:
	// the end is told soon.
	lastLooks = 4
)

// rest decides how closely to look, and forgets a repo that needs no memory.
func (r *Root) rest(rp *repo) Pace {
	switch {
	case rp.play != nil && rp.play.calm:
		return Steady
	case rp.play != nil && rp.play.lively, rp.tree != nil && rp.tree.stirring:
		return Fast
	case rp.play != nil || len(rp.partials) > 0 || rp.awaiting, rp.tree != nil && len(rp.tree.dirs) > 1:
		return Slow
	}
	if rp.since.After(r.opts.Since) {
		r.since[rp.folder] = rp.since
		r.rested[rp.folder] = rp.last
	}
	delete(r.repos, rp.folder)
	return Idle
}

// calm reports whether known files are written under known locks, nothing else
// has happened for a while, and the end isn't near.
func (p *pass) calm(pl *play, look *Look) bool {
	locks := &p.repo.reading
	elsewhere := p.rootStages() || p.unsure || len(p.held.outside) > 0
	if p.relisted || !locks.steady || !locks.held.any || elsewhere || look.Proof != NoProof {
		pl.stirred = p.now
	}
	ends := look.Total > 0 && look.Total-look.Bytes <= lastLooks*look.Arrived
	return !ends && p.now.Sub(pl.stirred) >= calmAfter
}

// rootStages: files are known that old clients write into the root.
func (p *pass) rootStages() bool { return len(p.root.temps.found)+len(p.root.temps.loose) > 0 }
