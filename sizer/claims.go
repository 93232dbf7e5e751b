package sizer

import (
	"slices"
	"sync"
	"time"

	"progressd/downloader"
	"progressd/fsys"
)

// rootTempWriters tells which holders of locks may be writing into the root. No
// process writes in two ways: one that leaves a listing (huggingface_hub >=
// 1.22), or has a partial beside the blobs (>= 0.23, or resume_download), has
// a bare lock only for the moment between taking it and making the partial.
type rootTempWriters struct {
	*pass
	beside map[int]bool
}

func (p *pass) newRootTempWriters() rootTempWriters {
	s := rootTempWriters{pass: p, beside: make(map[int]bool)}
	for _, pid := range p.held.pids { // what it wrote to may have been taken away under it
		s.beside[pid] = p.repo.play != nil && p.repo.play.wroteBeside(pid, &p.root.processes)
	}
	for _, part := range p.repo.partials {
		if pid, locked := p.held.by[part.Etag]; locked && p.wrote(pid, part) {
			s.beside[pid] = true
		}
	}
	return s
}

// may reports whether the lock of a blob may stand for a file in the root.
func (s rootTempWriters) may(etag string) bool {
	pid := s.held.by[etag]
	return !s.beside[pid] && !s.listedSince(etag, s.beganAt(pid))
}

// listedSince reports whether a listing that was written since then has the
// blob.
func (s rootTempWriters) listedSince(etag string, since time.Time) bool {
	if s.readRevisions() != nil || s.readListings(nil, []string{etag}) != nil {
		return false
	}
	for _, rev := range s.repo.revs.byCommit {
		if rev.ownList() && rev.listing.byIndex[etag] && rev.written.After(since) {
			return true
		}
	}
	return false
}

// stageTemps claims what this repository's locks entitle it to, and measures it.
// Where it can't be told from what others hold theirs for, one that grows may be
// this repository's all the same.
func (p *pass) stageTemps() {
	p.repo.awaiting = false
	if !p.mayStage() || len(p.root.temps.found) == 0 {
		return
	}
	if p.heldAgain { // they have come since; whose they are, only the locks tell
		p.held = p.readHeld()
	}
	locks := p.stagingLocks()
	if locks.none() {
		p.root.temps.noteUnlocked(p.repo.folder, p.now)
	}
	candidates := p.measureTemps(locks)
	p.repo.awaiting = !locks.none() && p.anyUnowned()
	claims, contested := p.claimable(candidates, locks)
	for _, t := range claims {
		t.owner, t.claimed, t.live = p.repo.folder, p.now, true
		p.held.temps++
	}
	if p.held.temps > len(locks.bare) {
		p.held.anew = locks.again
	}
	for _, t := range candidates {
		if t.owner != "" {
			continue
		}
		growing := p.now.Sub(t.grown) < grace
		t.contested = t.contested || contested && !locks.none()
		p.unsure = p.unsure || growing && (!locks.none() || len(locks.over) > 0)
	}
	p.meetTemps()
}

// measureTemps brings the files up to date and gives those that this repository
// might claim.
func (p *pass) measureTemps(locks stagingLocks) (candidates []*rootTemp) {
	taken := sync.OnceValue(func() time.Time { return p.firstTaken(locks) })
	for name, t := range p.root.temps.found {
		if t.another(p.repo) {
			p.unsure = p.unsure || !locks.none() && p.writtenOn(name, t)
			continue
		}
		e, ok := p.tempAt(name)
		if !ok {
			delete(p.root.temps.found, name)
			p.root.moved(t)
			continue
		}
		p.measureTemp(t, e)
		switch {
		case t.owner != "":
			t.live = p.held.any
			p.held.temps++
		case t.growing(p.now) || p.madeUnderLock(t, taken):
			candidates = append(candidates, t)
		}
	}
	return candidates
}

// meetTemps notes those that nobody claims. Of a client that has locks its own would be
// seen: what others leave in the root while it runs says nothing against it. That holds
// from the first look on, and not for what was left between its first file and that, nor
// for what was left when its last one came.
func (p *pass) meetTemps() {
	last := sync.OnceValue(func() time.Time { return p.repo.play.lastSign() })
	for _, t := range p.root.temps.found {
		switch pl := p.repo.play; {
		case t.owner != "" || t.forsaken:
		case pl == nil || !pl.LockSeen:
			p.meet(t)
		case t.mtime.Before(pl.start) && !t.mtime.Before(pl.firstSign()), t.beside(last()):
			p.leave(t)
		}
	}
}

