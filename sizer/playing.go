package sizer

import (
	"time"
)

// begin opens a play if there is a sign of one: a live partial, a new blob.
// A lock, a ref or a tree file is none: what is cached takes its lock too.
func (p *pass) begin() bool {
	since := p.repo.baseline
	sign := len(p.arrivedNew) > 0 || p.placedNew || p.held.temps > 0
	for _, part := range p.repo.partials {
		if !part.live || (!p.held.has(part.Etag) || p.untouched(part)) && p.spent(part) {
			continue // who holds its lock has looked whether the blob is there
		}
		sign = true
		if part.preexisting { // what is here now was here before
			since = later(since, p.blobsTime)
		}
	}
	if sign = sign && !p.mayBeNamed(); sign {
		p.repo.play = newPlay(p.now, since)
		p.repo.play.linkless = p.placedNew
	}
	return sign
}

// playOn takes stock of a play and ends it when it is over.
func (p *pass) playOn(look *Look) error {
	pl := p.repo.play
	if pl.changed.IsZero() {
		pl.changed = p.now
	}
	pl.people(p)
	news := pl.updateWanted(p.repo.name)
	p.updateLoader(pl)
	pl.note(p)
	if p.hubAnswered(pl) || p.relisted || news || pl.renewed || p.recountDue(pl) || len(pl.justDone) > 0 || (!pl.listed || pl.differs || p.repo.tree != nil) && p.now.Sub(pl.rebuilt) >= rebuildAfter {
		pl.rebuilt = p.now
		pl.renewed = false
		pl.estimate.begun = -1
		if err := p.rebuild(pl); err != nil {
			return err
		}
	}
	p.addFruitless(pl)
	p.supersedeByBlobs(pl)
	p.noteCutOffs(pl)
	pl.attach(p)
	p.updateEstimate(pl)
	p.noticeLanded()
	arrived := pl.count(p.countTemps())
	if arrived > 0 || p.relisted || pl.moved.IsZero() {
		pl.moved = p.now
	}
	p.unseen(pl, look)
	if arrived > 0 || p.held.any || look.Unseen {
		pl.changed = p.now
	}
	if err := p.replaced(); err != nil {
		return err // this look has seen something of both
	}
	pl.describe(p, look)
	look.Arrived, pl.differs = arrived, look.Mismatched != nil
	look.Proof = p.prove(pl, look)
	if look.Proof == NoProof {
		p.missingLinks(pl, look)
		p.loading(pl, look)
		p.narrow(pl, look)
	}
	still := p.now.Sub(pl.changed)
	interest := p.interest(pl)
	pl.lively = look.Partials > 0 && interest != Paused || look.Locked || still < 2*livelyAfter
	pl.calm = pl.lively && p.calm(pl, look)
	pl.idle = !look.Locked && !pl.requesterRuns()
	if look.Proof != NoProof || interest == Settled && pl.idle {
		p.end()
	}
	return nil
}

// close ends a play that is judged, and at which nobody was at work, before this look
// reads what has come since: that is of another play. A file that was fetched anew in
// the place of one that was told of would show nothing new in this one.
func (p *pass) close() {
	if pl := p.repo.play; pl != nil && pl.idle && p.interest(pl) == Settled {
		p.end()
	}
}

// livelyAfter is how long after the last change a play is looked at closely.
const livelyAfter = 5 * time.Second

// rebuildAfter is how long it serves which files a play has, where names tell of no
// change: a file in the place of another shows in a directory's time at most. It is
// a little less than the usual poll, so that each poll sees it.
const rebuildAfter = livelyAfter - 100*time.Millisecond

// people brings up to date who downloads: each process seen holding a lock,
// and whether it still runs.
func (pl *play) people(p *pass) {
	if p.heldAgain {
		return // the same, and who of them runs is known
	}
	for _, pid := range p.held.pids {
		if pl.knows(pid, &p.root.processes) || len(pl.Downloaders) >= maxDownloaders {
			continue
		}
		process, err := p.root.processes.Process(pid)
		if err != nil {
			continue // gone between the two readings
		}
		process.Request = pl.credible(process.Request, p.repo)
		if !pl.anyAlive(&p.root.processes) {
			pl.newAttempt(p.now, p.root.processes.Began(process, p.now))
			p.releaseTemps()
		}
		pl.Downloaders = append(pl.Downloaders, process)
	}
	pl.run(p.now, &p.root.processes)
}

