package sizer

import (
	"cmp"
	"slices"
	"strings"

	"progressd/fsys"
	"progressd/hfcache"
)

// A linkWalk goes through a snapshot that no listing describes. What has changed
// since the last one is read.
type linkWalk struct {
	*pass
	rev *revision
	top fsys.Dir
	// play is the one that the revision is in flight in, nil if it isn't.
	play *play
	// special are blobs of which the links have to be known.
	special map[string]bool
	// open and others are how many links and files are known now.
	open, others int
	changed      bool
	// blobs are looked at one after the other.
	blobs checker
}

// readLinks brings the links of a snapshot up to date that no listing describes.
func (p *pass) readLinks(rev *revision) error {
	top, err := p.top.Sub(p.repo.folder + "/snapshots/" + rev.commit)
	if err != nil {
		rev.forgetLinks()
		return notAbsent(err)
	}
	defer top.Close()
	e, err := top.Stat()
	if err != nil {
		return err
	}
	w := linkWalk{pass: p, rev: rev, top: top, blobs: checker{pass: p}}
	defer w.blobs.close()
	if pl := p.repo.play; pl != nil && slices.Contains(pl.Revisions, rev.commit) {
		w.play = pl
	}
	if rev.cut && (w.play != nil || rev.linksMark.stale(e)) {
		rev.forgetLinks() // what was left out may be read this time
	}
	if rev.linksRead.Equal(p.now) && rev.dirs != nil || !rev.linksMark.stale(e) && !w.mayBranch() {
		return nil
	}
	rev.linksMark, rev.linksRead = p.mark(e), p.now
	if err := w.run(); err != nil {
		rev.forgetLinks()
		return err
	}
	return nil
}

// mayBranch reports whether something may have come below the snapshot's own directory,
// which tells nothing of that: names came to blobs/ as well, or whoever downloads links
// what was there.
func (w *linkWalk) mayBranch() bool {
	due := w.play != nil && w.now.Sub(w.rev.linksRead) >= checkEvery
	return !w.rev.flat && (w.relisted || due)
}

func (w *linkWalk) run() error {
	rev := w.rev
	if rev.dirs == nil {
		rev.dirs, w.changed = make(map[string]*linkDir), true
	}
	if w.play != nil {
		w.special = w.expected(w.play)
	}
	for _, d := range rev.dirs {
		w.open += len(d.links)
		w.others += len(d.places)
	}
	former := rev.dirs
	rev.dirs = make(map[string]*linkDir, len(former))
	for queue := []string{""}; len(queue) > 0 && !rev.cut; {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		d, err := w.dir(at, former[at])
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		rev.dirs[at] = d
		if len(rev.dirs)+len(queue)+len(d.subs) > maxBranches {
			return errTooMany
		}
		queue = append(queue, d.subs...)
	}
	if w.changed || len(rev.dirs) != len(former) {
		rev.collect()
	}
	return nil
}

// dir brings one directory up to date; nil if it isn't there.
func (w *linkWalk) dir(at string, known *linkDir) (*linkDir, error) {
	if known != nil {
		e, err := w.top.Peek(cmp.Or(at, "."))
		if err == nil && e.IsDir() && !known.mark.stale(e) {
			return known, nil
		}
		w.open -= len(known.links)
		w.others -= len(known.places)
	}
	w.changed = true
	d, err := w.top.Sub(cmp.Or(at, "."))
	if err != nil {
		return nil, notAbsent(err)
	}
	defer d.Close()
	e, err := d.Stat()
	if err != nil {
		return nil, err
	}
	read := &linkDir{mark: w.mark(e)}
	below, err := w.list(d, at, read)
	if err != nil {
		return nil, err
	}
	for _, name := range below {
		if w.rev.cut {
			break
		}
		e, err := d.Lstat(name)
		switch {
		case err != nil:
		case e.IsDir() && strings.Count(at, "/") >= maxDepth:
			return nil, errTooMany
		case e.IsDir():
			read.subs = append(read.subs, beneath(at, name))
		case e.Regular():
			if read.places == nil {
				read.places = make(map[string]fsys.Entry)
			}
			read.places[beneath(at, name)] = e
			w.others++
			if err := w.bounded(w.others); err != nil {
				return nil, err
			}
		}
	}
	return read, nil
}

