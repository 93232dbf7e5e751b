package sizer

import (
	"path"
	"slices"
	"strconv"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// A guess is which listed files are wanted where no download command says so.
// It narrows the total. What proves a download complete it leaves alone, but
// for a loader whose choice is sure.
type guess struct {
	// loader is what all who download here load, nil if that isn't known.
	loader *downloader.Loader
	// requested is what download commands of the owner ask for, where the
	// lock of none was seen: perhaps they fetch into another cache.
	requested []hfcache.Filter
	// choices are the loader's, by commit; nil where one isn't known.
	choices map[string]downloader.Choice
	// sure: all versions of the loader choose alike.
	sure bool
	// narrowed: some file was left out.
	narrowed bool
	// begun is how many files had been begun when this was worked out, -1
	// if it is to be done anew.
	begun int
	// weighed is when a file of weights was first seen to be begun, and
	// settled that this is long enough ago to tell one format from several.
	weighed time.Time
	settled bool
	// around: it was found by its command line alone, and runs.
	around bool
}

// settling is how long after the first weights those of another format may be
// begun: clients begin eight files at once, each after a request of its own.
const settling = 5 * time.Second

// updateLoader works out what is being loaded, as updateWanted does for
// requests: all that run have to agree, and when all are gone the last answer
// stands.
func (p *pass) updateLoader(pl *play) {
	name := p.repo.name
	if len(pl.downloaders) == 0 {
		p.lookAround(pl)
		return
	}
	pl.guess.around = false
	pl.guess.suppose(nil)
	var loaders []*downloader.Loader
	running := 0
	for i, d := range pl.downloaders {
		if !pl.running[i] && (pl.guess.loader != nil || !pl.restoredWanted(i)) {
			continue
		}
		running++
		if d.Loader != nil && d.Loader.Repo == name && (len(loaders) == 0 || *loaders[0] == *d.Loader) {
			loaders = append(loaders, d.Loader)
		}
	}
	if running == 0 {
		return
	}
	var agreed *downloader.Loader
	if len(loaders) == running {
		agreed = loaders[0]
	}
	if (agreed == nil) != (pl.guess.loader == nil) || agreed != nil && *agreed != *pl.guess.loader {
		pl.guess.loader, pl.guess.begun = agreed, -1
	}
}

// lookAround finds the program that fetches the repository where the lock of
// none was seen: the small files that come first are fetched in a moment. What
// is told of the beginning can't wait for the next lock.
func (p *pass) lookAround(pl *play) {
	if p.repo.tree != nil {
		return // which repository it holds isn't known before its lock
	}
	oldest := downloader.CommandsAge
	if !pl.looked {
		oldest = downloader.LocksAge
	} else if p.writing() {
		return
	}
	found := p.root.opts.Procs.Fetched(p.now, p.repo.name, oldest)
	pl.guess.around = found.Loader != nil
	switch filters := p.ownersFilters(found.Requests); {
	case found.Loader == nil && len(filters) > 0:
		pl.guess.suppose(filters)
	case found.Loader != nil && (pl.guess.loader == nil || *found.Loader != *pl.guess.loader):
		pl.guess.suppose(nil)
		pl.guess.loader, pl.guess.begun = found.Loader, -1
	}
}

func (p *pass) writing() bool {
	for _, part := range p.repo.partials {
		if part.live {
			return true
		}
	}
	return false
}

// ownersFilters are those of the requests for a cache that the owner of this
// one makes: another user's are for another cache, and may be made up to be
// dear to match. More than are remembered of a play tell nothing.
func (p *pass) ownersFilters(requests map[string][]*downloader.Request) (filters []hfcache.Filter) {
	if len(requests) == 0 {
		return nil
	}
	e, err := p.top.LstatPath(p.repo.folder)
	if err != nil {
		return nil
	}
	for _, r := range requests[strconv.FormatUint(uint64(e.UID), 10)] {
		if r.LocalDir == "" {
			filters = append(filters, r.Filter)
		}
	}
	if len(filters) > maxDownloaders {
		return nil
	}
	return filters
}

// suppose takes it that what the filters select is wanted.
func (g *guess) suppose(filters []hfcache.Filter) {
	if !slices.EqualFunc(filters, g.requested, hfcache.Filter.Equal) {
		g.requested, g.begun = filters, -1
	}
}

// began reports whether something was seen of the file: it is there, whole or
// in part, or its lock was held.
func (pl *play) began(f *file) bool {
	return f.done || f.part != nil || !pl.locked[f.etag].at.IsZero()
}

// reckon works out anew which files to leave out of the total, if there may be
// a reason to. What is there, or comes after all, counts in any case.
func (p *pass) reckon(pl *play) {
	begun := 0
	for _, f := range pl.files {
		if pl.began(f) {
			begun++
		}
	}
	weighed := pl.guess.weighed
	settled := pl.guess.settled || !weighed.IsZero() && p.now.Sub(weighed) >= settling
	if begun == pl.guess.begun && settled == pl.guess.settled {
		return
	}
	g := &pl.guess
	g.choices, g.sure, g.narrowed, g.begun, g.settled = nil, false, false, begun, settled
	for _, f := range pl.files {
		f.out = false
	}
	if !pl.listed || pl.wanted != nil {
		return
	}
	p.choose(pl)
	kept := make(map[string]bool)
	for _, commit := range pl.revisions {
		l := p.repo.revs.at(commit).list()
		keeps := p.habit(pl, l)
		if choice, ok := pl.guess.choices[commit]; ok {
			keeps = choice.Likely
		} else if requested := p.requested(pl, l); requested != nil {
			keeps = requested
		}
		for _, listed := range l.files {
			key := p.repo.layout.key(listed)
			kept[key] = kept[key] || keeps(listed.Path)
		}
	}
	for key, f := range pl.files {
		f.out = f.wanted && f.want >= 0 && !kept[key] && !pl.began(f)
		pl.guess.narrowed = pl.guess.narrowed || f.out
	}
}

// requested tells which files of a listing are asked for, nil if that isn't
// known, or if something else was begun: then it is another who fetches here.
func (p *pass) requested(pl *play, l *listing) func(path string) bool {
	if pl.guess.requested == nil {
		return nil
	}
	asks, asked := matchAny(pl.guess.requested), make(map[string]bool)
	for _, listed := range l.files {
		key := p.repo.layout.key(listed)
		asked[key] = asked[key] || asks(listed.Path)
	}
	for key, selected := range asked {
		if f := pl.files[key]; !selected && f != nil && pl.fresh(f) {
			return nil
		}
	}
	return asks
}

// choose asks what the loader fetches of each revision in flight. It is known
// of all or of none.
func (p *pass) choose(pl *play) {
	if pl.guess.loader == nil {
		return
	}
	choices, sure := make(map[string]downloader.Choice), true
	for _, commit := range pl.revisions {
		files := p.repo.revs.at(commit).list().files
		paths := make([]string, len(files))
		for i, listed := range files {
			paths[i] = listed.Path
		}
		choice, ok := pl.guess.loader.Weights(paths)
		if !ok {
			return
		}
		choices[commit] = choice
		sure = sure && !slices.ContainsFunc(paths, func(path string) bool { return choice.Possible(path) && !choice.Likely(path) })
	}
	pl.guess.choices, pl.guess.sure = choices, sure
}

// farBehind is how many files that come later in a directory have to have been
// begun for one that hasn't to be left out. Clients begin files in the order
// of the listing, eight at a time (huggingface_hub 0.21 to 2.4): three times
// as many leave room for one that is slow to begin.
const farBehind = 3 * 8

// habit tells which files of a listing an unknown downloader probably wants,
// by what it has begun: of several formats of weights the one it is at, of
// numbered files all, and nothing that its order has left far behind.
func (p *pass) habit(pl *play, l *listing) func(path string) bool {
	formats, groups := make(map[string]bool), make(map[string]bool)
	inDir := make(map[string][]string)
	all := false
	for _, listed := range l.files {
		if f := pl.files[p.repo.layout.key(listed)]; f == nil || !pl.fresh(f) {
			continue
		}
		if group, ok := hfcache.ShardGroup(listed.Path); ok {
			groups[group] = true
		}
		if format := hfcache.WeightFormat(listed.Path); format != "" {
			formats[format] = true
		}
		all = all || decoration[listed.Path]
		dir := path.Dir(listed.Path)
		inDir[dir] = append(inDir[dir], listed.Path)
	}
	if len(formats) > 0 && pl.guess.weighed.IsZero() {
		pl.guess.weighed = p.now
	}
	oneFormat := len(formats) == 1 && !all && pl.guess.settled
	return func(file string) bool {
		if group, ok := hfcache.ShardGroup(file); ok && groups[group] {
			return true
		}
		format := hfcache.WeightFormat(file)
		if oneFormat && format != "" && !formats[format] {
			return false
		}
		later := inDir[path.Dir(file)]
		return len(later) < farBehind || file >= later[len(later)-farBehind]
	}
}

// fresh reports whether the file was begun in this play: what was there before
// tells nothing about what is wanted now.
func (pl *play) fresh(f *file) bool {
	return f.done && f.isNew || f.part != nil && f.part.live || !pl.locked[f.etag].at.IsZero()
}

// decoration is what nobody fetches who wants a model only to run: whoever
// does takes the whole repository.
var decoration = map[string]bool{".gitattributes": true, "README.md": true}

// loading brings the look what is known of a loader: whether it still lacks
// weights, and whether all that it wants is there. Where nothing is listed one
// that has its configuration and no weights yet is far from its end, and of a
// program that isn't known to be one this may be just as true.
func (p *pass) loading(pl *play, look *Look) {
	defer func() {
		look.Awaited = look.Lacking && pl.guess.loader != nil && (pl.guess.around || slices.Contains(pl.running, true))
	}()
	p.stock(pl, look)
	if pl.guess.choices == nil {
		return
	}
	missing := 0
	for commit, choice := range pl.guess.choices {
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
	if pl.guess.loader != nil {
		look.Lacking = pl.guess.loader.Lacks(paths)
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
	for commit, choice := range pl.guess.choices {
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
