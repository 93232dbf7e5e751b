package sizer

import (
	"maps"
	"slices"
	"strings"
	"time"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
)

// readHeld finds the held locks of the repository: .locks/<folder>/<etag>.lock
// of huggingface_hub >= 0.19, blobs/<etag>.lock of older and of Rust clients,
// .locks/<folder>/blobs/<etag>.lock of swift.
func (p *pass) readHeld() held {
	last := &p.repo.reading
	if p.stillHeld() {
		p.heldAgain = true
		return last.held
	}
	p.heldAgain = false
	h := p.readLocks()
	p.root.processes.Outlived()
	last.steady = maps.Equal(h.by, last.held.by) && slices.Equal(h.pids, last.held.pids)
	last.held, last.at = h, p.now
	return h
}

// stillHeld reports whether the last reading still stands: it found the same
// as the one before, so that it missed nothing; no name has come or gone since
// where partials and finished files lie; and all who held a lock still run,
// of which it then brings up to date who does. What it can't show, a lock that
// is let go or taken without anything else happening, is seen a reading later.
func (p *pass) stillHeld() bool {
	last, pl := &p.repo.reading, p.repo.play
	age := p.now.Sub(last.at)
	if pl == nil || p.relisted || !last.steady || !last.held.any || age < 0 || p.rootStages() {
		return false
	}
	if !p.allWriting(last.held) {
		pl.run(p.now, &p.root.processes)
	}
	for _, pid := range last.held.pids {
		if !slices.ContainsFunc(pl.alive(), func(d downloader.Process) bool { return d.PID == pid }) {
			return false
		}
	}
	p.aged = age >= p.serves()
	return !p.aged
}

// serves is how long the last reading may serve.
func (p *pass) serves() time.Duration {
	last, growing := p.repo.reading.held, 0
	for _, part := range p.repo.partials {
		if !part.attached || p.now.Sub(part.grown) >= readingAge {
			continue
		}
		if !last.has(part.Etag) {
			return readingAge
		}
		growing++
	}
	if growing < len(last.by) {
		return readingAge
	}
	return growingAge
}

// readingAge is how long a reading serves while nothing comes or goes. To read
// /proc/locks is the dearest part of a look: for its list the kernel waits for
// a grace period of RCU, 7 ms on an idle machine, and whoever wants a lock
// meanwhile waits as well (seen in Linux 6.18, percpu_down_write in
// locks_start).
const readingAge = 1900 * time.Millisecond

// growingAge is the same while each file that is held grows, and no other:
// what grows is held, so that a lock is let go or taken in a change of hands
// only. refreshAge is how old what another repository has read may then be.
const (
	growingAge = 8 * time.Second
	refreshAge = time.Second
)

// allWriting reports whether every downloader that is known wrote to a file
// that it holds between the last two looks, so that it ran: to ask the kernel
// is a ninth of what a download costs, and need not be done at each. One that
// ended right behind that is found out at the next.
func (p *pass) allWriting(h held) bool {
	pl := p.repo.play
	if len(pl.running) != len(pl.Downloaders) || p.now.Sub(pl.asked) >= readingAge {
		return false
	}
	writing := make(map[int]bool)
	for _, part := range p.repo.partials {
		if part.attached && part.grown.Equal(p.now) {
			writing[h.by[part.Etag]] = true
		}
	}
	for i, d := range pl.Downloaders {
		if pl.running[i] && !writing[d.PID] {
			return false
		}
	}
	return true
}

func (p *pass) readLocks() held {
	h := held{by: make(map[string]int), seen: p.repo.play != nil && p.repo.play.LockSeen}
	oldest := downloader.LocksAge
	switch {
	case p.repo.play == nil || p.relisted:
		oldest = 0 // what has just appeared has its lock since a moment ago
	case p.aged:
		oldest = refreshAge
	}
	table, err := p.root.opts.Procs.Locks(p.now, oldest)
	if err != nil {
		p.root.warn("", "cannot tell who holds locks: downloads whose downloader is gone are noticed late", err)
		return h
	}
	cut := p.sayCut(table)
	if table.Empty() && !cut {
		return h
	}
	pids := make(map[int]bool)
	for _, file := range p.repo.layout.locks(p) {
		pid, ok := p.holder(table, file)
		if !ok && cut {
			pid, ok = p.mayHold(file.etag)
		}
		if !ok {
			continue
		}
		if file.outside {
			if h.outside == nil { // as of most clients
				h.outside = make(map[string]bool)
			}
			h.outside[file.etag] = true
		}
		h.any, h.seen, h.by[file.etag] = true, true, pid
		if !pids[pid] {
			pids[pid] = true
			h.pids = append(h.pids, pid)
		}
	}
	return h
}

