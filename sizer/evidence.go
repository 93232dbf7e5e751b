package sizer

import (
	"cmp"
	"slices"
	"strings"

	"progressd/fsys"
	"progressd/hfcache"
)

// evidence is the commits that something is known to be done for.
func (p *pass) evidence(pl *play) map[string]bool {
	commits := make(map[string]bool)
	done := slices.Concat(p.arrivedNew, pl.justDone, pl.unlinked)
	slices.Sort(done)
	done = slices.Compact(done) // what has just come is told by its name and by its file
	pl.justDone, pl.unlinked = nil, nil
	linkers := p.linkers(done)
	late, unlisted := p.linkedLate(pl)
	for _, etag := range done {
		unlisted = unlisted || linkers[etag] == nil && p.lister(etag) == nil
	}
	for etag := range late {
		late[etag] = unlisted || !p.awaits(etag)
	}
	for _, part := range p.repo.partials {
		if part.live && pl.writtenNow(p, part) && !late[part.Etag] {
			part.commit = p.of(pl, part.Etag, p.likelyRevision())
			commits[part.commit] = true
		}
	}
	for _, etag := range done {
		if linkers[etag] == nil && (p.lister(etag) == nil || len(late) > 0 && unlisted) {
			pl.unlinked = append(pl.unlinked, etag) // its link is to come
			continue
		}
		commits[p.of(pl, etag, cmp.Or(linkers[etag], p.linkedInFlight(pl, etag)))] = true
	}
	for etag := range p.held.by {
		switch {
		case slices.Contains(pl.unlinked, etag):
			pl.renewed = true // and soon: then it tells the revision
		case !late[etag]:
			commits[p.of(pl, etag, p.likelyRevision())] = true
		}
	}
	if p.placedNew {
		commits[p.repo.revs.newest()] = true
	}
	delete(commits, "")
	return commits
}

// linkedInFlight is the revision in flight, without a listing, that had a link
// to a blob before it came: of two clients at one revision the second has put it
// in its place once more, and left the link alone (Rust's hf-hub).
func (p *pass) linkedInFlight(pl *play, etag string) *revision {
	if pl.Succeeded {
		return nil
	}
	for _, commit := range pl.Revisions {
		if rev := p.repo.revs.byCommit[commit]; rev != nil && !rev.listed() && rev.linksTo(etag) {
			return rev
		}
	}
	return nil
}

// linkers are the revisions that got links to blobs that came; see linker.
func (p *pass) linkers(done []string) map[string]*revision {
	found := make(map[string]*revision)
	if len(done) == 0 {
		return found
	}
	snapshots := p.bare(2)
	for _, etag := range done {
		found[etag] = p.linker(snapshots, etag)
	}
	return found
}

// linkedLate are the blobs in flight whose client makes the snapshot's directory
// behind them (Rust's hf-hub before 1.0, llama.cpp), so that nothing tells which
// revision they are of, unless they were begun before: that would be taken to go
// on with what is done, or a listing awaits them. unlisted says that no listing
// has one of them: then they are of another revision, and so are those with it.
func (p *pass) linkedLate(pl *play) (late map[string]bool, unlisted bool) {
	late = make(map[string]bool)
	for name, part := range p.repo.partials {
		begun := !part.resumed && (part.preexisting || part.base > 0)
		if part.live && pl.writtenNow(p, part) && !begun && !strings.HasSuffix(name, ".incomplete") {
			late[part.Etag] = true
			unlisted = unlisted || p.lister(part.Etag) == nil
		}
	}
	return late, unlisted
}

// awaits reports whether a blob is listed by a revision that has no link to it
// yet.
func (p *pass) awaits(etag string) bool {
	rev := p.lister(etag)
	return rev != nil && len(p.untied(rev, func(listed hfcache.ListedFile) bool { return listed.Etag == etag })) > 0
}

