package sizer

import (
	"progressd/fsys"
)

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
	p.places.resting = !p.held.any && !p.writing()
	// Where one lies in the snapshot itself the others may, which were not looked for there.
	for again := true; again; {
		linkless := pl.linkless
		if err := p.findEach(pl, home); err != nil {
			return err
		}
		again = pl.linkless && !linkless
	}
	return nil
}

// findEach looks for each file once.
func (p *pass) findEach(pl *play, home fsys.Dir) error {
	scans := 0
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

// finish notes that a file is in its place, as it is there.
func (p *pass) finish(pl *play, f *file, e fsys.Entry) {
	if f.done && !f.came.Equal(e.Ctime) {
		pl.doubled = pl.doubled || pl.underway > 0
		pl.underway = 0 // it was fetched again, and is in its place
		// Of twins that lie in the snapshot themselves now the one is found, now the other.
		pl.landed = pl.landed || f.wanted && !pl.linkless
	}
	anew := !f.done || p.repo.tree != nil && !f.came.Equal(e.Ctime) // there it may be another revision's now
	f.isNew, f.own = e.After(pl.baseline), e.After(pl.firstBaseline)
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

// maxScans bounds how often one round of a look searches for blobs on their way; when
// more are missing, somebody is deleting them.
const maxScans = 8