// list reads the links directly in a directory and gives the names of what is
// none.
func (w *linkWalk) list(d fsys.Dir, at string, into *linkDir) (below []string, err error) {
	var failed error
	err = d.Names(func(name string) bool {
		text, err := d.Readlink(name)
		if err != nil { // no link: perhaps a directory
			below = append(below, strings.Clone(name))
			if len(below) > maxBranches {
				failed = errTooMany
			}
			return failed == nil
		}
		linked := beneath(at, name)
		etag, ok := hfcache.SnapshotBlob(linked, text)
		if !ok {
			return true
		}
		settled, err := w.settled(linked, etag)
		if failed = err; settled || err != nil {
			return failed == nil
		}
		into.links = append(into.links, link{strings.Clone(linked), strings.Clone(etag)})
		w.open++
		failed = w.bounded(w.open)
		return failed == nil && !w.rev.cut
	})
	return below, cmp.Or(failed, err)
}

// bounded keeps what is known of a snapshot within bounds: where nothing is done for it
// no more is read, and where something is, nothing can be told.
func (w *linkWalk) bounded(known int) error {
	switch {
	case w.play == nil && known >= maxLinks:
		w.rev.cut = true
	case known >= maxOpen:
		return errTooMany
	}
	return nil
}

// settled reports whether a link is counted and need not be kept.
func (w *linkWalk) settled(linked, etag string) (bool, error) {
	if w.play == nil || w.special[etag] || w.play.files[etag] != nil {
		return false, nil
	}
	s := w.play.settled
	key := hashOf(w.rev.commit + "/" + linked)
	if _, counted := s.links[key]; counted {
		return true, nil
	}
	if s.has(etag) {
		s.addPath(etag)
	} else {
		if w.open < maxKept {
			return false, nil
		}
		e, err := w.blobs.finishedBlob(etag)
		if err != nil || w.now.Sub(e.Ctime) < settledAfter || w.root.fs.holes(e) > 0 {
			return false, nil //nolint:nilerr // what isn't there is no file of the download
		}
		if err := w.settle(w.play, etag, e); err != nil {
			return false, err
		}
	}
	s.links[key] = struct{}{}
	w.rev.samples.add(linked)
	return true, nil
}

// expected are the blobs of which something is known that is not done with.
func (p *pass) expected(pl *play) map[string]bool {
	expected := make(map[string]bool)
	for _, etag := range slices.Concat(p.arrivedNew, pl.justDone, pl.unlinked) {
		expected[etag] = true
	}
	for _, part := range p.repo.partials {
		expected[part.Etag] = true
	}
	for etag := range p.held.by {
		expected[etag] = true
	}
	return expected
}

// dropLinks gives up the links of what is settled.
func (p *pass) dropLinks(pl *play) {
	s := pl.settled
	for _, commit := range pl.Revisions {
		rev := p.repo.revs.at(commit)
		for _, d := range rev.dirs {
			d.links = slices.DeleteFunc(d.links, func(l link) bool {
				drop := pl.files[l.etag] == nil && s.has(l.etag)
				if drop {
					s.links[hashOf(commit+"/"+l.path)] = struct{}{}
					rev.samples.add(l.path)
				}
				return drop
			})
			d.links = slices.Clip(d.links)
		}
		if rev.dirs != nil {
			rev.collect()
		}
	}
}

// recountLinks has the snapshots in flight read anew.
func (p *pass) recountLinks(*play) error {
	for _, rev := range p.repo.revs.byCommit {
		rev.forgetLinks()
	}
	return nil
}
