package sizer

import (
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
)

// huggingface_hub <= 0.22 writes a blob to tmpXXXXXXXX in the root and moves
// it into its repository when it is finished. Whose it is, only the locks
// tell: that of a blob that is neither there nor begun, a bare one. So a
// repository claims as many new files as it holds bare locks; where there are
// more, no one can tell, and they count when they are in their place.

// temps are the files of that kind in the root.
type temps struct {
	mark  mark
	found map[string]*temp
	// unlocked is when a repository was last seen to hold no lock that may stand
	// for such a file, while there are some.
	unlocked map[string]time.Time
	// loose are those of Rust's clients; see stageLoose. mayLoose: where they
	// lie there was a name when the root was listed.
	mayLoose  bool
	looseMark mark
	loose     map[string]*temp
}

func (t *temps) all() iter.Seq[*temp] {
	return func(yield func(*temp) bool) {
		for _, found := range []map[string]*temp{t.found, t.loose} {
			for _, one := range found {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// A temp is one of them. Where it counts, what was counted is its base.
type temp struct {
	partial
	born, seen time.Time
	// owner is the folder of the repository that claimed it at claimed.
	owner   string
	claimed time.Time
	// contested: it was seen when more than one might have made it. forsaken: its owner
	// was removed, and though its client may live on, it is nobody's from then on.
	contested, forsaken bool
}

// another: it is known not to be of this repository.
func (t *temp) another(rp *repo) bool {
	return t.forsaken || t.owner != "" && t.owner != rp.folder
}

// maxTemps bounds how many are looked at.
const maxTemps = 256

// listTemps brings the names up to date. Most roots have none.
func (p *pass) listTemps() {
	t := &p.root.temps
	e, err := p.top.Stat()
	if err != nil || !t.mark.stale(e) {
		return
	}
	root, err := p.top.Sub(".")
	if err != nil {
		return
	}
	defer root.Close()
	former := t.found
	t.mark, t.found, t.mayLoose = p.mark(e), make(map[string]*temp), false
	_ = root.Names(func(name string) bool {
		t.mayLoose = t.mayLoose || name == hfcache.RustTempDir
		if !hfcache.IsRootTemp(name) {
			return true
		}
		name = strings.Clone(name)
		// Clients also probe with directories of such names.
		if e, err := root.Lstat(name); err == nil && e.Regular() {
			if t.found[name] = former[name]; former[name] == nil {
				t.found[name] = &temp{born: bornOr(p.root.clock.Ours(root.Born(name)), e), seen: p.now, partial: partial{
					ino: e.Inode, size: e.Size, bytes: p.root.fs.written(e), mtime: e.Mtime,
				}}
			}
		}
		return len(t.found) < maxTemps
	})
	t.mayLoose = t.mayLoose || len(t.found) == maxTemps // more names weren't read
	for name, gone := range former {
		if t.found[name] == nil {
			p.root.moved(gone)
		}
	}
	if len(t.found) == 0 {
		t.unlocked = nil
	}
}

func (t *temps) noteUnlocked(folder string, now time.Time) {
	if t.unlocked == nil {
		t.unlocked = make(map[string]time.Time)
	}
	if _, known := t.unlocked[folder]; known || len(t.unlocked) < maxSearched {
		t.unlocked[folder] = now
	}
}

// mayStage: there are such files at all.
func (p *pass) mayStage() bool {
	if p.repo.tree != nil {
		return false // its clients write beneath it
	}
	p.listTemps()
	p.listLoose()
	return len(p.root.temps.found) > 0 || len(p.root.temps.loose) > 0
}

// moved: the file is in its place now, or gone. Its bytes must not arrive a
// second time, and not be missed until its blob is found, at the next look.
func (r *Root) moved(gone *temp) {
	if rp := r.repos[gone.owner]; rp != nil && rp.play != nil {
		rp.play.tempDebt = addSaturating(rp.play.tempDebt, gone.base)
		rp.play.underway, rp.play.landingLooks = addSaturating(rp.play.underway, gone.base), r.landing()
	}
}

// In how many looks a file that has left the root is found in its place at the latest: in
// the next but one, but a server may take seconds to move it.
const (
	landsWithin    = 2
	landsOnAServer = 20
)

func (r *Root) landing() int {
	if r.opts.Vague {
		return landsOnAServer
	}
	return landsWithin
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

// meetTemps notes those that nobody claims. Of a client that has locks its own would be
// seen: what others leave in the root while it runs says nothing against it. That holds
// from the first look on, and not for what was left between its first file and that.
func (p *pass) meetTemps() {
	for _, t := range p.root.temps.found {
		switch pl := p.repo.play; {
		case t.owner != "" || t.forsaken:
		case pl == nil || !pl.lockSeen:
			p.meet(t)
		case t.mtime.Before(pl.start) && !t.mtime.Before(pl.firstSign()):
			p.leave(t)
		}
	}
}

// measureTemps brings the files up to date and gives those that this repository
// might claim.
func (p *pass) measureTemps(locks stagingLocks) (candidates []*temp) {
	taken := sync.OnceValue(func() time.Time { return p.firstTaken(locks) })
	for name, t := range p.root.temps.found {
		if t.another(p.repo) {
			p.unsure = p.unsure || !locks.none() && p.writtenOn(name, t)
			continue
		}
		e, err := p.top.Lstat(name)
		if err != nil || !e.Regular() {
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

// writtenOn reports whether somebody writes on to a file whose owner was removed: it can't
// be counted, but silence proves nothing where that may be this repository, made anew.
func (p *pass) writtenOn(path string, t *temp) bool {
	if !t.forsaken {
		return false
	}
	e, err := p.top.LstatPath(path)
	if err != nil || !e.Regular() {
		return false
	}
	p.measureTemp(t, e)
	return t.growing(p.now)
}

// measureTemp is measure for a file that may not have been looked at for long: what
// came meanwhile came when it was written to last.
func (p *pass) measureTemp(t *temp, e fsys.Entry) {
	before := t.partial.seen
	t.measure(p.numbered(e, &t.partial), p.root.fs.written(e), p.now)
	if t.grown.Equal(p.now) && p.now.Sub(later(before, t.seen)) >= grace && e.Mtime.Before(p.now) {
		t.grown = e.Mtime
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

// claimable are those of the candidates that are surely this repository's: no
// more than it holds locks for, while nobody else in the root may have made them.
// What is fetched anew though it is there has to be seen to grow: who takes the
// lock of a blob that is there mostly finds just that. contested: others may have
// made them.
func (p *pass) claimable(candidates []*temp, locks stagingLocks) (claims []*temp, contested bool) {
	free := len(locks.bare) - p.held.temps
	if len(candidates) > free {
		candidates = slices.DeleteFunc(slices.Clone(candidates), func(t *temp) bool { return !t.grown.After(t.seen) })
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

// tick is how far a file system's clock lags behind: it moves in steps of the
// kernel's timer, 10 ms at the most.
const tick = 10 * time.Millisecond

// madeUnderLock: the file was made since the first of the locks that may stand for it
// was taken, and since this repository last held none; where that isn't known, since
// those began who hold them. What is older was left by an attempt that is dead, and what
// others may have made as well may have been left by them; if not, it grows.
func (p *pass) madeUnderLock(t *temp, taken func() time.Time) bool {
	since, known := p.root.temps.unlocked[p.repo.folder]
	if t.contested || !t.claimed.IsZero() || known && !t.seen.After(since) {
		return false
	}
	if !known {
		since = p.holdersBegan()
	}
	return !since.IsZero() && t.born.After(later(since, taken()).Add(-tick))
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

func (p *pass) lockTaken(etag string) time.Time {
	for _, dir := range []string{hfcache.LockDir(p.repo.folder), p.repo.folder + "/blobs"} {
		if e, err := p.top.LstatPath(dir + "/" + etag + ".lock"); err == nil && e.Regular() {
			return e.Mtime
		}
	}
	return p.now
}

// holdersBegan is when the last of those began who hold the repository's locks,
// or a moment ago if that can't be found out. A cache that is found by a poll
// may have been written to for seconds.
func (p *pass) holdersBegan() time.Time {
	var began time.Time
	for _, pid := range p.held.pids {
		process, err := p.root.processes.Process(pid)
		if err != nil {
			return p.now.Add(-racy)
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

// writesBeside reports whether who holds the lock of a blob of a repository is known to
// write beside the blobs: he was seen to, or has written there since he began.
func (p *pass) writesBeside(rp *repo, etag string, pid int) bool {
	if rp == nil {
		return false
	}
	if rp.play != nil && rp.play.beside[pid] {
		return true
	}
	for _, part := range rp.partials {
		if part.Etag == etag && p.wrote(pid, part) {
			return true
		}
	}
	return false
}

// stagingLocks are the held locks that may stand for a file in the root, of
// holders that may write there: bare ones of blobs that have neither a partial
// nor a finished blob, and those of blobs that are there, which may be fetched
// again. Those over a partial that an attempt before has left may be of one that goes
// on with it, or of one that doesn't care for it.
type stagingLocks struct{ bare, again, over map[string]bool }

func (l stagingLocks) none() bool { return len(l.bare)+len(l.again) == 0 }

func (p *pass) stagingLocks() stagingLocks {
	locks := stagingLocks{make(map[string]bool), make(map[string]bool), make(map[string]bool)}
	since, stagers := p.repo.since, p.newStagers()
	if p.repo.play != nil {
		since = p.repo.play.since
	}
	for etag := range p.held.by {
		if p.held.outside[etag] || !stagers.may(etag) {
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

// releaseTemps gives up the claims that are older than now: those of a dead
// attempt, or of a play that is over.
func (p *pass) releaseTemps() {
	for t := range p.root.temps.all() {
		if t.owner == p.repo.folder && t.claimed.Before(p.now) {
			p.release(t)
		}
	}
}

// noticeLanded finds out which of the repository's files have left the root
// since this look measured them: it may have found their blobs, and must not
// count them twice.
func (p *pass) noticeLanded() {
	for _, found := range []map[string]*temp{p.root.temps.found, p.root.temps.loose} {
		for path, t := range found {
			if t.owner != p.repo.folder {
				continue
			}
			if e, err := p.top.LstatPath(path); err != nil || p.numbered(e, &t.partial).Inode != t.ino {
				delete(found, path)
				p.root.moved(t)
			}
		}
	}
}

// countTemps gives the bytes in the repository's temporary files and what of
// them is new.
func (p *pass) countTemps() (staged, fresh int64) {
	staged = p.repo.play.inLanding()
	for t := range p.root.temps.all() {
		if t.owner != p.repo.folder {
			continue
		}
		staged = addSaturating(staged, t.bytes)
		fresh = addSaturating(fresh, max(0, t.bytes-t.base))
		t.base = t.bytes
	}
	return staged, fresh
}

// inLanding is what has left the root and isn't found in its place yet, kept for
// so many looks at the most.
func (pl *play) inLanding() int64 {
	if len(pl.justDone) > 0 || pl.landingLooks == 0 {
		pl.underway = 0
		return 0
	}
	pl.landingLooks--
	return pl.underway
}

// countOwners counts the repository's temporary files: those that are being
// written, and those that a dead attempt has left.
func (p *pass) countOwners() (live, dead int) {
	for t := range p.root.temps.all() {
		switch {
		case t.owner != p.repo.folder:
		case t.live:
			live++
		default:
			dead++
		}
	}
	return live, dead
}