// touchedNow reports whether the attempt that is under way has done anything
// for a listed revision.
func (p *pass) touchedNow(pl *play, rev *revision) bool {
	return pl.inAttempt(rev.written) || slices.ContainsFunc(rev.list().files, func(listed hfcache.ListedFile) bool {
		f := pl.files[p.repo.layout.key(listed)]
		return f != nil && (f.done && pl.inAttempt(f.came) || f.part != nil && f.part.live && pl.writtenNow(p, f.part))
	})
}

// likelyRevision is the revision without a listing that a blob in flight is likely to
// be of: the newest.
func (p *pass) likelyRevision() *revision {
	var newest *revision
	for _, rev := range p.repo.revs.byCommit {
		if rev.bareLinked() && rev.newerThan(newest) {
			newest = rev
		}
	}
	return newest
}

// bare are the revisions without a listing whose snapshots changed last, their
// links read, newest first.
func (p *pass) bare(most int) []*revision {
	var found []*revision
	for _, rev := range p.repo.revs.byCommit {
		if rev.bareLinked() {
			found = append(found, rev)
		}
	}
	slices.SortFunc(found, func(a, b *revision) int { return b.linked.Compare(a.linked) })
	found = found[:min(len(found), most)]
	for _, rev := range found {
		if err := p.readLinks(rev); err != nil {
			rev.links = nil
		}
	}
	return found
}

// linker is the one of some revisions whose snapshot has got a link to a blob
// that came; one of before is none for what was fetched anew.
func (p *pass) linker(snapshots []*revision, etag string) *revision {
	e, err := p.blob(etag)
	if err != nil {
		return nil
	}
	for _, rev := range snapshots {
		if rev.linksTo(etag) && (p.root.opts.Vague || !p.linkedLast(rev, etag).Before(e.Ctime.Add(-fsys.Tick))) {
			return rev
		}
	}
	return nil
}

// of names the revision that a blob in flight belongs to: of those that list
// it, the one touched last; else the one that has no listing. Empty if there is
// none. One without a listing goes before a listed one if its snapshot was
// touched for it: later than anything of the other, for which nobody works any
// more.
func (p *pass) of(pl *play, etag string, bare *revision) string {
	listing := p.lister(etag)
	if bare == nil || listing != nil && (!bare.linked.After(listing.lastTouched()) || p.worksFor(pl, listing)) {
		return listing.name()
	}
	return bare.name()
}

// lister is the revision touched last of those that list a file, by its index
// in the layout; nil if none does.
func (p *pass) lister(index string) *revision {
	var found *revision
	for _, rev := range p.repo.revs.byCommit {
		if rev.lists(index) && rev.newerThan(found) {
			found = rev
		}
	}
	return found
}

// worksFor reports whether somebody may still be working for a listed revision
// in flight: not if nothing of it is missing.
func (p *pass) worksFor(pl *play, rev *revision) bool {
	return !pl.Succeeded && slices.Contains(pl.Revisions, rev.commit) && slices.Contains(pl.running, true) && p.lacks(pl, rev)
}

// lacks reports whether something of a listed revision isn't there yet.
func (p *pass) lacks(pl *play, rev *revision) bool {
	if !rev.listed() {
		return true // as far as is known
	}
	return slices.ContainsFunc(rev.list().files, func(listed hfcache.ListedFile) bool {
		f := pl.files[p.repo.layout.key(listed)]
		return pl.wants(listed.Path) && (f == nil || !f.done)
	})
}

// treeEvidence: a partial names its path and content, a finished file's
// metadata its commit. A lock says nothing: a file that is there has it taken.
func (p *pass) treeEvidence(pl *play) map[string]bool {
	commits := make(map[string]bool)
	for _, part := range p.repo.partials {
		if part.live && pl.writtenNow(p, part) {
			rev := p.lister(part.index())
			if rev == nil {
				rev = p.likelyRevision()
			}
			commits[rev.name()] = true
		}
	}
	for _, path := range append(pl.justDone, p.arrivedNew...) {
		n, ok := p.repo.tree.notes[path]
		if !ok {
			n, _ = p.noteOf(path)
		}
		commits[n.commit] = true
	}
	pl.justDone = nil
	delete(commits, "")
	return commits
}
