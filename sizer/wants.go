package sizer

import (
	"path"
	"slices"
	"strconv"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// settling is how long after the first weights those of another format may be
// begun: clients begin eight files at once, each after a request of its own.
const settling = 5 * time.Second

// updateLoader works out what is being loaded, as updateWanted does for
// requests: all that run have to agree, and when all are gone the last answer
// stands.
func (p *pass) updateLoader(pl *play) {
	name := p.repo.name
	if len(pl.Downloaders) == 0 {
		p.lookAround(pl)
		return
	}
	pl.estimate.around = false
	pl.estimate.assume(nil)
	var loaders []*downloader.Loader
	running := 0
	for i, d := range pl.Downloaders {
		if !pl.running[i] && (pl.estimate.loader != nil || !pl.restoredWanted(i)) {
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
	if (agreed == nil) != (pl.estimate.loader == nil) || agreed != nil && *agreed != *pl.estimate.loader {
		pl.estimate.loader, pl.estimate.begun = agreed, -1
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
	pl.estimate.around = found.Loader != nil
	switch filters := p.ownersFilters(found.Requests); {
	case found.Loader == nil && len(filters) > 0:
		pl.estimate.assume(filters)
	case found.Loader != nil && (pl.estimate.loader == nil || *found.Loader != *pl.estimate.loader):
		pl.estimate.assume(nil)
		pl.estimate.loader, pl.estimate.begun = found.Loader, -1
	}
}

// ownersFilters are those of the requests for a cache that the owner of this
// one makes: another user's are for another cache, and may be made up to be
// dear to match. More than are remembered of a play tell nothing.
func (p *pass) ownersFilters(requests map[string][]*downloader.Request) (filters []hfcache.Filter) {
	if len(requests) == 0 {
		return nil
	}
	owner, ok := p.owner()
	if !ok {
		return nil
	}
	for _, r := range requests[strconv.FormatUint(uint64(owner), 10)] {
		if r.LocalDir == "" {
			filters = append(filters, r.Filter)
		}
	}
	if len(filters) > maxDownloaders {
		return nil
	}
	return filters
}

// updateEstimate works out anew which files to leave out of the total, if there may be
// a reason to. What is there, or comes after all, counts in any case.
func (p *pass) updateEstimate(pl *play) {
	begun := 0
	for _, f := range pl.files {
		if pl.began(f) {
			begun++
		}
	}
	weighed := pl.estimate.weighed
	settled := pl.Settled || !weighed.IsZero() && p.now.Sub(weighed) >= settling
	if begun == pl.estimate.begun && settled == pl.Settled {
		return
	}
	g := &pl.estimate
	g.choices, g.sure, g.narrowed, g.begun, pl.Settled = nil, false, false, begun, settled
	for _, f := range pl.files {
		f.out = false
	}
	if !pl.listed || pl.wanted != nil {
		return
	}
	p.choose(pl)
	kept := make(map[string]bool)
	for _, commit := range pl.Revisions {
		l := p.repo.revs.at(commit).list()
		keeps := p.habit(pl, l)
		if choice, ok := pl.estimate.choices[commit]; ok {
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
		pl.estimate.narrowed = pl.estimate.narrowed || f.out
	}
}

// requested tells which files of a listing are asked for, nil if that isn't
// known, or if something else was begun: then it is another who fetches here.
func (p *pass) requested(pl *play, l *listing) func(path string) bool {
	if pl.estimate.requested == nil {
		return nil
	}
	asks, asked := matchAny(pl.estimate.requested), make(map[string]bool)
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
	if pl.estimate.loader == nil {
		return
	}
	choices, sure := make(map[string]downloader.Choice), true
	for _, commit := range pl.Revisions {
		files := p.repo.revs.at(commit).list().files
		paths := make([]string, len(files))
		for i, listed := range files {
			paths[i] = listed.Path
		}
		choice, ok := pl.estimate.loader.Weights(paths)
		if !ok {
			return
		}
		choices[commit] = choice
		sure = sure && !slices.ContainsFunc(paths, func(path string) bool { return choice.Possible(path) && !choice.Likely(path) })
	}
	pl.estimate.choices, pl.estimate.sure = choices, sure
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
	if len(formats) > 0 && pl.estimate.weighed.IsZero() {
		pl.estimate.weighed = p.now
	}
	oneFormat := len(formats) == 1 && !all && pl.Settled
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

// decoration is what nobody fetches who wants a model only to run: whoever
// does takes the whole repository.
var decoration = map[string]bool{".gitattributes": true, "README.md": true}
