package sizer

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/hfcache"
)

// fetched are the files that were seen as partials or blobs. Where a file is numbered
// anew when it is moved, it has its time still.
type fetched struct {
	partials map[uint64]string
	blobs    map[fetchedAs]string
	vague    bool
}

// fetchedAs is what a blob was known by: its inode and size, or its time and size.
type fetchedAs struct {
	inode uint64
	mtime int64
	size  int64
}

// Where links can't be made, huggingface_hub moves a blob that it has fetched
// to snapshots/<commit>/<path>, and copies one that it finds (_create_symlink
// in 0.26 to 2.4). So a file of the listing, or one whose inode was seen as a
// partial, is finished where it lies in the snapshot itself. Any other file is
// taken for a copy if a blob has its size, else for a download, and that only
// in a snapshot without any link: elsewhere it is no client's.

// maxTries bounds how many files are looked for in the snapshot just to learn
// whether any lies there, when a play begins, or when nothing is in flight.
const maxTries = 256

// finishedFile is finished for a file of a play, wherever that lies.
func (p *pass) finishedFile(blobs fsys.Dir, f *file) (fsys.Entry, error) {
	pl := p.repo.play
	e, err := fsys.Entry{}, error(unix.ENOENT)
	if !f.loose {
		e, err = p.finished(blobs, f.etag)
	}
	if !fsys.Absent(err) || !p.mayBePlaced(pl, f) {
		return e, err
	}
	if placed, ok := p.placed(pl, f.etag); ok {
		pl.linkless = true
		return placed, nil
	}
	return e, err
}

// mayBePlaced keeps those out that are only on their way: one look for each of
// them at each look would be dear.
func (p *pass) mayBePlaced(pl *play, f *file) bool {
	if pl.linkless || f.loose || f.done {
		return true
	}
	if (!pl.looked || p.places.resting) && p.places.tries < maxTries {
		p.places.tries++
		return true
	}
	for _, part := range p.repo.partials {
		if part.Etag == f.etag && part.live {
			return false
		}
	}
	return f.former != nil
}

func (p *pass) placed(pl *play, etag string) (fsys.Entry, bool) {
	if e, ok := p.places.entries[etag]; ok {
		return e, true
	}
	if p.places.paths == nil {
		p.indexPaths(pl)
	}
	for _, path := range p.places.paths[etag] {
		if e, err := p.top.LstatPath(p.repo.folder + "/" + path); err == nil && e.Regular() {
			return e, true
		}
	}
	return fsys.Entry{}, false
}

func (p *pass) indexPaths(pl *play) {
	p.places.paths = make(map[string][]string)
	for _, commit := range pl.Revisions {
		rev := p.repo.revs.at(commit)
		if !rev.listed() {
			continue
		}
		for _, listed := range rev.list().files {
			paths := p.places.paths[listed.Etag]
			p.places.paths[listed.Etag] = append(paths, "snapshots/"+commit+"/"+listed.Path)
		}
	}
}

// seekPlaced reads the snapshots once more in a pass, for a file that was a blob when
// they were read and is none now: it may have been moved there in between.
func (p *pass) seekPlaced(pl *play) error {
	if p.places.sought {
		return nil
	}
	p.places.sought = true
	for _, commit := range pl.Revisions {
		rev := p.repo.revs.at(commit)
		if rev.listed() {
			continue // its files are asked for by their names
		}
		rev.linksMark, rev.linksRead = mark{}, time.Time{}
		if err := p.readLinks(rev); err != nil {
			return err
		}
		fetched := p.fetched(pl)
		for _, e := range rev.places {
			if etag, known := fetched.etag(e); known {
				p.notePlaced(etag, e)
			}
		}
	}
	return nil
}

func (p *pass) notePlaced(etag string, e fsys.Entry) {
	if p.places.entries == nil {
		p.places.entries = make(map[string]fsys.Entry)
	}
	p.places.entries[etag] = e
}

// addPlaced adds the files that lie in a snapshot without a listing.
func (p *pass) addPlaced(pl *play, rev *revision) {
	if len(rev.places) == 0 {
		return
	}
	fetched := p.fetched(pl)
	for path, e := range rev.places {
		etag, known := fetched.etag(e)
		if !known && len(rev.links) > 0 {
			continue
		}
		switch {
		case known:
			p.notePlaced(etag, e)
		case rev.inventory() == nil:
			etag, known = p.blobSizes()[e.Size]
		}
		if !known {
			etag = "snapshots/" + rev.commit + "/" + path
			p.notePlaced(etag, e)
		}
		f := pl.file(etag)
		f.loose = !known
		f.name(path)
	}
}