// note keeps what the locks of this look say.
func (pl *play) note(p *pass) {
	pl.LockSeen = pl.LockSeen || p.held.seen
	for etag := range pl.locked {
		if !p.held.has(etag) && pl.unlocked[etag].IsZero() {
			pl.unlocked[etag] = p.now
		}
	}
	for etag, pid := range p.held.by {
		delete(pl.unlocked, etag)
		pl.locked[etag] = sighting{p.now, pid}
	}
	for _, part := range p.repo.partials {
		if part.live {
			pl.inodes[part.ino] = part.Etag
			pl.noteBeside(p, part)
		}
		// One that was left before anybody looked tells as well how its client writes.
		pl.PartialSeen = pl.PartialSeen || part.live || part.mtime.After(pl.firstBaseline)
	}
}

// noteBeside notes who grows a partial under a lock of his. One of more than are known as
// downloaders is read once.
func (pl *play) noteBeside(p *pass, part *partial) {
	pid, locked := p.held.by[part.Etag]
	grows := part.grown.Equal(p.now) && part.seen.Equal(p.now) // not just found
	_, noted := pl.beside[pid]
	if !locked || !grows || !noted && len(pl.beside) >= maxDownloaders {
		return
	}
	if pl.beside == nil {
		pl.beside = make(map[int]uint64)
	}
	started, known := pl.started(pid)
	if known {
		pl.beside[pid] = started
	}
	if known || noted {
		return
	}
	if process, err := p.root.processes.Process(pid); err == nil {
		pl.beside[pid] = process.Started
	}
}

// unseen says what of a play this look can't see.
func (p *pass) unseen(pl *play, look *Look) {
	// Where directories keep their times, these were read anew only if names came or went.
	pl.landed = pl.landed || p.relisted && p.root.opts.Vague && pl.stocked
	pl.stocked = true
	look.Unseen = len(p.held.outside) > 0 || p.unsure || pl.landed
	look.Doubled, look.Vanished, look.Recounting = pl.doubled, p.deleted, pl.recounting()
	pl.landed, pl.doubled = false, false
	for _, part := range p.repo.partials {
		f := pl.files[part.Etag]
		counts := f != nil && f.part == part && !f.finished()
		look.Unseen = look.Unseen || part.live && (part.touched.Equal(p.now) || !counts && part.grown.Equal(p.now))
	}
	// Clients with partials of their own write no such file. One with locks may have
	// left one that nobody saw grow.
	pl.BroughtUnseen = pl.bringsUnseen(p.repo.watchedSince) || pl.BroughtUnseen && pl.restored && len(pl.locked) == 0
	switch {
	case !pl.writesElsewhere():
		look.Unseen = look.Unseen || p.unattributed.growing
		look.Unclaimed, look.Doubtful = p.unattributed.seen, p.unattributed.left
	case !pl.PartialSeen && !p.unattributed.growing:
		look.Unclaimed, look.Doubtful = p.unattributed.seen, p.unattributed.left
	}
}

// interest is what who judges still has in the play. He has to have seen all
// that it has brought.
func (p *pass) interest(pl *play) Interest {
	if p.root.opts.Judged == nil {
		return Open
	}
	newest, interest := p.root.opts.Judged(p.repo.name)
	if newest.Before(pl.changed) {
		return Open
	}
	return interest
}

const (
	// calmAfter is how long nothing but sizes must have changed until
	// looks may come more seldom: who comes next shall not be missed.
	calmAfter = 5 * time.Second
	// lastLooks is in how many looks like the last one all would be there:
	// the end is told soon.
	lastLooks = 4
)

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

// end closes the play: what lies there now was told.
func (p *pass) end() {
	p.repo.baseline = p.repo.play.reported
	p.root.baselines[p.repo.folder] = p.repo.baseline
	p.repo.unlinked = p.repo.play.finishedUnlinked()
	files := p.repo.play.files
	p.repo.play = nil
	p.repo.revs = revisions{}
	p.releaseTemps()
	for _, part := range p.repo.partials {
		part.base, part.grown = part.bytes, time.Time{}
		f := files[part.Etag]
		part.counted, part.resumed = part.attached && part.Attempt == "" && f != nil && f.wanted, false
		part.live, part.attached, part.fresh, part.preexisting, part.asked = false, false, false, false, false
	}
}