// claimable are those of the candidates that are surely this repository's: no
// more than it holds locks for, while nobody else in the root may have made them.
// What is fetched anew though it is there has to be seen to grow: who takes the
// lock of a blob that is there mostly finds just that. contested: others may have
// made them.
func (p *pass) claimable(candidates []*rootTemp, locks stagingLocks) (claims []*rootTemp, contested bool) {
	free := len(locks.bare) - p.held.temps
	if len(candidates) > free {
		candidates = slices.DeleteFunc(slices.Clone(candidates), func(t *rootTemp) bool { return !t.grown.After(t.seen) })
		free += len(locks.again)
	}
	if len(candidates) == 0 || free <= 0 {
		return nil, false
	}
	if len(candidates) > free || p.othersStage() {
		return nil, true
	}
	return candidates, false
}

// madeUnderLock: the file was made since the first of the locks that may stand for it
// was taken, and since this repository last held none; where that isn't known, since
// those began who hold them. What is older was left by an attempt that is dead, and what
// others may have made as well may have been left by them; if not, it grows.
func (p *pass) madeUnderLock(t *rootTemp, taken func() time.Time) bool {
	since, known := p.root.temps.unlocked[p.repo.folder]
	if t.contested || !t.claimed.IsZero() || known && !t.seen.After(since) {
		return false
	}
	if !known {
		since = p.holdersBegan()
	}
	return !since.IsZero() && t.born.After(later(since, taken()).Add(-fsys.Tick))
}

// firstTaken is when the first of these locks was taken, as their files tell: who takes
// one truncates its file (filelock from 3.0 on), and who waits for it does so again and
// again. It is now where that can't be told.
func (p *pass) firstTaken(locks stagingLocks) (first time.Time) {
	asked := 0
	for _, of := range []map[string]bool{locks.bare, locks.again} {
		for etag := range of {
			if asked++; asked > maxTemps {
				return p.now // an earlier one may be among the others
			}
			if at := p.lockTaken(etag); first.IsZero() || at.Before(first) {
				first = at
			}
		}
	}
	return first
}

// holdersBegan is when the last of those began who hold the repository's locks,
// or a moment ago if that can't be found out. A cache that is found by a poll
// may have been written to for seconds.
func (p *pass) holdersBegan() time.Time {
	var began time.Time
	for _, pid := range p.held.pids {
		process, err := p.root.processes.Process(pid)
		if err != nil {
			return p.now.Add(-fsys.Coarse)
		}
		began = later(began, p.root.processes.Began(process, p.now))
	}
	return began
}

// othersStage reports whether another repository of the root holds a lock and
// so may own a file in the root as well, or whether that can't be told. Who has a
// partial beside its blobs writes there, unless another one has left it.
func (p *pass) othersStage() bool {
	table, err := p.root.opts.Procs.Locks(p.now, downloader.LocksAge)
	if err != nil {
		return true
	}
	found := false
	all := p.newLockSearch(table, func(folder, etag string, pid int) bool {
		found = folder != p.repo.folder && !p.writesBeside(p.root.repos[folder], etag, pid)
		return !found
	}).run()
	return found || !all
}

// writesBeside reports whether who holds the lock of a blob of a repository is known to
// write beside the blobs: he was seen to, or has written there since he began.
func (p *pass) writesBeside(rp *repo, etag string, pid int) bool {
	if rp == nil {
		return false
	}
	if rp.play != nil && rp.play.wroteBeside(pid, &p.root.processes) {
		return true
	}
	for _, part := range rp.partials {
		if part.Etag == etag && p.wrote(pid, part) {
			return true
		}
	}
	return false
}

func (p *pass) stagingLocks() stagingLocks {
	locks := stagingLocks{make(map[string]bool), make(map[string]bool), make(map[string]bool)}
	since, writers := p.repo.baseline, p.newRootTempWriters()
	if p.repo.play != nil {
		since = p.repo.play.baseline
	}
	for etag := range p.held.by {
		if p.held.outside[etag] || !writers.may(etag) {
			continue
		}
		if p.repo.writes(etag) {
			locks.over[etag] = true
			continue
		}
		switch e, err := p.blob(etag); {
		case err != nil:
			locks.bare[etag] = true
		case !e.After(since): // else it has just come under this lock
			locks.again[etag] = true
		}
	}
	return locks
}

// Rust's hf-hub up to 0.3 writes a blob to tmp/<7 alnum> in the root and moves
// it to its repository when it is finished. No lock says whose it is, so it is
// counted before that only where the root holds a single repository. Elsewhere
// it keeps those from being called complete that may be waiting for it.

// claimRustFiles measures them and claims those that only this repository can own.
func (p *pass) claimRustFiles() {
	if p.repo.tree != nil {
		return // its clients write beneath it
	}
	for path, t := range p.root.temps.rust {
		if t.another(p.repo) {
			p.unattributed.growing = p.unattributed.growing || p.writtenOn(path, t)
			continue
		}
		e, ok := p.tempAt(path)
		if !ok {
			delete(p.root.temps.rust, path)
			p.root.moved(t)
			continue
		}
		p.measureTemp(t, e)
		p.claimRust(t)
	}
	p.supersede()
}

