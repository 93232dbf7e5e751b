package sizer

import (
	"cmp"
	"errors"
	"maps"
	"runtime"
	"slices"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// What a listed file takes of memory, in bytes (seen): its entry in a listing
// beside the text of its path and its etag, and once more in a play.
const (
	listedBytes = 180
	playedBytes = 220
	// shortest is the least that a file takes in a listing's text.
	shortest = 64
)

// refusedAgain is how soon a listing for which there was no memory is asked for
// again.
const refusedAgain = 10 * time.Second

// A listing is a parsed tree file.
type listing struct {
	file  mark
	size  int64
	files []hfcache.ListedFile
	// byIndex has the index that the layout gives each file.
	byIndex map[string]bool
	// inventory stands for the files where they are too many to be kept.
	inventory *inventory
	// read is when it was; refused, when there was no memory for it, else zero.
	read, refused time.Time
}

// A treeFile is where a listing lies.
type treeFile struct {
	name  string
	entry fsys.Entry
}

// current reports whether a listing is that of the file as it is now. One that
// was young when it was read may have changed since without its time showing it.
func (l *listing) current(f treeFile, now time.Time) bool {
	if l == nil {
		return false
	}
	settled := l.file
	settled.young = false
	switch {
	case settled.rewritten(f.entry) || l.size != f.entry.Size:
		return false
	case !l.refused.IsZero():
		return now.Sub(l.refused) < refusedAgain
	default:
		return !l.file.young || l.read.Equal(now)
	}
}

// unread: there is a listing, and nobody has had a need for it.
func (rev *revision) unread() bool { return rev.hasTree && rev.listing == nil }

// refused: there is a listing, and there was no memory for it, nor has the hub one.
func (rev *revision) refused() bool {
	return rev.hasTree && rev.listing != nil && !rev.listing.refused.IsZero() && !rev.listed()
}

// unlisted reports whether a listing that may be of what is in flight could not
// be read for want of memory.
func (p *pass) unlisted(pl *play) bool {
	for _, rev := range p.repo.revs.byCommit {
		if rev.refused() && (len(pl.revisions) == 0 || slices.Contains(pl.revisions, rev.commit)) {
			return true
		}
	}
	return false
}

// bareLinked: it has a snapshot, and there is no listing of it.
func (rev *revision) bareLinked() bool {
	return !rev.listed() && !rev.unread() && !rev.linked.IsZero()
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

// byTree are the revisions that have a listing, the one first that was written
// last.
func (revs *revisions) byTree() []*revision {
	all := slices.Collect(maps.Values(revs.byCommit))
	all = slices.DeleteFunc(all, func(rev *revision) bool { return !rev.hasTree })
	slices.SortFunc(all, func(a, b *revision) int {
		return cmp.Or(b.written.Compare(a.written), cmp.Compare(b.commit, a.commit))
	})
	return all
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

// longEntry is what an entry takes of a listing's text, as a rule, at most.
const longEntry = 512

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

// memoryOf is what a listing takes, in bytes.
func memoryOf(files int, text int64) int64 {
	return int64(files)*(listedBytes+playedBytes) + text
}

// reserve asks for memory. What is refused is perhaps held by what is garbage.
func (r *Root) reserve(n int64) bool {
	if r.opts.Reserve == nil || r.opts.Reserve(n) {
		return true
	}
	if now := time.Now(); now.Sub(r.collected) > refusedAgain {
		r.collected = now
		runtime.GC()
	}
	return false
}

func (r *Root) release(n int64) {
	if r.opts.Reserve != nil {
		r.opts.Reserve(-n)
	}
}

// keep gives back what was reserved beyond what a listing takes, and all of it
// when the listing is no more: that is, when the memory has really come free.
func (r *Root) keep(l *listing, reserved int64) {
	if r.opts.Reserve == nil {
		return
	}
	var text int64
	for _, f := range l.files {
		text += int64(len(f.Path) + len(f.Etag))
	}
	r.keepAs(l, memoryOf(len(l.files), text), reserved)
}

// keepAs is keep for a listing that takes so much.
func (r *Root) keepAs(l *listing, takes, reserved int64) {
	if r.opts.Reserve == nil {
		return
	}
	takes = min(takes, reserved)
	r.release(reserved - takes)
	giveBackWith(l, r.opts.Reserve, takes)
}

// giveBackWith gives reserved memory back when what takes it has really come free. It must
// know nothing of the Root, which knows what takes it: else neither ever does.
func giveBackWith[T any](taker *T, reserve func(n int64) bool, takes int64) {
	if reserve != nil {
		runtime.AddCleanup(taker, func(n int64) { reserve(-n) }, takes)
	}
}
