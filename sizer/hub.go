package sizer

import "progressd/hfcache"

// AtMost reports whether a total of that source is an upper bound: perhaps
// not all of it is wanted.
func (s Source) AtMost() bool { return s == FromListingAtMost || s == FromHubAtMost }

// Loader reports whether a total of that source is what a program loads:
// exact but for small files.
func (s Source) Loader() bool { return s == FromLoader || s == FromHubLoader }

// Estimate reports whether a total of that source may prove too low.
func (s Source) Estimate() bool { return s.Loader() || s == FromHabits || s == FromHubHabits }

// newListing makes a listing of files that are sorted and checked.
func newListing(files []hfcache.ListedFile, index func(hfcache.ListedFile) string) *listing {
	l := &listing{files: files, byIndex: make(map[string]bool, len(files))}
	for _, listed := range files {
		l.byIndex[index(listed)] = true
	}
	return l
}

// hubAnswered reports whether what was asked for is there now.
func (p *pass) hubAnswered(pl *play) bool {
	answered := false
	for _, commit := range pl.revisions {
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
