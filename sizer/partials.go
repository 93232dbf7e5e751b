package sizer

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/hfcache"
)

// An origin is where a partial comes from.
type origin struct {
	// fresh: it was made while somebody watched; midflight: it lay there
	// before, and no play of it was seen to end.
	fresh, midflight bool
	// kept: a former play, or a former life, has counted it.
	kept bool
	// left: the play has brought it in a former life of the daemon.
	left bool
}

// A standing is what a partial counts for.
type standing struct {
	// attached: it is counted as its blob's content; see judge. beaten: its
	// attempt is over or a better one of its blob is there, and it hasn't
	// grown since.
	live, attached, beaten bool
}

// A partial is a blob that is being written, or was.
type partial struct {
	hfcache.BlobName
	// content is the etag of what it is to be, where Etag is a path.
	content string

	ino   uint64
	size  int64 // st_size at the last look
	bytes int64 // truly written: never falls but with st_size
	// allocated is what it takes of the disk, 0 if unknown.
	allocated int64
	mtime     time.Time
	// seen is when it was measured last.
	seen time.Time
	// base is what lay in it when the play began, or when it was found.
	base int64
	// grown is when it last grew, or was written to without growing; zero
	// if nobody saw that. touched is when the latter was.
	grown, touched time.Time
	origin
	standing
	// spent: its blob is there; asked: that was found out, at rest.
	asked, spent bool
	// commit is the revision for which it was last written, empty if that
	// isn't known.
	commit string
}

// maxPartials bounds what a hostile repository can make us keep.
const maxPartials = 4096

// listPartials brings the set of partials in line with the names in blobs/. It
// reports whether those may be others than before.
func (p *pass) listPartials(blobs fsys.Dir) (others bool, err error) {
	former := p.repo.partials
	now := make(map[string]*partial)
	var names fsys.Tally
	p.repo.lockedBesides, p.repo.besides = nil, nil
	err = blobs.Names(func(name string) bool {
		if p.root.opts.Vague {
			names.Add(name)
		}
		if strings.IndexByte(name, '.') < 0 {
			return true // a finished one: there may be a million
		}
		b := hfcache.ParseBlob(name)
		if b.Kind == hfcache.Lock && len(p.repo.lockedBesides) < maxLocks {
			p.repo.lockedBesides = append(p.repo.lockedBesides, strings.Clone(b.Etag))
		}
		if b.Kind != hfcache.Partial || len(now) >= maxPartials {
			return true
		}
		if known := former[name]; known != nil {
			now[strings.Clone(name)] = known
		} else {
			kept := strings.Clone(name)
			now[kept] = &partial{BlobName: hfcache.ParseBlob(kept)}
		}
		return true
	})
	if err != nil {
		return true, err
	}
	others = !p.root.opts.Vague || p.repo.play == nil || names != p.repo.names
	p.repo.names = names
	if len(now) >= maxPartials {
		p.root.warn(p.repo.folder, "more partials than are looked at", nil)
	}
	for name, gone := range former {
		if now[name] == nil {
			p.vanished(gone)
		}
	}
	p.repo.partials = now
	return others, nil
}

// measurePartials reads how much is written. What is no regular file is
// nothing.
func (p *pass) measurePartials(blobs fsys.Dir) error {
	for name, part := range p.repo.partials {
		e, err := blobs.LstatPath(name)
		if fsys.Absent(err) || err == nil && !e.Regular() {
			delete(p.repo.partials, name)
			p.vanished(part)
			continue
		}
		if err != nil {
			return err
		}
		again := func() (fsys.Entry, error) { return blobs.LstatPath(name) }
		if part.ino == p.numbered(e, part).Inode && e.Size > part.size && p.noteClock(e, part.seen, again) {
			if e, err = again(); err != nil {
				return err
			}
		}
		if part.ino == 0 {
			p.found(part, e, p.root.clock.Ours(blobs.BornPath(name)))
		} else {
			part.measure(p.numbered(e, part), p.root.fs.content(part.BlobName, e), p.now)
		}
		part.allocated = p.root.fs.allocated(e)
	}
	return nil
}

