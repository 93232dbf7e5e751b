package sizer

import (
	"strconv"
	"time"

	"progressd/downloader"
	"progressd/fsclock"
	"progressd/hfcache"
)

// A play is the time in which a repository moves: from the first sign of a
// download until its end is proven, or judged; see Options.Judged. The tracker's
// episodes are made of plays; a play knows nothing of verdicts.
type play struct {
	id string
	// since: finished blobs that came later are this play's.
	// opened is since, also where that has moved on with a restart.
	since, opened time.Time
	// start is when it began, zero if that was in a former life of the daemon.
	start time.Time
	// restored: taken up from the memory of a former life of the daemon;
	// restoredBytes is where that left off.
	restored      bool
	restoredBytes int64

	scope
	crew
	traces
	guess  guess
	search search

	files map[string]*file
	// settled are those of which no more is expected, where there are many;
	// recounted is when they were last counted anew, moved when bytes or names
	// last came.
	settled          *settled
	recounted, moved time.Time
	failed           map[string]bool
	formerFailed     int
	base, bytes      int64
	looked           bool // counted at least once
	landing
	tempo
}

// A scope is which revisions a play is of, and what is known of their files.
type scope struct {
	revisions []string // newest first
	succeeded bool     // they are of an attempt that another one has followed
	renewed   bool     // they have to be found out again
	rebuilt   time.Time
	justDone  []string // etags finished since that was last done
	unlinked  []string // those of them that no revision is known for
	kept      []string // see Memory.Kept
	// listed: every revision in flight has a listing; fromHub: of one of
	// them only the hub has it.
	listed, fromHub bool
}

// A crew is who downloads, and what they want.
type crew struct {
	downloaders []downloader.Process
	running     []bool           // of them, as it was at asked
	stopped     []int            // pids of those that do nothing until they are continued
	asked       time.Time        // the kernel
	name        hfcache.Repo     // see Memory.Name
	wanted      []hfcache.Filter // nil: unknown
	match       func(path string) bool
	unhelpful   bool // what is wanted names nothing that is listed
	// attempt is when the last one was first seen, attemptBegan when its
	// process began.
	attempt, attemptBegan time.Time
}

// traces are what the clients of a play were seen to leave on the disk.
type traces struct {
	lockSeen, partialSeen bool
	broughtUnseen         bool // see Memory.BroughtUnseen
	linkless              bool // files lie in the snapshot themselves
	inodes                map[uint64]string
	locked                map[string]sighting  // when an etag was last seen locked
	unlocked              map[string]time.Time // the first look at which it was locked no more
	copying               map[string]int       // see Memory.Copying
	beside                map[int]bool         // pids of those that had a partial beside the blobs
}

// A landing is what the last look found put in its place, or about to be.
type landing struct {
	// tempDebt are bytes of files that have left the root, and were counted there;
	// underway is what was moved out of it just now: see inLanding.
	tempDebt     int64
	underway     int64
	landingLooks int
	// landed: since the last look a file was put in its place. Its bytes may have
	// come without the count showing it: one was there, or a dead attempt's partial.
	landed bool
	// doubled: see Look.Doubled. differs: there was a Look.Mismatched.
	doubled, differs bool
	// stocked: what there is was looked at before.
	stocked bool
}

// A tempo is how closely a play is looked at.
type tempo struct {
	changed time.Time
	lively  bool
	// stirred is when anything but sizes last changed; see calm.
	stirred time.Time
	calm    bool
}

// A sighting is when a lock was last held, and by which process.
type sighting struct {
	at time.Time
	by int
}

func newPlay(now, since time.Time) *play {
	return &play{
		id: strconv.FormatInt(now.UnixNano(), 36), since: since, opened: since, start: now,
		files: make(map[string]*file), settled: newSettled(), failed: make(map[string]bool), tempo: tempo{changed: now},
		traces: traces{inodes: make(map[uint64]string), locked: make(map[string]sighting), unlocked: make(map[string]time.Time)},
	}
}

func restored(m Memory, c *fsclock.Clock) *play {
	pl := newPlay(time.Time{}, c.Ours(m.Since))
	pl.id, pl.restored, pl.restoredBytes = m.Play, true, m.Bytes
	pl.revisions, pl.base, pl.formerFailed = m.Revisions, m.Base, m.Failed
	pl.downloaders, pl.name = m.Downloaders, m.Name
	pl.attemptBegan, pl.succeeded = c.Ours(m.Attempt), m.Succeeded
	pl.running = make([]bool, len(pl.downloaders))
	pl.lockSeen, pl.partialSeen, pl.broughtUnseen = m.Locks || len(pl.downloaders) > 0, m.Partials, m.BroughtUnseen
	if !m.From.IsZero() {
		pl.opened = c.Ours(m.From)
	}
	if len(m.Revisions) == 0 {
		pl.since = pl.opened
	}
	pl.unlinked, pl.kept, pl.copying = m.Unlinked, m.Kept, m.Copying
	pl.guess.settled = m.Settled
	for _, etag := range m.FailedBlobs {
		pl.failed[etag] = true
	}
	return pl
}

// begun is when the play began.
func (pl *play) begun() time.Time {
	nanoseconds, err := strconv.ParseInt(pl.id, 36, 64)
	if err != nil {
		return pl.since
	}
	return time.Unix(0, nanoseconds)
}

