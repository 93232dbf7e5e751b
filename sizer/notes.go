package sizer

import (
	"cmp"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// treeFinished believes a file that was seen as a partial, and one that its
// metadata vouch for. Any other may be of an older revision, and about to be
// fetched anew, or somebody else's.
func (p *pass) treeFinished(home fsys.Dir, f *file) (fsys.Entry, error) {
	e, err := home.LstatPath(f.etag)
	if err != nil {
		return e, err
	}
	if !e.Regular() {
		return e, fsys.ErrNotRegular
	}
	if f.former != nil && p.isFormer(f.former, e) && (f.content == "" || f.former.content == f.content) {
		return e, nil
	}
	n, ok := p.repo.tree.notes[f.etag]
	if !ok {
		n, ok = p.noteOf(f.etag)
	}
	if !ok || !vouches(n.mark.mtime, e) || f.content != "" && n.etag != f.content {
		return e, fs.ErrNotExist
	}
	return e, nil
}

func (p *pass) treeMoved() bool {
	down, err := p.top.Sub(p.repo.folder + stage)
	if err != nil {
		return true
	}
	defer down.Close()
	for path, td := range p.repo.tree.dirs {
		e, err := down.Stat()
		if path != "" {
			e, err = down.Peek(path)
		}
		if err != nil || !e.Mtime.Equal(td.mark.mtime) {
			return true
		}
	}
	return false
}

// readNotes reads what metadata are kept, and can have changed. They say what
// files a revision has, of those that are there.
func (p *pass) readNotes(revs *revisions) error {
	for _, rev := range revs.byCommit {
		rev.linked, rev.links = time.Time{}, nil
	}
	down, err := p.top.Sub(p.repo.folder + stage)
	if err != nil {
		return notAbsent(err)
	}
	defer down.Close()
	former := p.repo.tree.notes
	notes := make(map[string]note)
	for _, td := range p.repo.tree.newest() {
		if td.beyond = td.unread || len(notes) >= maxLinks; td.beyond {
			continue
		}
		p.readNotesIn(down, td, former, notes, revs)
	}
	p.repo.tree.notes = notes
	for commit, rev := range revs.byCommit {
		sortLinks(rev.links)
		if !rev.hasTree && len(rev.links) == 0 && !p.repo.play.inFlight(commit) {
			delete(revs.byCommit, commit) // whoever writes metadata may write new ones for ever
		}
	}
	return nil
}

// readNotesIn reads the metadata in one directory, where they are due.
func (p *pass) readNotesIn(down fsys.Dir, td *treeDir, former, notes map[string]note, revs *revisions) {
	var d fsys.Dir
	opened := false
	defer func() {
		if opened {
			d.Close()
		}
	}()
	for _, path := range td.noted {
		n := former[path]
		if n.commit == "" || p.dueAgain(n.checked, len(former)) {
			if !opened {
				var err error
				if d, err = down.Sub(cmp.Or(parentOf(path), ".")); err != nil {
					return
				}
				opened = true
			}
			var ok bool
			if n, ok = p.readNote(d, lastOf(path), n); !ok {
				continue
			}
		}
		notes[path] = n
		rev := revs.at(n.commit)
		rev.links, rev.linked = append(rev.links, link{path, path}), later(rev.linked, n.mark.mtime)
	}
}

// restNotes settles what the revisions in flight have in directories whose
// metadata weren't read.
func (p *pass) restNotes(pl *play) error {
	down, err := p.top.Sub(p.repo.folder + stage)
	if err != nil {
		return notAbsent(err)
	}
	defer down.Close()
	home, err := p.top.Sub(p.repo.folder)
	if err != nil {
		return notAbsent(err)
	}
	defer home.Close()
	for at, td := range p.repo.tree.dirs {
		if td.beyond {
			if err := p.restNotesIn(pl, down, home, at, td); err != nil {
				return err
			}
		}
	}
	return nil
}

// restNotesIn does so for one directory.
func (p *pass) restNotesIn(pl *play, down, home fsys.Dir, at string, td *treeDir) error {
	staged, err := down.Sub(cmp.Or(at, "."))
	if err != nil {
		return notAbsent(err)
	}
	defer staged.Close()
	placed, err := home.Sub(cmp.Or(at, "."))
	if err != nil {
		return notAbsent(err)
	}
	defer placed.Close()
	noted := td.noted
	if td.unread {
		err = staged.Names(func(name string) bool {
			if file, ok := hfcache.ParseLocalNote(name); ok {
				noted = append(noted, beneath(at, strings.Clone(file)))
			}
			return len(noted) < maxStaged
		})
		if err != nil {
			return err
		}
	}
	td.noted, td.locks, td.unread, td.beyond = nil, nil, false, false
	p.repo.tree.lean = true
	for _, path := range noted {
		kept, err := p.restNote(pl, staged, placed, path)
		if err != nil {
			return err
		}
		if kept {
			td.noted = append(td.noted, path)
		}
	}
	return nil
}

// restNote settles one file, if it is one of the download's. kept: it is known one
// by one, or will be.
func (p *pass) restNote(pl *play, staged, placed fsys.Dir, path string) (kept bool, err error) {
	if pl.files[path] != nil || pl.settled.has(path) {
		return pl.files[path] != nil, nil
	}
	e, err := placed.Lstat(lastOf(path))
	if err != nil || !e.Regular() {
		return false, nil //nolint:nilerr // it is no file of the download, or not any more
	}
	if !pl.settled.unchanged(path, e.Size-p.root.fs.holes(e)) {
		n, ok := p.readNote(staged, lastOf(path), note{})
		if !ok || !vouches(n.mark.mtime, e) || !pl.inFlight(n.commit) || p.repo.revs.at(n.commit).listed() {
			return false, nil
		}
	}
	p.repo.tree.samples.add(path)
	return false, p.settle(pl, path, e)
}

// dropNotes gives up what is kept beside the files that are settled.
func (p *pass) dropNotes(pl *play) {
	t := p.repo.tree
	for _, td := range t.dirs {
		before := len(td.noted)
		td.noted = slices.DeleteFunc(td.noted, func(path string) bool {
			drop := pl.files[path] == nil && pl.settled.has(path)
			if drop {
				t.samples.add(path)
				delete(t.notes, path)
			}
			return drop
		})
		if t.lean = t.lean || len(td.noted) < before; len(td.noted) > 0 {
			continue
		}
		td.noted = nil
		if len(td.partials) == 0 && p.now.Sub(td.changed()) >= leanAfter {
			td.locks, t.lean = nil, true
		}
	}
}

// noteOf reads the metadata of a file whose directory wasn't read.
func (p *pass) noteOf(path string) (n note, ok bool) {
	err := p.top.Below(p.repo.folder+stage+"/"+path, func(d fsys.Dir, name string) error {
		n, ok = p.readNote(d, name, note{})
		return nil
	})
	return n, ok && err == nil
}

// readNote reads the metadata of a file of that name, if they have changed.
func (p *pass) readNote(d fsys.Dir, name string, former note) (n note, ok bool) {
	name = hfcache.LocalNote(name)
	if former.commit != "" {
		e, err := d.Lstat(name)
		if err != nil {
			return n, false
		}
		if !former.mark.rewritten(e) && former.size == e.Size {
			former.checked = p.now
			return former, true
		}
	}
	f, e, err := d.OpenRegular(name)
	if err != nil {
		return n, false
	}
	defer f.Close()
	if p.text == nil { // one for all: there may be hundreds of thousands of notes
		p.text = new([maxNote]byte)
	}
	length, err := io.ReadAtLeast(f, p.text[:min(max(e.Size, 1), maxNote)], 1)
	if err != nil {
		return n, false
	}
	n = note{mark: p.mark(e), size: e.Size, checked: p.now}
	n.commit, n.etag, _ = hfcache.ReadLocalNote(string(p.text[:length]))
	return n, n.commit != ""
}

// introduction is how long a sign waits for somebody who tells whose it is:
// between two files a client holds no lock.
const introduction = time.Second

// mayBeNamed reports whether a moment is worth waiting before a play begins:
// whoever holds the next lock says what is downloaded here.
func (p *pass) mayBeNamed() bool {
	t := p.repo.tree
	if t == nil || !t.stirring || p.held.any {
		return false
	}
	if t.sign.IsZero() {
		t.sign = p.now
	}
	for _, td := range t.dirs {
		td.mark.young = true // what has come is found again
	}
	if p.now.Sub(t.sign) < introduction {
		return true
	}
	t.sign = time.Time{}
	return false
}