// found takes up a partial that wasn't known: fresh if it was made, or
// touched, since watching began.
func (p *pass) found(part *partial, e fsys.Entry, born time.Time) {
	part.ino, part.size, part.mtime = e.Inode, e.Size, e.Mtime
	part.bytes = p.root.fs.content(part.BlobName, e)
	part.fresh = !bornOr(born, e).Before(p.repo.opened)
	if part.fresh {
		part.grown = p.now
		return
	}
	part.base, part.midflight = part.bytes, true
	pl := p.repo.play
	part.left = pl != nil && pl.restored && !pl.looked && pl.brought(part)
	part.attached = part.left
	if part.left && len(pl.revisions) == 1 {
		part.commit = pl.revisions[0]
	}
	if e.Ctime.After(p.repo.opened) {
		part.grown = p.now
	}
}

// untouched: nothing was written to it since the watch began, or since the last play in
// a directory of its own. There a client takes the lock of a file to read what it has
// noted of it, and only then looks whether that is still so (huggingface_hub 0.23 to 2.4).
func (p *pass) untouched(part *partial) bool {
	return part.grown.IsZero() && (part.midflight || p.repo.tree != nil)
}

// bornOr is when a file was made: where that isn't kept, no later than when it
// was last written to.
func bornOr(born time.Time, e fsys.Entry) time.Time {
	if born.IsZero() {
		return e.Ctime
	}
	return born
}

// brought reports whether a former life of the daemon has counted a partial as
// the play's: written by the attempt that was under way then, or by one before
// and to be gone on with. What was written before the last play was told is none
// of this one's.
func (pl *play) brought(part *partial) bool {
	since := later(later(pl.begun().Add(-racy), pl.attemptBegan), pl.opened)
	return part.mtime.After(since) || slices.Contains(pl.kept, part.Etag)
}

// numbered is what has the name of a partial now. Where files are numbered anew
// each time, it is taken for the same one.
func (p *pass) numbered(e fsys.Entry, part *partial) fsys.Entry {
	if p.root.opts.Vague {
		e.Inode = part.ino
	}
	return e
}

// isFormer reports whether a file that was a partial is what has that name now.
// Without a number that it keeps, its size and time have to do.
func (p *pass) isFormer(part *partial, e fsys.Entry) bool {
	if p.root.opts.Vague {
		return part.size == e.Size && part.mtime.Equal(e.Mtime)
	}
	return part.ino == e.Inode
}

func (part *partial) measure(e fsys.Entry, written int64, now time.Time) {
	if e.Inode != part.ino || e.Size < part.size && !part.cut(e) {
		// Truncated, or another file under the name: it begins again.
		part.ino, part.bytes, part.base = e.Inode, written, 0
		part.grown, part.beaten = now, false
	} else if part.unwritten(e, now) {
		// No byte has come, whatever the blocks say.
	} else if written > part.bytes || e.Size > part.size {
		part.grown, part.beaten = now, false
		part.bytes = max(part.bytes, written)
	} else if !e.Mtime.Equal(part.mtime) {
		// Old content written over (hf_xet <= 1.2), or a length that says
		// nothing: bytes come that can't be counted.
		part.grown, part.touched, part.beaten = now, now, false
	}
	part.size, part.mtime, part.seen = e.Size, e.Mtime, now
}

// mtimeStep is how coarse the times are that a kernel stamps on writes, before
// Linux 6.13: a jiffy, and as much for the look.
const mtimeStep = 20 * time.Millisecond

