package sizer

import (
	"maps"
	"slices"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// describe fills the look from the play.
func (pl *play) describe(p *pass, look *Look) {
	look.InPlay, look.Play = true, pl.id
	look.Revisions = slices.Clone(pl.revisions)
	look.Base, look.Bytes = pl.base, pl.bytes
	look.Locked, look.Room = p.held.any, p.room
	look.Downloaders = slices.Clip(pl.downloaders) // which come, and never change
	look.Alive, look.Stopped = slices.Clone(pl.running), slices.Clone(pl.stopped)
	look.WantedKnown = pl.wanted != nil
	pl.describeFiles(p, look)
	pl.describePartials(p, look)
	p.takeStock(pl, look)
	if !pl.listed && p.inventoryOf(pl) == nil {
		look.ShardGap = hfcache.ShardGap(p.linkedPaths(pl))
		look.Asked = p.root.opts.Listing != nil && len(pl.revisions) > 0
	}
	failures := pl.failures()
	look.Failed = pl.formerFailed + p.halves(pl)
	if p.root.opts.Vague && pl.linkless {
		// A file that was moved into the snapshot has another number there, and perhaps
		// another time (rclone): which of them failed, if any, isn't known.
		look.Doubtful += len(failures)
	} else {
		look.Failed += len(failures)
	}
	known := failures[:min(len(failures), maxNamed)]
	unlinked := slices.Concat(pl.justDone, pl.unlinked)
	look.Memory = Memory{
		Since: p.root.clock.Theirs(p.told(pl)), Play: pl.id, From: p.root.clock.Theirs(pl.opened), Revisions: look.Revisions,
		Base: pl.base, Bytes: pl.bytes, Downloaders: look.Downloaders, Name: pl.name,
		Attempt: p.root.clock.Theirs(pl.attemptBegan), Succeeded: pl.succeeded, Settled: pl.guess.settled,
		Locks: pl.lockSeen, Partials: pl.partialSeen, BroughtUnseen: pl.broughtUnseen,
		Failed: pl.formerFailed + len(failures) - len(known), FailedBlobs: known,
		Copying: maps.Clone(pl.copying), CutOffs: slices.Clone(p.repo.cutOffs),
		Unlinked: unlinked[:min(len(unlinked), maxNamed)], Kept: p.keptOf(pl),
	}
}

// keptOf are the blobs of Memory.Kept.
func (p *pass) keptOf(pl *play) []string {
	var etags []string
	for _, part := range p.repo.partials {
		f := pl.files[part.Etag]
		if !part.live && part.attached && f != nil && f.wanted && f.part == part && len(etags) < maxNamed {
			etags = append(etags, part.Etag)
		}
	}
	slices.Sort(etags)
	return etags
}

// told is the time behind which a blob hasn't been told of: that of the last
// that came, or of its content, where a client writes that under its name
// (swift).
func (p *pass) told(pl *play) time.Time {
	at := later(later(p.repo.since, p.blobsTime), pl.settled.newest)
	for _, f := range pl.files {
		if f.done && !f.loose {
			at = later(at, f.came)
		}
	}
	if p.root.opts.Vague && pl.linkless { // elsewhere, it left blobs/ when it was placed
		at = later(at, p.lastPlaced(pl))
	}
	return at
}

// lastPlaced is when the last file came to the snapshots of a play in which
// files lie there themselves.
func (p *pass) lastPlaced(pl *play) (at time.Time) {
	for _, commit := range pl.revisions {
		rev := p.repo.revs.at(commit)
		if err := p.readLinks(rev); err != nil {
			continue
		}
		for _, e := range rev.places {
			at = later(at, e.Ctime)
		}
	}
	return at
}

// maxNamed bounds how many blobs of a kind are remembered by name.
const maxNamed = 64

// failures are the blobs whose attempt failed and that nobody has brought
// since. What no listing in flight names is no part of the download any more.
func (pl *play) failures() []string {
	var etags []string
	for etag := range pl.failed {
		f := pl.files[etag]
		if f == nil && !pl.listed || f != nil && f.wanted && !f.finished() && (f.part == nil || !f.part.live) {
			etags = append(etags, etag)
		}
	}
	slices.Sort(etags)
	return etags
}

// list counts a listed file, and towards the total what is expected.
//
//nolint:revive // expected is a fact about the file, not a way of counting
func (l *Look) list(f *file, paths int, expected bool) {
	l.Listed += paths
	if expected {
		l.Files += paths
		l.Total = addSaturating(l.Total, f.want)
	}
	if !f.finished() {
		l.Missing += paths
		l.miss(f)
	}
}

func (pl *play) describeFiles(p *pass, look *Look) {
	look.FilesDone = pl.settled.paths
	for _, f := range pl.files {
		if !f.wanted {
			continue
		}
		paths := int(max(f.paths, 1))
		done := f.finished()
		if done {
			look.FilesDone += paths
		}
		if done && !p.held.has(f.etag) {
			look.mismatch(f)
		}
		if !pl.listed {
			// What one of several revisions lists and lacks speaks against
			// completion, also where the others have no listing.
			if f.want >= 0 && !done {
				look.Missing += paths
			}
			continue
		}
		look.list(f, paths, !f.out || pl.began(f))
	}
	if look.Total > 0 {
		look.TotalSource = pl.source()
	}
	// What a listing that could not be read has speaks against completion, too.
	if p.unlisted(pl) {
		look.Missing++
	}
}

// source is where the total comes from.
func (pl *play) source() Source {
	switch {
	case pl.wanted != nil:
		return pl.from(FromListing, FromHub)
	case pl.guess.sure:
		return pl.from(FromLoader, FromHubLoader)
	case pl.guess.narrowed:
		return pl.from(FromHabits, FromHubHabits)
	default:
		return pl.from(FromListingAtMost, FromHubAtMost)
	}
}

func (pl *play) from(cache, hub Source) Source {
	if pl.fromHub {
		return hub
	}
	return cache
}

func (pl *play) describePartials(p *pass, look *Look) {
	var flying []InFlight
	for _, name := range slices.Sorted(maps.Keys(p.repo.partials)) {
		part := p.repo.partials[name]
		f := pl.files[part.Etag]
		switch {
		case part.live && part.attached:
			look.Partials++
			flying = append(flying, part.inFlight(f))
			look.Ahead = addSaturating(look.Ahead, part.ahead(f))
		case part.attached && f != nil && f.wanted && !p.mended(pl, f, part):
			// What a later attempt continues, or the last one left.
			look.Unfinished++
		default:
			look.addOrphan(part, p.now)
			if p.unfinished(pl, f, part.Etag) {
				look.Unfinished++
			}
		}
	}
	pl.nameRequested(p, flying)
	look.InFlight = named(flying)
	live, dead := p.countOwners()
	look.Partials += live
	look.Unfinished += dead
}

// unfinished reports whether an orphan stands for something that isn't there
// and isn't being fetched. Without a listing any blob may have been wanted.
func (p *pass) unfinished(pl *play, f *file, etag string) bool {
	if f != nil && (f.wanted || pl.listed) {
		return f.wanted && !f.done && (f.part == nil || !f.part.live)
	}
	return !pl.listed && !p.brought(etag)
}

// brought reports whether a finished file is there.
func (p *pass) brought(etag string) bool {
	_, err := p.top.LstatPath(p.repo.folder + p.repo.layout.home + "/" + etag)
	return err == nil
}

// linkedPaths are the paths at which revisions in flight have a file: those of
// links, and of files that lie there themselves where no link can be made.
func (p *pass) linkedPaths(pl *play) []string {
	var paths []string
	for _, commit := range pl.revisions {
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

// prove checks a complete listing against the disk: every wanted path is in
// the snapshot and its blob, looked at again, has the listed size.
func (p *pass) prove(pl *play, look *Look) Proof {
	if !pl.listed {
		return p.check(pl, look)
	}
	if look.Total == 0 && look.Files == 0 || look.Missing > 0 || look.Mismatched != nil || p.refetching(pl) {
		return NoProof
	}
	// What is looked at again here may have come since this look began, and
	// would then seem new to the next: that one shall prove it.
	p.thorough = true
	if err := p.findFinished(pl); err != nil || p.repo.layout.moved(p) {
		return NoProof
	}
	for _, f := range pl.files {
		if f.wanted && (!f.done || f.size != f.want) {
			return NoProof
		}
	}
	for _, commit := range pl.revisions {
		if !p.repo.layout.linked(p, p.repo.revs.at(commit), pl.wants) {
			return NoProof
		}
	}
	if pl.filtered(p) {
		return ProvenByRequest
	}
	return ProvenByListing
}

// refetching reports whether somebody fetches a blob that is there: all may be
// there, and yet that attempt isn't done. What one has left that is dead takes
// nothing away from what is there.
func (p *pass) refetching(pl *play) bool {
	for _, part := range p.repo.partials {
		f := pl.files[part.Etag]
		if part.live && part.attached && f != nil && f.wanted && f.done && !p.mended(pl, f, part) {
			return true
		}
	}
	return false
}

func (p *pass) blobsMoved() bool {
	e, err := p.top.LstatPath(p.repo.folder + "/blobs")
	return err != nil || !e.Mtime.Equal(p.blobsTime)
}

// linked reports whether each wanted path of the listing leads to its blob.
func (p *pass) linked(rev *revision, wants func(path string) bool) bool {
	top, err := p.top.Sub(p.repo.folder + "/snapshots/" + rev.commit)
	if err != nil {
		return false
	}
	defer top.Close()
	for _, listed := range rev.list().files {
		if !wants(listed.Path) {
			continue
		}
		text, err := top.ReadlinkPath(listed.Path)
		if err == nil {
			if etag, ok := hfcache.SnapshotBlob(listed.Path, text); ok && etag == listed.Etag && !p.outdated(top, listed) {
				continue
			}
			return false
		}
		// Where links can't be made the client puts the file itself here.
		if e, err := top.LstatPath(listed.Path); err != nil || !e.Regular() || e.Size != listed.Size {
			return false
		}
	}
	return true
}

// outdated reports whether a link is older than its blob, if that came just now:
// it was fetched anew, perhaps for another revision whose link is to come.
func (p *pass) outdated(snapshot fsys.Dir, listed hfcache.ListedFile) bool {
	f := p.repo.play.files[p.repo.layout.key(listed)]
	if f == nil || !f.own || p.now.Sub(f.came).Abs() >= lockMemory {
		return false
	}
	e, err := snapshot.LstatPath(listed.Path)
	return err == nil && e.Ctime.Before(f.came.Add(-tick))
}

// filtered reports whether only part of a listing was wanted.
func (pl *play) filtered(p *pass) bool {
	for _, commit := range pl.revisions {
		for _, listed := range p.repo.revs.at(commit).list().files {
			if !pl.wants(listed.Path) {
				return true
			}
		}
	}
	return false
}
