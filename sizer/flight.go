package sizer

import (
	"maps"
	"slices"
)

// rebuild works out which files the download consists of, and which of them
// are finished.
func (p *pass) rebuild(pl *play) error {
	if err := p.readRevisions(); err != nil {
		return err
	}
	p.chooseRevisions(pl)
	for _, f := range pl.files {
		f.paths, f.wanted, f.want, f.content = 0, f.wanted && f.known && f.want < 0 && !f.loose, -1, ""
	}
	if err := p.addRevisions(pl); err != nil {
		return err
	}
	for _, part := range p.repo.partials {
		if part.live || part.kept {
			pl.file(part.Etag).wanted = true
		}
	}
	for _, etag := range p.arrivedNew {
		if pl.files[etag] == nil {
			pl.file(etag).wanted = true
		}
	}
	p.addUnlinked(pl)
	for _, f := range pl.files {
		pl.listed = pl.listed && (f.want >= 0 || !f.wanted)
	}
	return p.findFinished(pl)
}

// addRevisions adds the files of the revisions in flight.
func (p *pass) addRevisions(pl *play) error {
	pl.listed, pl.fromHub = len(pl.revisions) > 0, false
	selected := false
	for _, commit := range pl.revisions {
		rev := p.repo.revs.at(commit)
		if rev.listed() || p.askHub(rev) {
			pl.fromHub = pl.fromHub || !rev.ownList()
			selected = pl.addListed(rev.list(), p.repo.layout.key) || selected
			continue
		}
		pl.listed = false
		if err := p.repo.layout.links(p, rev); err != nil {
			return err
		}
		for path, etag := range rev.links {
			pl.file(etag).name(path)
		}
		p.addPlaced(pl, rev)
	}
	if pl.listed && !selected && pl.wanted != nil {
		pl.want(nil)
		pl.unhelpful = true
		return p.addRevisions(pl)
	}
	return nil
}

// chooseRevisions finds the revisions in flight: those of the blobs that are
// written, locked or new. When another one joins, those of which nothing is
// written any more have had their time, unless a downloader still lives.
func (p *pass) chooseRevisions(pl *play) {
	inFlight := p.repo.layout.evidence(p, pl)
	if pl.restored && !pl.looked && len(inFlight) > 0 {
		pl.revisions = nil // perhaps of an attempt that ended meanwhile
	}
	joined := maps.Clone(inFlight)
	for _, commit := range pl.revisions {
		delete(joined, commit)
	}
	if len(joined) == 0 {
		return
	}
	pl.changed = p.now
	former := len(pl.revisions)
	for _, commit := range pl.revisions {
		if slices.Contains(pl.running, true) || len(pl.downloaders) == 0 && p.writes(commit) {
			inFlight[commit] = true
			former--
		}
	}
	if former > 0 {
		for _, f := range pl.files {
			f.wanted = false // what the former left is not this one's
		}
	}
	pl.revisions = slices.SortedFunc(maps.Keys(inFlight), func(a, b string) int {
		return p.repo.revs.at(b).touched().Compare(p.repo.revs.at(a).touched())
	})
}

// writes reports whether something that the commit lists is being written.
func (p *pass) writes(commit string) bool {
	rev := p.repo.revs.at(commit)
	for _, part := range p.repo.partials {
		if part.live && rev.listed() && rev.list().byIndex[part.index()] {
			return true
		}
	}
	return false
}

// evidence is the commits that something is known to be done for.
func (p *pass) evidence(pl *play) map[string]bool {
	commits := make(map[string]bool)
	add := func(etag string) { commits[p.repo.revs.of(etag)] = true }
	for _, part := range p.repo.partials {
		if part.live {
			add(part.Etag)
		}
	}
	for _, etag := range p.arrivedNew {
		add(etag)
	}
	for etag := range p.held.etags {
		add(etag)
	}
	for _, etag := range pl.justDone {
		add(etag)
	}
	pl.justDone = nil
	if p.placedNew {
		commits[p.repo.revs.newest()] = true
	}
	delete(commits, "")
	return commits
}

// narrow gives up the older revisions where nobody works any more and the
// newest is whole: what is missing of the others was an earlier attempt's.
func (p *pass) narrow(pl *play, look *Look) {
	if len(pl.revisions) < 2 || look.Partials > 0 || look.Locked || slices.Contains(pl.running, true) ||
		!p.whole(pl, p.repo.revs.at(pl.revisions[0])) {
		return
	}
	pl.revisions, pl.renewed = pl.revisions[:1], true
	for _, f := range pl.files {
		f.wanted = false
	}
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