func (p *pass) claimRust(t *rootTemp) {
	old := t.mtime.Before(p.root.clock.Ours(p.repo.born)) // of one that was there before
	if t.owner == "" && !old && (t.growing(p.now) || p.resumes(&t.partial)) && p.root.fs.blocks && !p.repo.play.writesElsewhere() {
		alone := p.sole() == p.repo.folder
		if alone && !t.contested { // else it may be of one that is removed
			t.owner, t.claimed, t.live = p.repo.folder, p.now, true
		}
		t.contested = t.contested || !alone
	}
	if t.owner != "" {
		p.held.temps++
		return
	}
	p.meet(t)
}

// meet notes a file that nobody claims: one that was seen to grow may be about to be put
// in its place, one that wasn't is left there.
func (p *pass) meet(t *rootTemp) {
	switch {
	case !t.grown.After(t.claimed):
		p.leave(t)
	case p.sinceFirstSign(t.grown):
		p.unattributed.seen++
	}
	p.unattributed.growing = p.unattributed.growing || t.growing(p.now)
}

// leave notes a file that nobody claims and that may be left half done by this play's
// client: it was written to since the first of the play's files came, also where both
// were over before anybody looked, and no longer when nothing of the play had moved
// for a while. Who writes on then is somebody else.
func (p *pass) leave(t *rootTemp) {
	pl := p.repo.play
	if pl == nil || !t.mtime.After(t.claimed) || t.mtime.After(pl.changed.Add(longGone)) {
		return
	}
	if p.sinceFirstSign(t.mtime) {
		p.unattributed.left++
	}
}

// beside reports whether a file that nobody claims was written to when the last of the
// play's files came: its client may have begun it and died of it between two looks.
func (t *rootTemp) beside(last time.Time) bool {
	return t.mtime.After(last.Add(-fsys.Coarse)) && t.mtime.Before(last.Add(fsys.Coarse))
}

// sinceFirstSign reports whether what was written then may be of this play.
func (p *pass) sinceFirstSign(written time.Time) bool {
	pl := p.repo.play
	if pl == nil {
		return false
	}
	if p.unattributed.since.IsZero() {
		p.unattributed.since = pl.firstSign().Add(-grace)
	}
	return written.After(p.unattributed.since)
}

// Nothing tells of which blob a file in the root is. What a dead attempt has left
// there stands for something that is missing, until another attempt has brought it.

// supersede gives up what nobody writes to while another is written to that
// was begun later: a new attempt begins with a file of its own.
func (p *pass) supersede() {
	for _, t := range p.root.temps.rust {
		for _, next := range p.root.temps.rust {
			later := next != t && !next.born.Before(t.mtime)
			if later && t.owner == p.repo.folder && next.owner == t.owner && p.now.Sub(t.grown) >= outgrown {
				p.release(t)
				p.held.temps--
			}
		}
	}
}

// outgrown is how long nothing is written to a file before a later one takes its
// place. Who only stands still for longer counts again as soon as he goes on.
const outgrown = fsys.Coarse

// supersedeByBlobs gives up what nobody writes to where a blob has come that was
// begun later and is no smaller: the new attempt may be over between two looks.
// It could be another blob, that a second writer has brought while this one stood
// still: then this one counts again as soon as it grows.
func (p *pass) supersedeByBlobs(pl *play) {
	for t := range p.root.temps.all() {
		if t.owner != p.repo.folder || t.live && (p.held.any || p.now.Sub(t.grown) < outgrown) {
			continue
		}
		for _, f := range pl.files {
			if f.done && f.isNew && f.size >= t.bytes && p.began(f).After(t.mtime) {
				p.release(t)
				break
			}
		}
	}
}

func (p *pass) anyUnowned() bool {
	for _, t := range p.root.temps.found {
		if t.owner == "" && !t.forsaken {
			return true
		}
	}
	return false
}

// writes reports whether there is a partial of a blob.
func (rp *repo) writes(etag string) bool {
	if rp != nil {
		for _, part := range rp.partials {
			if part.Etag == etag {
				return true
			}
		}
	}
	return false
}

// writtenOn reports whether somebody writes on to a file whose owner was removed: it can't
// be counted, but silence proves nothing where that may be this repository, made anew.
func (p *pass) writtenOn(path string, t *rootTemp) bool {
	if !t.forsaken {
		return false
	}
	e, ok := p.tempAt(path)
	if !ok {
		return false
	}
	p.measureTemp(t, e)
	return t.growing(p.now)
}

// another: it is known not to be of this repository.
func (t *rootTemp) another(rp *repo) bool {
	return t.forsaken || t.owner != "" && t.owner != rp.folder
}
