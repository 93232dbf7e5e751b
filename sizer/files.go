package sizer

import (
	"math"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// A role is what a file is to a download.
type role struct {
	// wanted: it is part of the download. loose: it has no etag that is
	// known, but lies in a snapshot itself. out: it is left out of the total
	// as long as nothing comes of it.
	wanted, loose, out bool
	// anew: it is there, and is being fetched again into the root.
	anew bool
}

// An arrival is how a file came to its place, done if it has.
type arrival struct {
	// isNew: it came in this play; own: also where a restart has made that
	// forgotten; known: counted before.
	done, isNew, own, known bool
}

// A file is one blob of the download, however many paths name it.
type file struct {
	etag string
	want int64 // listed size, -1 if unlisted
	// content is the listed etag, empty if unlisted.
	content string

	path  string
	paths int32
	// elsewhere is how many of its paths are not kept.
	elsewhere int32
	role
	arrival

	size  int64 // of a finished file, without its holes
	holes int64
	inode uint64    // the last one that it had when it was finished
	came  time.Time // when it was put in its place
	// checked is when it was last looked at there.
	checked time.Time
	// born is when it was made, as it was asked for when it came at bornAt.
	born, bornAt time.Time

	part    *partial
	former  *partial // the last one that counted
	counted int64
}

func (pl *play) file(etag string) *file {
	f := pl.files[etag]
	if f == nil {
		f = &file{etag: etag, want: -1}
		pl.files[etag] = f
		if was, known, counted := pl.settled.take(etag); known {
			f.known, f.counted = true, was.size
			f.wanted, f.done = counted, counted
			if counted {
				f.size, f.elsewhere = was.size, int32(min(was.paths, math.MaxInt32))
				f.paths = f.elsewhere
			}
		}
	}
	return f
}

func (pl *play) has(etag string) bool {
	return pl != nil && (pl.files[etag] != nil || pl.settled.has(etag))
}

func (f *file) name(path string) {
	f.wanted = true
	f.paths++
	if f.path == "" || path < f.path {
		f.path = path
	}
}

// addListed adds the files of a listing; selected says whether any of them
// is wanted.
func (pl *play) addListed(l *listing, key func(hfcache.ListedFile) string) (selected bool) {
	for _, listed := range l.files {
		f := pl.file(key(listed))
		if f.want < 0 { // else a newer revision has said it
			f.want, f.content = listed.Size, listed.Etag
		}
		if pl.wants(listed.Path) {
			f.name(listed.Path)
			selected = true
		} else if f.path == "" {
			f.path = listed.Path
		}
	}
	return selected
}

// findFinished looks which files are finished.
func (p *pass) findFinished(pl *play) error {
	home, err := p.top.Sub(p.repo.folder + p.repo.layout.home)
	if fsys.Absent(err) {
		pl.loseAll(p.now)
	}
	if err != nil {
		return notAbsent(err)
	}
	defer home.Close()
	scans := 0
	p.places.resting = !p.held.any && !p.writing()
	for _, f := range pl.files {
		if !p.dueAgain(f.checked, len(pl.files)) && f.done && f.part == nil && !f.anew && !p.held.has(f.etag) {
			continue
		}
		f.checked = p.now
		e, err := p.repo.layout.finished(p, home, f)
		if f.done && fsys.Absent(err) && scans < maxScans {
			scans++
			if moving(home, f.etag) {
				continue
			}
			if err := p.seekPlaced(pl); err != nil {
				return err
			}
			e, err = p.repo.layout.finished(p, home, f)
		}
		switch {
		case err == nil:
			p.finish(pl, f, e)
		case !fsys.Absent(err):
			return err
		case f.done:
			f.done, f.size = false, 0
			pl.changed, p.deleted = p.now, true
		}
	}
	return nil
}

// loseAll notes that the directory of the files is gone, with all of them.
func (pl *play) loseAll(now time.Time) {
	for _, f := range pl.files {
		if f.done {
			f.done, f.size, pl.changed = false, 0, now
		}
	}
}

// finish notes that a file is in its place, as it is there.
func (p *pass) finish(pl *play, f *file, e fsys.Entry) {
	if f.done && !f.came.Equal(e.Ctime) {
		pl.doubled = pl.doubled || pl.underway > 0
		pl.underway = 0 // it was fetched again, and is in its place
		// Of twins that lie in the snapshot themselves now the one is found, now the other.
		pl.landed = pl.landed || f.wanted && !pl.linkless
	}
	anew := !f.done || p.repo.tree != nil && !f.came.Equal(e.Ctime) // there it may be another revision's now
	f.isNew, f.own = e.After(pl.since), e.After(pl.opened)
	if anew {
		pl.changed = p.now
		if f.isNew {
			pl.justDone = append(pl.justDone, f.etag)
			pl.landed = pl.landed || f.former != nil
		}
	}
	f.holes = p.root.fs.holes(e)
	f.done, f.size, f.came, f.inode = true, e.Size-f.holes, e.Ctime, e.Inode
}

// maxScans bounds how often one look searches for blobs on their way; when
// more are missing, somebody is deleting them.
const maxScans = 8

// moving reports whether a client is about to put a link in the place of a
// finished blob that it moves to the shared store. The link is there, under a
// name of its own, before the blob goes.
func moving(home fsys.Dir, etag string) bool {
	found := false
	_ = home.Names(func(name string) bool {
		b := hfcache.ParseBlob(name)
		found = b.Kind == hfcache.SharedLink && b.Etag == etag
		return !found
	})
	return found
}

// attach gives each file the partial that counts for it.
func (pl *play) attach(p *pass) {
	for _, f := range pl.files {
		f.part, f.anew = nil, f.done && !f.isNew && p.held.anew[f.etag]
	}
	for _, part := range p.repo.partials {
		if f := pl.files[part.Etag]; f != nil && part.attached && part.belongs(f) {
			f.take(part)
		}
	}
	for etag := range pl.failed {
		if f := pl.files[etag]; f != nil && f.done || f == nil && p.brought(etag) {
			delete(pl.failed, etag)
		}
	}
}

// take counts part for the file from now on. What another attempt wrote is
// lost; what this one wrote since arrives.
func (f *file) take(part *partial) {
	f.part = part
	if f.former != nil && f.former != part {
		f.counted = min(part.base, f.now())
	}
	f.former = part
}

// finished: its blob is there, and is not just being fetched anew.
func (f *file) finished() bool {
	return f.done && !f.anew && (f.part == nil || !f.part.live || f.isNew)
}

// mended reports whether nothing is missing of what was written to a partial of
// a file: the blob came in this play, or it came or was linked after all of
// that, or is linked in a revision for which more was done behind it. Else somebody was about to fetch anew what is there.
func (p *pass) mended(pl *play, f *file, part *partial) bool {
	if !f.done || f.own || f.came.After(part.mtime) {
		return f.done
	}
	for _, commit := range pl.revisions {
		e, ok := p.linkOf(commit, f)
		if ok && later(e.Ctime, p.repo.revs.at(commit).lastTouched()).After(part.mtime) {
			return true
		}
	}
	return false
}

// linkOf is the link to a file in the snapshot of a revision.
func (p *pass) linkOf(commit string, f *file) (fsys.Entry, bool) {
	e, err := p.top.LstatPath(p.repo.folder + "/snapshots/" + commit + "/" + f.path)
	return e, err == nil && e.Link()
}

// now is what of the file is on disk.
func (f *file) now() int64 {
	switch {
	case f.finished():
		return f.size
	case f.part == nil:
		return 0
	case f.want >= 0:
		return min(f.part.bytes, f.want)
	default:
		return f.part.bytes
	}
}

// before is what of the file was there before the play.
func (f *file) before() int64 {
	switch {
	case f.finished():
		if f.isNew {
			return 0
		}
		return f.size
	case f.part != nil:
		return min(f.part.base, f.now())
	default:
		return 0
	}
}

// foundThere: it was there before the play, and only now is it known to be
// part of it, or that nobody fetches it anew any more. Nothing was transferred.
func (f *file) foundThere() bool { return f.finished() && !f.isNew && (f.former == nil || !f.own) }

// count adds up the files and what is staged elsewhere, of which some is fresh,
// and gives what arrived since the last count.
func (pl *play) count(staged, fresh int64) int64 {
	var bytes, arrived int64
	for _, f := range pl.files {
		if !f.wanted {
			continue
		}
		cur := f.now()
		bytes = addSaturating(bytes, cur)
		if !f.known {
			f.known = true
			f.counted = f.before()
			if !pl.restored || pl.looked {
				pl.base = addSaturating(pl.base, f.counted)
			} else {
				f.counted = cur
			}
		}
		if cur > f.counted && f.foundThere() {
			pl.base = addSaturating(pl.base, cur-f.counted)
		} else if cur > f.counted {
			arrived = addSaturating(arrived, cur-f.counted)
		}
		f.counted = cur
	}
	came, found := pl.settled.drain()
	if !pl.restored || pl.looked {
		pl.base = addSaturating(pl.base, found)
	}
	arrived = addSaturating(arrived, came)
	bytes = addSaturating(addSaturating(bytes, pl.settled.bytes), staged)
	settled := min(pl.tempDebt, arrived)
	pl.tempDebt -= settled
	arrived = addSaturating(arrived-settled, fresh)
	if pl.restored && !pl.looked {
		arrived = max(0, bytes-pl.restoredBytes)
	}
	pl.looked, pl.bytes = true, bytes
	return arrived
}

func addSaturating(a, b int64) int64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return 1<<63 - 1
}
