package sizer

import (
	"cmp"
	"slices"
	"strings"
	"time"

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
	late, astray := p.linkedLate(pl)
	for _, etag := range done {
		astray = astray || linkers[etag] == nil && p.lister(etag) == nil
	}
	for etag := range late {
		late[etag] = astray || !p.awaits(etag)
	}
	for _, part := range p.repo.partials {
		if part.live && pl.writtenNow(p, part) && !late[part.Etag] {
			part.commit = p.of(pl, part.Etag, p.guess())
			commits[part.commit] = true
		}
	}
	for _, etag := range done {
		if linkers[etag] == nil && (p.lister(etag) == nil || len(late) > 0 && astray) {
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
			commits[p.of(pl, etag, p.guess())] = true
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
	if pl.succeeded {
		return nil
	}
	for _, commit := range pl.revisions {
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
// on with what is done, or a listing awaits them. astray says that no listing
// has one of them: then they are of another revision, and so are those with it.
func (p *pass) linkedLate(pl *play) (late map[string]bool, astray bool) {
	late = make(map[string]bool)
	for name, part := range p.repo.partials {
		begun := !part.left && (part.midflight || part.base > 0)
		if part.live && pl.writtenNow(p, part) && !begun && !strings.HasSuffix(name, ".incomplete") {
			late[part.Etag] = true
			astray = astray || p.lister(part.Etag) == nil
		}
	}
	return late, astray
}

// awaits reports whether a blob is listed by a revision that has no link to it
// yet.
func (p *pass) awaits(etag string) bool {
	rev := p.lister(etag)
	return rev != nil && len(p.untied(rev, func(listed hfcache.ListedFile) bool { return listed.Etag == etag })) > 0
}

// untied are those of some listed files of a revision of which its snapshot has
// neither a link nor, where links can't be made, the file itself.
func (p *pass) untied(rev *revision, asked func(hfcache.ListedFile) bool) (untied []hfcache.ListedFile) {
	if !rev.listed() {
		return nil
	}
	snapshot, err := p.top.Sub(p.repo.folder + "/snapshots/" + rev.commit)
	if err == nil {
		defer snapshot.Close()
	} else if !fsys.Absent(err) {
		return nil
	}
	for _, listed := range rev.list().files {
		if !asked(listed) {
			continue
		}
		if err != nil {
			untied = append(untied, listed)
			continue
		}
		text, err := snapshot.ReadlinkPath(listed.Path)
		if etag, ok := hfcache.SnapshotBlob(listed.Path, text); err == nil && ok && etag == listed.Etag {
			continue
		}
		if e, err := snapshot.LstatPath(listed.Path); err != nil || !e.Regular() || e.Size != listed.Size {
			untied = append(untied, listed)
		}
	}
	return untied
}

// untaken tells apart what is there and was never taken for a path of a revision,
// where all its blobs are: they lay there before the play, for another revision,
// and no link was made; or another path of the same content was all that was
// wanted. A blob that came and has no link at all is about to get one.
func (p *pass) untaken(pl *play, look *Look) {
	if !pl.listed || look.Missing > 0 || look.Partials > 0 || look.Locked || p.repo.tree != nil {
		return
	}
	for _, commit := range pl.revisions {
		untaken := p.untakenOf(pl, p.repo.revs.at(commit))
		look.Missing += untaken
		look.FilesDone -= untaken
	}
}

func (p *pass) untakenOf(pl *play, rev *revision) (untaken int) {
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
			untaken += n
		}
	}
	return untaken
}

// touchedNow reports whether the attempt that is under way has done anything
// for a listed revision.
func (p *pass) touchedNow(pl *play, rev *revision) bool {
	return pl.inAttempt(rev.written) || slices.ContainsFunc(rev.list().files, func(listed hfcache.ListedFile) bool {
		f := pl.files[p.repo.layout.key(listed)]
		return f != nil && (f.done && pl.inAttempt(f.came) || f.part != nil && f.part.live && pl.writtenNow(p, f.part))
	})
}

// inAttempt reports whether something came since the attempt under way began,
// as far as is known when that was.
func (pl *play) inAttempt(at time.Time) bool { return at.After(pl.attemptBegan.Add(-tick)) }

// writtenNow reports whether it is the attempt under way that writes a live
// partial. One without a lock counts as live for a while behind its client.
func (pl *play) writtenNow(p *pass, part *partial) bool {
	return !pl.succeeded || p.held.has(part.Etag) || part.grown.After(pl.attempt)
}
