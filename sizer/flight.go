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
	moving := p.moving(pl)
	if err := p.readListings(pl.Revisions, moving); err != nil {
		return err
	}
	former := pl.Revisions
	p.chooseRevisions(pl)
	if err := p.readListings(pl.Revisions, moving); err != nil { // of those that were chosen
		return err
	}
	alike := slices.Equal(former, pl.Revisions)
	if !alike || p.recountDue(pl) {
		if err := p.recount(pl, alike); err != nil {
			return err
		}
	}
	for _, f := range pl.files {
		f.paths, f.wanted, f.want, f.content = f.elsewhere, f.wanted && f.known && f.want < 0 && !f.loose, -1, ""
	}
	if err := p.addRevisions(pl); err != nil {
		return err
	}
	for _, part := range p.repo.partials {
		if part.live || p.goesOn(pl, part) {
			pl.file(part.Etag).wanted = true
		}
	}
	p.addUnlinked(pl)
	pl.addNew(p)
	if err := p.repo.layout.rest(p, pl); err != nil {
		return err
	}
	for _, f := range pl.files {
		pl.listed = pl.listed && (f.want >= 0 || !f.wanted)
	}
	if err := p.findFinished(pl); err != nil {
		return err
	}
	return p.settleFiles(pl)
}

// goesOn reports whether a partial that nobody writes to is what the next
// attempt at the same revision goes on with. Of what this attempt has written
// the revision may be guessed wrongly.
func (p *pass) goesOn(pl *play, part *partial) bool {
	before := !part.mtime.After(later(pl.firstBaseline, pl.attemptBegan))
	if before && part.commit != "" && len(pl.Revisions) > 0 && !slices.Contains(pl.Revisions, part.commit) {
		return false
	}
	return part.counted && !p.spent(part) || part.resumed && part.attached && !pl.listed
}

// addNew adds what came and isn't part of a revision in flight, as far as is
// known yet. Where all of those are listed, only what somebody is at is more
// than that: the rest was left by others, who are gone.
func (pl *play) addNew(p *pass) {
	for _, etag := range slices.Concat(p.arrivedNew, pl.unlinked) {
		if pl.files[etag] == nil {
			pl.file(etag).wanted = true
		}
	}
	inventory := p.inventoryOf(pl)
	if !pl.listed && (inventory == nil || p.repo.tree != nil) {
		return
	}
	live := make(map[string]bool)
	for _, part := range p.repo.partials {
		if part.live {
			live[part.Etag] = true
		}
	}
	placed := p.stockPlaced(pl)
	for _, f := range pl.files {
		part := f.want >= 0
		switch {
		case placed:
			part = f.paths > 0 // what lies in blobs/ beside it was copied, or is about to be
		case !pl.listed:
			part = inventory.lists(f.etag)
		}
		f.wanted = f.wanted && (part || live[f.etag] || p.held.has(f.etag))
	}
}

// addRevisions adds the files of the revisions in flight.
func (p *pass) addRevisions(pl *play) error {
	pl.listed, pl.fromHub = len(pl.Revisions) > 0, false
	selected := false
	for _, commit := range pl.Revisions {
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
		for _, l := range rev.links {
			pl.file(l.etag).name(l.path)
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
	past := false // whether some are not of this attempt
	if len(inFlight) > 0 && (pl.Succeeded || pl.restored && !pl.looked) {
		past = slices.ContainsFunc(pl.Revisions, func(commit string) bool { return !inFlight[commit] })
		pl.Revisions, pl.Succeeded = nil, false
	}
	joined := maps.Clone(inFlight)
	for _, commit := range pl.Revisions {
		delete(joined, commit)
	}
	if len(joined) == 0 {
		return
	}
	pl.changed = p.now
	former := len(pl.Revisions)
	for _, commit := range pl.Revisions {
		if slices.Contains(pl.running, true) && p.broughtTo(pl, commit) || len(pl.Downloaders) == 0 && p.writes(commit) {
			inFlight[commit] = true
			former--
		}
	}
	if former > 0 || past {
		for _, f := range pl.files {
			f.wanted = false // what the former left is not this one's
		}
	}
	pl.Revisions = slices.SortedFunc(maps.Keys(inFlight), func(a, b string) int {
		return p.repo.revs.at(b).touched().Compare(p.repo.revs.at(a).touched())
	})
}

// writes reports whether something that the commit lists is being written.
func (p *pass) writes(commit string) bool {
	rev := p.repo.revs.at(commit)
	for _, part := range p.repo.partials {
		if part.live && rev.lists(part.index()) {
			return true
		}
	}
	return false
}

// broughtTo reports whether something of this play is known to have gone to a
// revision. Without a listing only its links tell: that a blob in flight was
// taken for its own may have been a mistake.
func (p *pass) broughtTo(pl *play, commit string) bool {
	rev := p.repo.revs.at(commit)
	if rev.listed() {
		return p.lacks(pl, rev) && p.touchedNow(pl, rev)
	}
	for _, l := range rev.links {
		if f := pl.files[l.etag]; f != nil && f.isNew && pl.inAttempt(f.came) {
			return true
		}
	}
	return false
}

// addFruitless notes which locks of this attempt came to nothing: they are gone,
// and no blob is there. So it is with a client that dies, or gives up, before
// it has made its partial, and with one that writes elsewhere (swift). Where
// there is a listing, that says better what is missing; where files lie in the
// snapshot themselves, a blob is nowhere else.
func (p *pass) addFruitless(pl *play) {
	if pl.listed || pl.linkless {
		return
	}
	for etag, last := range pl.locked {
		f := pl.files[etag]
		if last.at.Before(pl.attempt) || p.locked(etag) || pl.failed[etag] || f != nil && f.done {
			continue
		}
		if !p.missing(etag) {
			continue
		}
		pl.file(etag).wanted = true
		pl.failed[etag] = true
	}
}
