package sizer

import (
	"progressd/hfcache"
)

// prove checks a complete listing against the disk: every wanted path is in
// the snapshot and its blob, looked at again, has the listed size.
func (p *pass) prove(pl *play, look *Look) Proof {
	if !pl.listed {
		return p.check(pl, look)
	}
	if look.Total == 0 && look.Files == 0 || look.Missing > 0 || look.Mismatched != nil || p.refetching(pl) {
		return NoProof
	}
	// What is looked at again here may have come since this look began, and
	// would then seem new to the next: that one shall prove it.
	p.thorough = true
	if err := p.findFinished(pl); err != nil || p.repo.layout.moved(p) {
		return NoProof
	}
	for _, f := range pl.files {
		if f.wanted && (!f.done || f.size != f.want) {
			return NoProof
		}
	}
	for _, commit := range pl.Revisions {
		if !p.repo.layout.linked(p, p.repo.revs.at(commit), pl.wants) {
			return NoProof
		}
	}
	if pl.filtered(p) {
		return ProvenByRequest
	}
	return ProvenByListing
}

// check proves a download by the text of its listing: each file that is wanted is
// in its place with its size and its content's name.
func (p *pass) check(pl *play, look *Look) Proof {
	i := p.inventoryOf(pl)
	if i == nil || i.files == 0 || look.Missing > 0 || look.Mismatched != nil || look.Partials > 0 || look.Locked ||
		look.Bytes < p.totalOf(pl, i) || p.now.Sub(i.tried) < proofAgain || p.refetching(pl) {
		return NoProof
	}
	i.tried = p.now
	rev := p.repo.revs.at(pl.Revisions[0])
	c := checker{pass: p}
	defer c.close()
	err := p.eachListed(rev.tree, func(listed hfcache.ListedFile) error {
		if !pl.wants(listed.Path) {
			return nil
		}
		return p.repo.layout.check(&c, rev, listed)
	})
	if err != nil || p.repo.layout.moved(p) {
		return NoProof
	}
	if i.files < i.all {
		return ProvenByRequest
	}
	return ProvenByListing
}

// refetching reports whether somebody fetches a blob that is there: all may be
// there, and yet that attempt isn't done. What one has left that is dead takes
// nothing away from what is there.
func (p *pass) refetching(pl *play) bool {
	for _, part := range p.repo.partials {
		f := pl.files[part.Etag]
		if part.live && part.attached && f != nil && f.wanted && f.done && !p.mended(pl, f, part) {
			return true
		}
	}
	return false
}

// filtered reports whether only part of a listing was wanted.
func (pl *play) filtered(p *pass) bool {
	for _, commit := range pl.Revisions {
		for _, listed := range p.repo.revs.at(commit).list().files {
			if !pl.wants(listed.Path) {
				return true
			}
		}
	}
	return false
}

// mended reports whether nothing is missing of what was written to a partial of
// a file: the blob came in this play, or it came or was linked after all of
// that, or is linked in a revision for which more was done behind it. Else somebody was about to fetch anew what is there.
func (p *pass) mended(pl *play, f *file, part *partial) bool {
	if !f.done || f.own || f.came.After(part.mtime) {
		return f.done
	}
	for _, commit := range pl.Revisions {
		e, ok := p.linkOf(commit, f)
		if ok && later(e.Ctime, p.repo.revs.at(commit).lastTouched()).After(part.mtime) {
			return true
		}
	}
	return false
}

// inventoryOf is that of the one revision in flight.
func (p *pass) inventoryOf(pl *play) *inventory {
	if len(pl.Revisions) != 1 {
		return nil
	}
	rev := p.repo.revs.byCommit[pl.Revisions[0]]
	if rev == nil {
		return nil
	}
	return rev.inventory()
}

// stockPlaced: of a listing that isn't kept the files lie in the snapshot themselves.
// Which content each is to have isn't known then, so each path counts as a file.
func (p *pass) stockPlaced(pl *play) bool {
	return p.repo.tree == nil && p.inventoryOf(pl) != nil && p.repo.revs.at(pl.Revisions[0]).bare()
}

// totalOf is what all that is wanted takes.
func (p *pass) totalOf(pl *play, i *inventory) int64 {
	if p.stockPlaced(pl) {
		return i.apart
	}
	return i.total
}
