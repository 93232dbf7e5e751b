package sizer

import (
	"io"
	"io/fs"
	"time"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
)

// A note is what a client has written about a file when it was in its place.
type note struct {
	mark         mark
	size         int64
	commit, etag string
}

// vouches reports whether the file is as it was when its note was written: the
// rule, with its second, by which the client itself believes it.
func vouches(written time.Time, e fsys.Entry) bool { return !e.Mtime.After(written.Add(time.Second)) }

// maxNote is far more than a client writes, in bytes.
const maxNote = 4096

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
			e, err = down.LstatPath(path)
		}
		if err != nil || !e.Mtime.Equal(td.mark.mtime) {
			return true
		}
	}
	return false
}

// treeEvidence: a partial names its path and content, a finished file's
// metadata its commit. A lock says nothing: a file that is there has it taken.
func (p *pass) treeEvidence(pl *play) map[string]bool {
	commits := make(map[string]bool)
	for _, part := range p.repo.partials {
		if part.live && pl.writtenNow(p, part) {
			rev := p.lister(part.index())
			if rev == nil {
				rev = p.guess()
			}
			commits[rev.name()] = true
		}
	}
	for _, path := range append(pl.justDone, p.arrivedNew...) {
		commits[p.repo.tree.notes[path].commit] = true
	}
	pl.justDone = nil
	delete(commits, "")
	return commits
}

// index is how the listing that a partial is fetched for has it.
func (part *partial) index() string {
	if part.content == "" {
		return part.Etag
	}
	return indexed(part.Etag, part.content)
}

// belongs: the partial holds what the file is to be, as far as can be known.
func (part *partial) belongs(f *file) bool {
	return part.content == "" || f.content == "" || part.content == f.content
}

// readNotes reads what metadata there are. They say what files a revision
// has, of those that are there.
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
	for _, td := range p.repo.tree.dirs {
		for _, path := range td.noted {
			if len(notes) >= maxLinks {
				p.root.warn(p.repo.folder, "more files than are looked up: what was there before is not all counted", nil)
				break
			}
			n, ok := p.readNote(down, path, former[path])
			if !ok {
				continue
			}
			notes[path] = n
			rev := revs.at(n.commit)
			rev.links, rev.linked = append(rev.links, link{path, path}), later(rev.linked, n.mark.mtime)
		}
	}
	p.repo.tree.notes = notes
	for commit, rev := range revs.byCommit {
		sortLinks(rev.links)
		if !rev.hasTree && len(rev.links) == 0 {
			delete(revs.byCommit, commit) // whoever writes metadata may write new ones for ever
		}
	}
	return nil
}

// readNote reads the metadata of one file, if they have changed.
func (p *pass) readNote(down fsys.Dir, path string, former note) (n note, ok bool) {
	err := down.Below(hfcache.LocalNote(path), func(parent fsys.Dir, name string) error {
		e, err := parent.Lstat(name)
		if err != nil {
			return err
		}
		if former.commit != "" && !former.mark.rewritten(e) && former.size == e.Size {
			n = former
			return nil
		}
		f, e, err := parent.OpenRegular(name)
		if err != nil {
			return err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxNote))
		if err != nil {
			return err
		}
		n = note{mark: p.mark(e), size: e.Size}
		n.commit, n.etag, _ = hfcache.ReadLocalNote(string(text))
		return nil
	})
	return n, err == nil && n.commit != ""
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

// credible is the request of a process that holds a lock here: of a command
// line that downloads into a cache, if this is one, or into a directory of its
// own, if this is such a directory. Then it tells what the directory holds.
func (pl *play) credible(r *downloader.Request, here *repo) *downloader.Request {
	if r == nil || (r.LocalDir != "") != (here.tree != nil) {
		return nil
	}
	if here.tree != nil {
		pl.name = r.Repo
	}
	return r
}
