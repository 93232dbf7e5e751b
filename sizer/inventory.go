package sizer

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

const (
	// maxListed is how many files a listing may have that is kept as a whole. Of a
	// longer one an inventory is made.
	maxListed = 4096
	// inventoryBytes is what a file takes of memory in it, and countedBytes while
	// it is made (seen).
	inventoryBytes = 9
	countedBytes   = 48
	// proofAgain is how long after a proof that has failed the next is tried: each
	// file is looked at for one.
	proofAgain = time.Minute
)

// An inventory says of a listing that is too long to be kept how many files there
// are, how large they are, and whether a file is one of them. The download is
// then followed as one without a listing; the end is proven by the text.
type inventory struct {
	// indexes are the hashes of what the layout's index gives, sorted.
	indexes []uint64
	// all counts the paths; files and total are of those that are wanted.
	all, files int
	total      int64
	// apart is the total where each path is a file of its own.
	apart int64
	// wanted is what files and total were worked out for.
	wanted []hfcache.Filter
	// tried is when it was last tried to prove it.
	tried time.Time
}

func (i *inventory) lists(index string) bool {
	_, found := slices.BinarySearch(i.indexes, hashOf(index))
	return found
}

// lists reports whether a listing of the revision has a file, by its index in the
// layout.
func (rev *revision) lists(index string) bool {
	if l := rev.list(); l != nil {
		return l.byIndex[index]
	}
	i := rev.inventory()
	return i != nil && i.lists(index)
}

// inventory is that of the cache's own listing, if that is too long to be kept.
func (rev *revision) inventory() *inventory {
	if !rev.hasTree || rev.listing == nil {
		return nil
	}
	return rev.listing.inventory
}

// inventoryOf is that of the one revision in flight.
func (p *pass) inventoryOf(pl *play) *inventory {
	if len(pl.revisions) != 1 {
		return nil
	}
	rev := p.repo.revs.byCommit[pl.revisions[0]]
	if rev == nil {
		return nil
	}
	return rev.inventory()
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
			i.apart = addSaturating(i.apart, listed.Size)
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
		i.total = addSaturating(i.total, c.size)
	}
	return i, nil
}

// takeStock says what there is of the one revision in flight, by the inventory of
// its listing.
func (p *pass) takeStock(pl *play, look *Look) {
	i := p.inventoryOf(pl)
	if i == nil {
		if p.severalStocks(pl) {
			look.Doubtful++
		}
		return
	}
	if !slices.EqualFunc(i.wanted, pl.wanted, hfcache.Filter.Equal) || (i.wanted == nil) != (pl.wanted == nil) {
		rev := p.repo.revs.at(pl.revisions[0])
		anew, err := p.takeInventory(rev.tree, pl.wanted)
		if err != nil {
			look.Missing++ // it can't be known
			return
		}
		if anew.files == 0 { // what is wanted names nothing that is listed
			pl.want(nil)
			pl.unhelpful = true
			return
		}
		*i = *anew
	}
	look.Files, look.Total, look.Listed = i.files, p.totalOf(pl, i), i.files
	look.Missing = max(0, i.files-look.FilesDone)
	look.TotalSource = pl.source()
}

// severalStocks: of several revisions in flight one has a listing that is too long to be
// kept. Which of their files are wanted isn't worked out, so none is proven.
func (p *pass) severalStocks(pl *play) bool {
	return len(pl.revisions) > 1 && slices.ContainsFunc(pl.revisions, func(commit string) bool {
		return p.repo.revs.at(commit).inventory() != nil
	})
}

// totalOf is what all that is wanted takes.
func (p *pass) totalOf(pl *play, i *inventory) int64 {
	if p.stockPlaced(pl) {
		return i.apart
	}
	return i.total
}

// stockPlaced: of a listing that isn't kept the files lie in the snapshot themselves.
// Which content each is to have isn't known then, so each path counts as a file.
func (p *pass) stockPlaced(pl *play) bool {
	return p.repo.tree == nil && p.inventoryOf(pl) != nil && p.repo.revs.at(pl.revisions[0]).bare()
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
	rev := p.repo.revs.at(pl.revisions[0])
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

// A checker looks at files one after the other, which mostly lie in the same
// directories as the last.
type checker struct {
	*pass
	open [2]checkedDir
}

type checkedDir struct {
	path string
	dir  fsys.Dir
	is   bool
}

func (c *checker) close() {
	for i := range c.open {
		if c.open[i].is {
			c.open[i].dir.Close()
		}
		c.open[i] = checkedDir{}
	}
}

// dir opens a directory as the first or second.
func (c *checker) dir(which int, path string) (fsys.Dir, error) {
	o := &c.open[which]
	if o.is && o.path == path {
		return o.dir, nil
	}
	if o.is {
		o.dir.Close()
	}
	*o = checkedDir{}
	d, err := c.top.Sub(path)
	if err == nil {
		*o = checkedDir{path, d, true}
	}
	return d, err
}

// checkLink checks a file of a cache.
func (c *checker) checkLink(rev *revision, listed hfcache.ListedFile) error {
	snapshot, err := c.dir(0, c.repo.folder+"/snapshots/"+rev.commit+within(listed.Path))
	if err != nil {
		return err
	}
	name := lastOf(listed.Path)
	e, err := snapshot.Lstat(name)
	if err == nil && e.Link() {
		text, err := snapshot.Readlink(name)
		if etag, ok := hfcache.SnapshotBlob(listed.Path, text); err != nil || !ok || etag != listed.Etag {
			return fs.ErrNotExist
		}
		blobs, err := c.dir(1, c.repo.folder+"/blobs")
		if err != nil {
			return err
		}
		if e, err = c.finished(blobs, listed.Etag); err != nil {
			return err
		}
	}
	return c.whole(e, err, listed)
}

// checkNote checks a file of a directory that is filled by --local-dir.
func (c *checker) checkNote(_ *revision, listed hfcache.ListedFile) error {
	placed, err := c.dir(0, c.repo.folder+within(listed.Path))
	if err != nil {
		return err
	}
	staged, err := c.dir(1, c.repo.folder+stage+within(listed.Path))
	if err != nil {
		return err
	}
	e, err := placed.Lstat(lastOf(listed.Path))
	if err != nil {
		return err
	}
	n, ok := c.readNote(staged, lastOf(listed.Path), note{})
	if !ok || !vouches(n.mark.mtime, e) || n.etag != listed.Etag {
		return fs.ErrNotExist
	}
	return c.whole(e, nil, listed)
}

// within is where the directory of a path lies, as what follows that of all.
func within(path string) string {
	path = "/" + path
	return path[:strings.LastIndexByte(path, '/')]
}

// whole: a file is there as it is listed.
func (c *checker) whole(e fsys.Entry, err error, listed hfcache.ListedFile) error {
	if err == nil && (!e.Regular() || e.Size != listed.Size || c.root.fs.holes(e) > 0) {
		err = fs.ErrNotExist
	}
	return err
}
