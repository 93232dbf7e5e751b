package sizer

import (
	"slices"
	"time"

	"progressd/hfcache"
)

// missingLinks tells apart what is there and was never taken for a path of a revision,
// where all its blobs are: they lay there before the play, for another revision,
// and no link was made; or another path of the same content was all that was
// wanted. A blob that came and has no link at all is about to get one.
func (p *pass) missingLinks(pl *play, look *Look) {
	if !pl.listed || look.Missing > 0 || look.Partials > 0 || look.Locked || p.repo.tree != nil {
		return
	}
	for _, commit := range pl.Revisions {
		missing := p.missingLinksOf(pl, p.repo.revs.at(commit))
		look.Missing += missing
		look.FilesDone -= missing
	}
}

func (p *pass) missingLinksOf(pl *play, rev *revision) (missing int) {
	paths, untied := make(map[*file]int), make(map[*file]int)
	asked := func(listed hfcache.ListedFile) bool {
		f := pl.files[p.repo.layout.key(listed)]
		if f == nil || !f.wanted || !f.done || !pl.wants(listed.Path) {
			return false
		}
		paths[f]++
		return true
	}
	for _, listed := range p.untied(rev, asked) {
		untied[pl.files[p.repo.layout.key(listed)]]++
	}
	for f, n := range untied {
		if !f.own || n < paths[f] {
			missing += n
		}
	}
	return missing
}

// loading brings the look what is known of a loader: whether it still lacks
// weights, and whether all that it wants is there. Where nothing is listed one
// that has its configuration and no weights yet is far from its end, and of a
// program that isn't known to be one this may be just as true.
func (p *pass) loading(pl *play, look *Look) {
	defer func() {
		look.Awaited = look.Lacking && pl.estimate.loader != nil && (pl.estimate.around || slices.Contains(pl.running, true))
	}()
	p.stock(pl, look)
	if pl.estimate.choices == nil {
		return
	}
	missing := 0
	for commit, choice := range pl.estimate.choices {
		for _, listed := range p.repo.revs.at(commit).list().files {
			if f := pl.files[p.repo.layout.key(listed)]; choice.Likely(listed.Path) && (f == nil || !f.finished()) {
				missing++
			}
		}
	}
	if look.Lacking = missing > 0; look.Lacking {
		return
	}
	if look.Partials == 0 && !look.Locked && look.Mismatched == nil && p.loaded(pl) {
		look.Settled = ProvenByLoader
	}
}

// stock says what is there where no listing tells what there should be.
func (p *pass) stock(pl *play, look *Look) {
	if pl.listed || p.inventoryOf(pl) != nil {
		return
	}
	paths := p.linkedPaths(pl)
	if len(paths) == 0 {
		paths = p.newestPaths()
	}
	if pl.estimate.loader != nil {
		look.Lacking = pl.estimate.loader.Lacks(paths)
	} else {
		look.Lacking = p.lacksAll(pl, paths)
	}
	if look.Partials == 0 && !look.Locked {
		look.Unlinked = p.unlinkedBlobs(pl)
		look.Whole = !look.Lacking && p.mayBeModel(pl) && hfcache.Whole(paths)
	}
}

// loaded checks the loader's weights against the disk, as prove does.
func (p *pass) loaded(pl *play) bool {
	p.thorough = true
	if err := p.findFinished(pl); err != nil || p.repo.layout.moved(p) {
		return false
	}
	for commit, choice := range pl.estimate.choices {
		rev := p.repo.revs.at(commit)
		for _, listed := range rev.list().files {
			f := pl.files[p.repo.layout.key(listed)]
			if choice.Possible(listed.Path) && (f == nil || !f.done || f.size != listed.Size) {
				return false
			}
		}
		if !p.repo.layout.linked(p, rev, choice.Possible) {
			return false
		}
	}
	return true
}

// kind is what a repository is, or what is known to be downloaded into the
// directory that it is.
func (p *pass) kind(pl *play) hfcache.RepoType {
	if p.repo.tree != nil {
		return pl.Name.Type
	}
	return p.repo.name.Type
}

// narrow gives up the other revisions where nobody works any more and the one
// for which something was done last is whole: what is missing of the others was
// an earlier attempt's.
func (p *pass) narrow(pl *play, look *Look) {
	if len(pl.Revisions) < 2 || look.Locked || slices.Contains(pl.running, true) {
		return
	}
	var last *revision
	var done time.Time
	for _, commit := range pl.Revisions {
		rev := p.repo.revs.at(commit)
		if at := p.lastDone(pl, rev); last == nil || at.After(done) {
			last, done = rev, at
		}
	}
	for _, part := range p.repo.partials {
		behind := part.mtime.After(done) && !last.lists(part.index()) // else what it was for is there, or isn't
		if behind || part.live && p.now.Sub(part.grown) < lockMemory {
			return // somebody was at it behind that, or is
		}
	}
	if !p.whole(pl, last) {
		return
	}
	for _, part := range p.repo.partials {
		part.live, part.superseded = false, true // until it grows again
	}
	pl.Revisions, pl.renewed = []string{last.commit}, true
	pl.justDone = nil // else it may tell of another
	for _, f := range pl.files {
		f.wanted = false
	}
}