// unwritten reports whether nothing was written since the last look. The blocks of
// a file may be more all the same: where it has many pieces, ext4 keeps the list of
// them in a block of its own, and counts that when it writes the file back, which
// is half a minute after the last write, and after its writer's death.
func (part *partial) unwritten(e fsys.Entry, now time.Time) bool {
	longAgo := part.seen.Sub(e.Mtime) > mtimeStep || now.Sub(e.Mtime) >= racy
	return e.Size == part.size && e.Mtime.Equal(part.mtime) && longAgo
}

// cut reports whether a preallocated partial has lost no more than the counter
// behind its content: it is whole.
func (part *partial) cut(e fsys.Entry) bool {
	return part.Preallocated && e.Size == part.size-hfcache.PartCounter
}

// vanished is told of a partial that is no more: renamed to its blob, or
// removed by an attempt that failed. Which, the count of files tells later.
func (p *pass) vanished(part *partial) {
	if p.repo.play != nil && part.attached {
		p.repo.play.lost(part, p.now)
	}
}

// takeUp lets a play of a former life of the daemon keep its partials.
func (p *pass) takeUp() {
	for _, part := range p.repo.partials {
		if p.resumes(part) {
			part.kept, part.attached = true, true
		}
	}
}

// resumes reports whether this look is the first of a play of a former life of
// the daemon and the file was written to in that play, where no lock was seen to
// tell whether somebody is still at it.
func (p *pass) resumes(part *partial) bool {
	pl := p.repo.play
	return pl != nil && pl.restored && !pl.looked && !pl.lockSeen && part.mtime.After(pl.opened)
}

// judge tells live partials from those of dead attempts, and one of twins
// from the other, by what can be known: a held lock, growth, age.
func (p *pass) judge() {
	best := make(map[string]*partial)
	for _, part := range p.repo.partials {
		was := part.live
		part.live = p.alive(part)
		if was && !part.live && part.Attempt != "" {
			part.beaten = true // nobody continues it
		}
		if other := best[part.Etag]; other == nil || p.better(part, other) {
			best[part.Etag] = part
		}
	}
	for _, part := range p.repo.partials {
		if best[part.Etag] != part {
			part.live, part.beaten = false, true
		}
		part.attached = best[part.Etag] == part && (part.live || part.Attempt == "" || part.attached && !p.superseded(part))
	}
}

// grace is how long after its last growth a partial counts as live where no
// lock says so: a client fills 10 MiB before it writes.
const grace = 30 * time.Second

// alive: its blob's lock is held; or, where locks tell nothing about it, it
// grew lately, or it was alive and no one has taken over.
func (p *pass) alive(part *partial) bool {
	if part.beaten {
		return false
	}
	if p.held.has(part.Etag) || part.live && p.locked(part.Etag) {
		return true
	}
	growing := !part.grown.IsZero() && p.now.Sub(part.grown) < grace
	if growing && !p.lockLost(part) && !p.outdone(part) {
		return true
	}
	return part.live && !p.held.any && !p.held.seen && !p.bettered(part) && !p.refetched(part)
}

// refetched: somebody fetched anew what is there, and holds its lock no more.
// Nothing is missing that could be waited for.
func (p *pass) refetched(part *partial) bool {
	if p.repo.play == nil {
		return false
	}
	f := p.repo.play.files[part.Etag]
	return f != nil && f.done && !p.locked(part.Etag)
}

// bettered: another attempt has finished the blob meanwhile.
func (p *pass) bettered(part *partial) bool {
	if p.repo.play == nil {
		return false
	}
	f := p.repo.play.files[part.Etag]
	return f != nil && f.done && f.isNew
}

// outdone: the blob came, or one that was there was linked, behind all that was
// written to the partial. It may be found growing all the same: at the first
// look that sees it, whoever made it may be gone, with a lock that nobody saw.
func (p *pass) outdone(part *partial) bool {
	pl := p.repo.play
	if pl == nil {
		return false
	}
	f := pl.files[part.Etag]
	if f == nil || !f.done {
		return false
	}
	return f.came.After(part.mtime) || !f.own && slices.ContainsFunc(pl.revisions, func(commit string) bool {
		link, ok := p.linkOf(commit, f)
		return ok && link.Ctime.After(part.mtime)
	})
}

