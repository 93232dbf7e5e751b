package sizer

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"progressd/fsys"
	"progressd/hfcache"
)

// unlisted reports whether a listing that may be of what is in flight could not
// be read for want of memory.
func (p *pass) unlisted(pl *play) bool {
	for _, rev := range p.repo.revs.byCommit {
		if rev.refused() && (len(pl.Revisions) == 0 || slices.Contains(pl.Revisions, rev.commit)) {
			return true
		}
	}
	return false
}

// readListings parses those that are needed: of the revisions in flight, and,
// newest first, as many as it takes to find one for each file that moves.
func (p *pass) readListings(inFlight, moving []string) error {
	moving = slices.Clone(moving)
	for _, rev := range p.repo.revs.byTree() {
		need := slices.Contains(inFlight, rev.commit) || len(moving) > 0
		if need && !rev.listing.current(rev.tree, p.now) {
			rev.listing = nil // makes room
			if err := p.parse(rev); err != nil {
				return err
			}
		}
		if !rev.unread() {
			moving = slices.DeleteFunc(moving, rev.lists)
		}
	}
	return nil
}

// moving are the files, by their index in the layout, of which it is to be known
// which revision lists them.
func (p *pass) moving(pl *play) []string {
	indexes := slices.Concat(p.arrivedNew, pl.justDone, pl.unlinked, slices.Collect(maps.Keys(p.held.by)))
	for _, part := range p.repo.partials {
		if part.live {
			indexes = append(indexes, part.index())
		}
	}
	slices.Sort(indexes)
	return slices.Compact(indexes)
}

// parse reads the listing of a revision. One that can't be used counts as none:
// progress then goes on without a total. What is one file under several names
// is read once.
func (p *pass) parse(rev *revision) error {
	for _, other := range p.repo.revs.byCommit {
		if l := other.listing; l.current(rev.tree, p.now) && l.refused.IsZero() && !l.file.vague {
			rev.listing = l
			return nil
		}
	}
	d, err := p.top.Sub(p.repo.folder + p.repo.layout.trees)
	if err != nil {
		return notAbsent(err)
	}
	defer d.Close()
	rev.listing = p.parseListing(d, rev.tree)
	return nil
}

func (p *pass) parseListing(d fsys.Dir, f treeFile) *listing {
	unusable := &listing{file: p.mark(f.entry), size: f.entry.Size, read: p.now}
	file, e, err := d.OpenRegular(f.name + ".json")
	if err != nil {
		if !fsys.Absent(err) || fsys.Refused(err) {
			p.root.warn(p.repo.folder, "cannot read the listing "+f.name, err)
		}
		return unusable
	}
	defer file.Close()
	limits := hfcache.DefaultLimits()
	limits.Bytes, limits.Entries = min(limits.Bytes, e.Size), maxListed
	most := memoryOf(min(int(e.Size/shortest), limits.Entries), min(e.Size, maxListed*longEntry))
	if !p.root.reserve(most) {
		unusable.refused = p.now
		return unusable
	}
	parsed, err := hfcache.ParseListing(file, limits)
	if errors.Is(err, hfcache.ErrListingTooBig) {
		p.root.release(most)
		return p.longListing(f, e, unusable)
	}
	if err != nil {
		p.root.release(most)
		p.root.warn(p.repo.folder, "cannot use the listing "+f.name+": progress is told without a total", err)
		return unusable
	}
	l := newListing(parsed.Files, p.repo.layout.index)
	l.file, l.size, l.read = p.mark(e), e.Size, p.now
	p.root.keep(l, most)
	return l
}

// longListing reads a listing that is too long to be kept.
func (p *pass) longListing(f treeFile, e fsys.Entry, unusable *listing) *listing {
	limits := hfcache.LargeLimits()
	most := countedBytes * min(e.Size/shortest, int64(limits.Entries))
	if !p.root.reserve(most) {
		unusable.refused = p.now
		return unusable
	}
	var wanted []hfcache.Filter
	if p.repo.play != nil {
		wanted = p.repo.play.wanted
	}
	i, err := p.takeInventory(f, wanted)
	if err != nil {
		p.root.release(most)
		p.root.warn(p.repo.folder, "cannot use the listing "+f.name+": progress is told without a total", err)
		return unusable
	}
	l := &listing{file: p.mark(e), size: e.Size, read: p.now, inventory: i}
	p.root.keepAs(l, inventoryBytes*int64(i.all), most)
	return l
}

// eachListed goes through the text of a listing.
func (p *pass) eachListed(f treeFile, use func(hfcache.ListedFile) error) error {
	d, err := p.top.Sub(p.repo.folder + p.repo.layout.trees)
	if err != nil {
		return err
	}
	defer d.Close()
	file, e, err := d.OpenRegular(f.name + ".json")
	if err != nil {
		return err
	}
	defer file.Close()
	limits := hfcache.LargeLimits()
	limits.Bytes = min(limits.Bytes, e.Size)
	return hfcache.EachListed(file, limits, use)
}

// takeInventory makes the inventory of a listing.
func (p *pass) takeInventory(f treeFile, wanted []hfcache.Filter) (*inventory, error) {
	i := &inventory{wanted: wanted}
	wants := matchAny(wanted)
	type content struct {
		key  uint64
		size int64
	}
	var contents []content
	var paths []uint64
	err := p.eachListed(f, func(listed hfcache.ListedFile) error {
		i.indexes = append(i.indexes, hashOf(p.repo.layout.index(listed)))
		paths = append(paths, hashOf(listed.Path))
		if wanted == nil || wants(listed.Path) {
			i.files++
			contents = append(contents, content{hashOf(p.repo.layout.key(listed)), listed.Size})
			i.apart = AddSaturating(i.apart, listed.Size)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	if i.all = len(paths); len(slices.Compact(paths)) < i.all {
		return nil, errors.New("a path is listed twice")
	}
	slices.Sort(i.indexes)
	i.indexes = slices.Clip(slices.Compact(i.indexes))
	slices.SortFunc(contents, func(a, b content) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(b.size, a.size)) })
	contents = slices.CompactFunc(contents, func(a, b content) bool { return a.key == b.key })
	for _, c := range contents {
		i.total = AddSaturating(i.total, c.size)
	}
	return i, nil
}

// hubAnswered reports whether what was asked for is there now.
func (p *pass) hubAnswered(pl *play) bool {
	answered := false
	for _, commit := range pl.Revisions {
		if rev := p.repo.revs.byCommit[commit]; rev != nil {
			answered = p.askHub(rev) || answered
		}
	}
	return answered
}

// askHub takes the hub's listing of a revision in flight that has no usable
// one in the cache, and reports whether there is one now.
// Options.Listing waits for nobody, so this may be asked at every look.
func (p *pass) askHub(rev *revision) bool {
	if p.root.opts.Listing == nil || rev.listed() || rev.inventory() != nil {
		return false
	}
	found, ok := p.root.opts.Listing(p.repo.name, rev.commit)
	most := memoryOf(len(found.Files), 0) // the hub's own memory has the text
	if !ok || len(found.Files) == 0 || !p.root.reserve(most) {
		return false
	}
	rev.hub = newListing(found.Files, p.repo.layout.index)
	p.root.keep(rev.hub, most)
	return true
}