// lastDone is when something was last done for a revision in flight. Its snapshot's own
// directory tells nothing of what lies below that, so what came for this one alone counts,
// too.
func (p *pass) lastDone(pl *play, rev *revision) time.Time {
	last := rev.lastTouched()
	if !rev.listed() {
		return last
	}
	for _, listed := range rev.list().files {
		f := pl.files[p.repo.layout.key(listed)]
		others := func(commit string) bool {
			other := p.repo.revs.at(commit)
			unknown := !other.listed() && other.inventory() == nil
			return commit != rev.commit && (unknown || other.lists(p.repo.layout.index(listed)))
		}
		if f != nil && f.done && f.came.After(last) && !slices.ContainsFunc(pl.Revisions, others) {
			last = f.came
		}
	}
	return last
}

// whole reports whether all that is wanted of a listed revision is there.
func (p *pass) whole(pl *play, rev *revision) bool {
	if !rev.listed() {
		return false
	}
	for _, listed := range rev.list().files {
		f := pl.files[p.repo.layout.key(listed)]
		if pl.wants(listed.Path) && (f == nil || !f.done || f.size != listed.Size) {
			return false
		}
	}
	return p.repo.layout.linked(p, rev, pl.wants)
}

// newestPaths are those that the newest snapshot has, for a play of which no revision
// is known: a blob was put in its place once more, say.
func (p *pass) newestPaths() (paths []string) {
	commit := p.repo.revs.newest()
	if commit == "" {
		return nil
	}
	rev := p.repo.revs.at(commit)
	if p.repo.layout.links(p, rev) != nil {
		return nil
	}
	for _, l := range rev.links {
		paths = append(paths, l.path)
	}
	return paths
}

// mayBeModel reports whether it is a model as far as is known: what a program puts
// into a directory of its own may be of any kind.
func (p *pass) mayBeModel(pl *play) bool {
	kind := p.kind(pl)
	return kind == hfcache.Model || kind == ""
}

// lacksAll reports whether what has come is only what stands beside what a
// repository of its kind is for, where nobody asked for just that, or somebody else has
// brought more.
func (p *pass) lacksAll(pl *play, paths []string) bool {
	without := p.withoutContent(pl)
	return without != nil && without(paths) && (!pl.asksOnlyFor(without) || pl.broughtUnasked())
}

// broughtUnasked reports whether a file has come that none of those who are known has
// asked for: by one more client, of which it isn't known what it wants.
func (pl *play) broughtUnasked() bool {
	for _, f := range pl.files {
		if f.done && f.isNew && f.path != "" && !pl.wants(f.path) {
			return true
		}
	}
	return false
}

// withoutContent tells of files whether all of them stand beside what a kind of
// repository is for; nil where there is no such thing.
func (p *pass) withoutContent(pl *play) func(files []string) bool {
	switch {
	case p.mayBeModel(pl):
		return hfcache.Weightless
	case p.kind(pl) == hfcache.Dataset:
		return hfcache.Dataless
	default:
		return nil
	}
}

// unlinkedBlobs counts the finished blobs that no snapshot names, of whatever
// revision: those that one in flight has are known, and others are searched for.
func (p *pass) unlinkedBlobs(pl *play) int {
	if pl.listed || p.repo.tree != nil {
		return 0
	}
	left := make(map[string]bool)
	for _, f := range pl.files {
		if f.wanted && f.paths == 0 && f.finished() {
			left[f.etag] = true
		}
	}
	searched := &pl.search
	if len(left) == 0 || len(left) == searched.among && p.now.Sub(searched.at) < unlinkedAge {
		return min(len(left), searched.unlinked)
	}
	searched.at, searched.among = p.now, len(left)
	p.strikeLinked(left)
	searched.unlinked = len(left)
	return len(left)
}

// unlinkedAge is how long it serves which finished blobs have no link.
const unlinkedAge = time.Second

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
		rev := p.repo.revs.at(pl.Revisions[0])
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
	return len(pl.Revisions) > 1 && slices.ContainsFunc(pl.Revisions, func(commit string) bool {
		return p.repo.revs.at(commit).inventory() != nil
	})
}

// linkedPaths are the paths at which revisions in flight have a file: those of
// links, and of files that lie there themselves where no link can be made.
func (p *pass) linkedPaths(pl *play) []string {
	var paths []string
	for _, commit := range pl.Revisions {
		rev := p.repo.revs.at(commit)
		paths = rev.appendPaths(paths)
		if pl.linkless {
			for path := range rev.places {
				paths = append(paths, path)
			}
		}
	}
	if p.repo.tree != nil {
		paths = append(paths, p.repo.tree.samples.paths...)
	}
	return paths
}