// lockMemory bridges a lock that one reading of /proc/locks missed: the
// kernel gives a long table a page at a time, and it moves in between.
const lockMemory = 1500 * time.Millisecond

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

// lockLost: this play's downloader locks what it writes, and this is not
// locked. Its attempt is over even if it grew a moment ago. What grows after
// that is somebody's who takes no lock, if the blob isn't there.
func (p *pass) lockLost(part *partial) bool {
	pl := p.repo.play
	if pl == nil || pl.locked[part.Etag].at.IsZero() {
		return false
	}
	lost := pl.unlocked[part.Etag]
	return lost.IsZero() || !part.grown.After(lost) || p.bettered(part)
}

// superseded: someone else downloads here now, and this partial can't be
// continued by them.
func (p *pass) superseded(part *partial) bool {
	return part.Attempt != "" && p.held.any && !p.locked(part.Etag)
}

// better chooses among partials of one blob: the live one, the one that grew
// last, the newest.
func (p *pass) better(a, b *partial) bool {
	switch {
	case a.live != b.live:
		return a.live
	case !a.grown.Equal(b.grown):
		return a.grown.After(b.grown)
	case !a.mtime.Equal(b.mtime):
		return a.mtime.After(b.mtime)
	default:
		return a.Attempt > b.Attempt
	}
}

// fileSystem knows how far block counts can be trusted.
type fileSystem struct {
	dev    uint64
	known  bool
	blocks bool
	// dense: a whole file has as many blocks as bytes.
	dense bool
	// sameDev: /proc/locks names the device that stat does (not on btrfs
	// and overlayfs).
	sameDev bool
}

// Magic numbers of statfs(2) for the file systems whose block counts say
// what is written; elsewhere they are late or made up (NFS, CIFS, FUSE, 9p,
// ZFS) and st_size is taken.
var trueBlocks = map[int64]bool{
	unix.EXT4_SUPER_MAGIC:      true,
	unix.XFS_SUPER_MAGIC:       true,
	unix.BTRFS_SUPER_MAGIC:     true,
	unix.TMPFS_MAGIC:           true,
	unix.OVERLAYFS_SUPER_MAGIC: true,
}

func (f *fileSystem) learn(d fsys.Dir, dev uint64) {
	if f.known && f.dev == dev {
		return
	}
	st, err := d.Statfs()
	if err != nil {
		return
	}
	kind := int64(st.Type) //nolint:unconvert // int32 on 32-bit machines
	*f = fileSystem{dev: dev, known: true, blocks: trueBlocks[kind], dense: densely[kind], sameDev: kind != unix.BTRFS_SUPER_MAGIC && kind != unix.OVERLAYFS_SUPER_MAGIC}
}

// content is how many bytes of a partial's content are truly on disk. Of one
// that has its length from the start, where block counts say nothing, that is
// none until it is in its place.
func (f *fileSystem) content(name hfcache.BlobName, e fsys.Entry) int64 {
	written := f.written(e)
	if !name.Preallocated {
		return written
	}
	whole := max(e.Size-hfcache.PartCounter, 0)
	switch {
	case !f.blocks:
		return 0
	case written >= whole:
		return whole
	default: // the counter has a block of its own
		return max(written-diskBlock, 0)
	}
}

// diskBlock is what a file takes on the disk at least, in bytes.
const diskBlock = 4096

// written is how many bytes of a partial are truly on disk.
func (f *fileSystem) written(e fsys.Entry) int64 {
	if !f.blocks || e.Blocks < 0 || e.Blocks > e.Size/512 {
		return e.Size
	}
	// With a hole somewhere: the last block may be there, and isn't full.
	return max(e.Blocks*512-(diskBlock-e.Size%diskBlock)%diskBlock, 0)
}