func (p *pass) fetched(pl *play) fetched {
	found := fetched{pl.inodes, make(map[fetchedAs]string), p.root.opts.Vague}
	for _, f := range pl.files {
		switch {
		case !found.vague && f.inode != 0 && !f.loose:
			found.blobs[fetchedAs{inode: f.inode, size: f.size + f.holes}] = f.etag
		case found.vague && f.former != nil:
			found.blobs[fetchedAs{mtime: f.former.mtime.UnixNano(), size: f.former.size}] = f.etag
		}
	}
	return found
}

// blobSizes are the sizes of the blobs, each with one that has it.
func (p *pass) blobSizes() map[int64]string {
	if p.places.sizes != nil {
		return p.places.sizes
	}
	p.places.sizes = make(map[int64]string)
	p.eachBlob(maxPartials, func(name string, e fsys.Entry) { p.places.sizes[e.Size] = name })
	return p.places.sizes
}

// eachBlob goes through the finished blobs, as many as that at the most.
func (p *pass) eachBlob(most int, do func(etag string, e fsys.Entry)) {
	blobs, err := p.top.Sub(p.repo.folder + "/blobs")
	if err != nil {
		return
	}
	defer blobs.Close()
	_ = blobs.Names(func(name string) bool {
		if hfcache.ParseBlob(name).Kind != hfcache.Finished {
			return true
		}
		name = strings.Clone(name)
		if e, err := p.finished(blobs, name); err == nil {
			do(name, e)
			most--
		}
		return most > 0
	})
}

// placedSince reports whether files came to the newest snapshot after a time,
// which are neither links nor copies: a small model may be fetched and moved
// there between two looks, and any while the daemon was down. What is in flight
// is looked for anyway.
func (p *pass) placedSince(since time.Time) (bool, error) {
	if err := p.readRevisions(); err != nil {
		return false, err
	}
	commit := p.repo.revs.newest()
	if commit == "" || p.repo.play.inFlight(commit) {
		return false, nil
	}
	snapshot, err := p.top.Sub(p.repo.folder + "/snapshots/" + commit)
	if err != nil {
		return false, notAbsent(err)
	}
	defer snapshot.Close()
	s := placedSearch{pass: p, since: since, left: maxLinks}
	s.in(snapshot, 0)
	return s.found && !s.linked, nil
}

// A placedSearch goes through a snapshot until it has found a file that came, or
// left entries are looked at. linked: it has links.
type placedSearch struct {
	*pass
	since         time.Time
	left          int
	found, linked bool
}

func (s *placedSearch) in(d fsys.Dir, depth int) {
	var below []string
	_ = d.Names(func(name string) bool {
		s.left--
		switch e, err := d.Lstat(name); {
		case err != nil:
		case e.Link():
			s.linked = true
		case e.IsDir():
			below = append(below, strings.Clone(name))
		case !s.found && e.After(s.since):
			_, copied := s.blobSizes()[e.Size]
			s.found = !copied
		}
		return s.left > 0 && !s.linked
	})
	for _, name := range below {
		if s.left <= 0 || s.linked || depth >= maxDepth {
			return
		}
		if sub, err := d.Sub(name); err == nil {
			s.in(sub, depth+1)
			sub.Close()
		}
	}
}

// addUnlinked adds the finished blobs of a play before this one, where no
// revision has a listing or a snapshot: llama.cpp and Rust's hf-hub 1.x make
// their links when everything is there, so they are known by nothing else.
// After a restart those are all that there are.
func (p *pass) addUnlinked(pl *play) {
	if p.repo.tree != nil || len(pl.Revisions) > 0 || len(p.repo.revs.byCommit) > 0 {
		return
	}
	for _, etag := range p.repo.unlinked {
		pl.file(etag).wanted = true
	}
	if pl.restored && !pl.looked {
		p.eachBlob(maxUnlinked, func(etag string, _ fsys.Entry) { pl.file(etag).wanted = true })
	}
}

func (k fetched) etag(e fsys.Entry) (etag string, ok bool) {
	if etag, ok = k.partials[e.Inode]; ok {
		return etag, true
	}
	as := fetchedAs{inode: e.Inode, size: e.Size}
	if k.vague {
		as = fetchedAs{mtime: e.Mtime.UnixNano(), size: e.Size}
	}
	etag, ok = k.blobs[as]
	return etag, ok
}