// begin opens a play if there is a sign of one: a live partial, a new blob.
// A lock, a ref or a tree file is none: what is cached takes its lock too.
func (p *pass) begin() bool {
	since := p.repo.since
	sign := len(p.arrivedNew) > 0 || p.placedNew || p.held.temps > 0
	for _, part := range p.repo.partials {
		if !part.live || (!p.held.has(part.Etag) || p.untouched(part)) && p.spent(part) {
			continue // who holds its lock has looked whether the blob is there
		}
		sign = true
		if part.midflight { // what is here now was here before
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
		pl.guess.begun = -1
		if err := p.rebuild(pl); err != nil {
			return err
		}
	}
	p.addFruitless(pl)
	p.supersedeByBlobs(pl)
	p.noteCutOffs(pl)
	pl.attach(p)
	p.reckon(pl)
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
		p.untaken(pl, look)
		p.loading(pl, look)
		p.narrow(pl, look)
	}
	still := p.now.Sub(pl.changed)
	interest := p.interest(pl)
	pl.lively = look.Partials > 0 && interest != Paused || look.Locked || still < 2*livelyAfter
	pl.calm = pl.lively && p.calm(pl, look)
	if look.Proof != NoProof || interest == Settled && !look.Locked && !pl.requesterRuns() {
		p.end()
	}
	return nil
}

// livelyAfter is how long after the last change a play is looked at closely.
const livelyAfter = 5 * time.Second

// rebuildAfter is how long it serves which files a play has, where names tell of no
// change: a file in the place of another shows in a directory's time at most. It is
// a little less than the usual poll, so that each poll sees it.
const rebuildAfter = livelyAfter - 100*time.Millisecond

// note keeps what the locks of this look say.
func (pl *play) note(p *pass) {
	pl.lockSeen = pl.lockSeen || p.held.seen
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
		pl.partialSeen = pl.partialSeen || part.live || part.mtime.After(pl.opened)
	}
}

// noteBeside notes who grows a partial under a lock of his.
func (pl *play) noteBeside(p *pass, part *partial) {
	pid, locked := p.held.by[part.Etag]
	grows := part.grown.Equal(p.now) && part.seen.Equal(p.now) // not just found
	if !locked || !grows || pl.beside[pid] || len(pl.beside) >= maxDownloaders {
		return
	}
	if pl.beside == nil {
		pl.beside = make(map[int]bool)
	}
	pl.beside[pid] = true
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
	pl.broughtUnseen = pl.bringsUnseen(p.repo.opened) || pl.broughtUnseen && pl.restored && len(pl.locked) == 0
	switch {
	case !pl.writesElsewhere():
		look.Unseen = look.Unseen || p.strangers.growing
		look.Unclaimed, look.Doubtful = p.strangers.seen, p.strangers.left
	case !pl.partialSeen && !p.strangers.growing:
		look.Unclaimed, look.Doubtful = p.strangers.seen, p.strangers.left
	}
}

// writesElsewhere: clients with locks, or with partials of their own, write no file into
// the root that nobody knows to be theirs, and no other is at work.
func (pl *play) writesElsewhere() bool {
	return pl != nil && (pl.lockSeen || pl.partialSeen) && !pl.broughtUnseen
}

// bringsUnseen reports whether a file has come since the watch began, and behind
// the last lock that was seen, of which neither a lock nor a partial was, or that came
// long behind it: perhaps by one more client, that has neither.
func (pl *play) bringsUnseen(since time.Time) bool {
	last := since
	for _, seen := range pl.locked {
		last = later(last, seen.at)
	}
	for _, f := range pl.files {
		foreign := f.former == nil && pl.locked[f.etag].at.IsZero() && f.came.After(last)
		late := len(pl.locked) > 0 && f.came.After(last.Add(longGone))
		if f.done && f.isNew && (foreign || late) {
			return true
		}
	}
	return false
}

// longGone is how long after the last lock was seen nothing comes of who held it: a
// download is looked at more often.
const longGone = 10 * time.Second

// newAttempt: another process has taken over from those that are gone. What
// failed before is its business now, and so is which revision is wanted.
func (pl *play) newAttempt(now, began time.Time) {
	clear(pl.failed)
	pl.attempt, pl.attemptBegan = now, began
	pl.formerFailed = 0
	pl.unhelpful = false
	if pl.looked || len(pl.downloaders) > 0 {
		pl.succeeded, pl.renewed = true, true
	}
}

// lost is told of an attached partial that is no more.
func (pl *play) lost(part *partial, now time.Time) {
	pl.changed = now
	if part.live {
		pl.failed[part.Etag] = true
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

// end closes the play: what lies there now was told.
func (p *pass) end() {
	p.repo.since = p.told(p.repo.play)
	p.root.since[p.repo.folder] = p.repo.since
	p.repo.unlinked = p.repo.play.finishedUnlinked()
	files := p.repo.play.files
	p.repo.play = nil
	p.repo.revs = revisions{}
	p.releaseTemps()
	for _, part := range p.repo.partials {
		part.base, part.grown = part.bytes, time.Time{}
		f := files[part.Etag]
		part.kept, part.left = part.attached && part.Attempt == "" && f != nil && f.wanted, false
		part.live, part.attached, part.fresh, part.midflight, part.asked = false, false, false, false, false
	}
}