// sayCut reports whether there are more locks than could be read, and says so once.
func (p *pass) sayCut(table downloader.Locks) bool {
	cut, _ := table.Cut()
	if crowd, news := p.root.opts.Procs.Crowd(); news {
		p.root.opts.Log.Warn("so many locks are held on this machine that only some are read, and seldom: that a downloader is gone is noticed late, or by its silence",
			"most_are_held_by_pid", crowd)
	}
	return cut
}

// mayHold is who held a lock that isn't among those that were read, if that process
// lives: it may still hold it.
func (p *pass) mayHold(etag string) (pid int, ok bool) {
	pid, ok = p.repo.reading.held.by[etag]
	if !ok || p.repo.play == nil {
		return 0, false
	}
	return pid, slices.ContainsFunc(p.repo.play.alive(), func(d downloader.Process) bool { return d.PID == pid })
}

func (p *pass) cacheLocks() []lockFile {
	p.readLockDir(&p.repo.locks, hfcache.LockDir(p.repo.folder))
	p.readLockDir(&p.repo.outsideLocks, hfcache.OutsideLockDir(p.repo.folder))
	for i := range p.repo.outsideLocks.files {
		p.repo.outsideLocks.files[i].outside = true
	}
	return slices.Concat(p.repo.outsideLocks.files, p.repo.locks.files, p.blobLocks())
}

func (p *pass) holder(table downloader.Locks, file lockFile) (pid int, ok bool) {
	pid, ok = table.Holder(file.dev, file.ino)
	if !ok && !p.root.fs.sameDev {
		pid, ok = table.HolderByInode(file.ino)
	}
	return pid, ok
}

func (p *pass) readLockDir(into *lockDir, path string) {
	d, err := p.top.Sub(path)
	if err != nil {
		if fsys.Refused(err) {
			p.root.warn(path, "a directory of locks is no directory, and is not followed", err)
		}
		*into = lockDir{}
		return
	}
	defer d.Close()
	e, err := d.Stat()
	if err != nil || !into.mark.stale(e) {
		return
	}
	*into = lockDir{mark: p.mark(e)}
	_ = d.Names(func(name string) bool {
		if etag, ok := strings.CutSuffix(name, ".lock"); ok {
			into.add(d, strings.Clone(etag))
		}
		return len(into.files) < maxLocks
	})
}

// blobLocks are the lock files that lie beside the blobs, also of those of which
// there is nothing yet: huggingface_hub before 0.19 writes them into the root.
// None comes or goes without a change of names there; one that is left may be taken again.
func (p *pass) blobLocks() []lockFile {
	if p.repo.besides != nil {
		return p.repo.besides
	}
	files := make([]lockFile, 0, len(p.repo.lockedBesides))
	for _, etag := range p.repo.lockedBesides {
		e, err := p.top.LstatPath(p.repo.folder + "/blobs/" + etag + ".lock")
		if err == nil && e.Regular() {
			files = append(files, lockFile{etag: etag, dev: e.Dev, ino: e.Inode})
		}
	}
	p.repo.besides = files
	return files
}

// rootStages: files are known that old clients write into the root.
func (p *pass) rootStages() bool { return len(p.root.temps.found)+len(p.root.temps.rust) > 0 }

// beganAt is when a process began, zero if that can't be read: then whatever was
// written at any time may be its work, and nothing in the root is.
func (p *pass) beganAt(pid int) time.Time {
	process, err := p.root.processes.Process(pid)
	if err != nil {
		return time.Time{}
	}
	return p.root.processes.Began(process, p.now)
}

// wrote reports whether a partial was written to since a process began that holds the lock
// of its blob: another one may have died of it as this one began.
func (p *pass) wrote(pid int, part *partial) bool {
	return part.mtime.After(p.beganAt(pid).Add(fsys.Tick))
}

func (p *pass) writing() bool {
	for _, part := range p.repo.partials {
		if part.live {
			return true
		}
	}
	return false
}

// locked: the blob's lock is held, as far as one reading can tell.
func (p *pass) locked(etag string) bool {
	if p.held.has(etag) {
		return true
	}
	pl := p.repo.play
	if pl == nil {
		return false
	}
	last := pl.locked[etag]
	return p.now.Sub(last.at) < lockMemory && !pl.died(last.by, &p.root.processes)
}
