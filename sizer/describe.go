package sizer

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"progressd/hfcache"
)

// describe fills the look from the play.
func (pl *play) describe(p *pass, look *Look) {
	look.InPlay, look.Play = true, pl.Play
	look.Revisions = slices.Clone(pl.Revisions)
	look.Base, look.Bytes = pl.Base, pl.Bytes
	look.Locked, look.Room = p.held.any, p.room
	look.Downloaders = slices.Clip(pl.Downloaders) // which come, and never change
	look.Alive, look.Stopped = slices.Clone(pl.running), slices.Clone(pl.stopped)
	look.WantedKnown = pl.wanted != nil
	pl.describeFiles(p, look)
	pl.describePartials(p, look)
	p.takeStock(pl, look)
	if !pl.listed && p.inventoryOf(pl) == nil {
		look.ShardGap = hfcache.ShardGap(p.linkedPaths(pl))
		look.Asked = p.root.opts.Listing != nil && len(pl.Revisions) > 0
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
	pl.reported = p.reportedUntil(pl)
	look.Checkpoint = (Checkpoint{
		Since: p.root.clock.Theirs(pl.reported), From: p.root.clock.Theirs(pl.firstBaseline), Attempt: p.root.clock.Theirs(pl.attemptBegan),
		Facts:  pl.Facts,
		Failed: pl.formerFailed + len(failures) - len(known), FailedBlobs: known, CutOffs: p.repo.cutOffs,
		Unlinked: unlinked[:min(len(unlinked), maxNamed)], Counted: p.keptOf(pl),
	}).Copied()
}

// keptOf are the blobs of Checkpoint.Counted.
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

// reportedUntil is the time behind which a blob hasn't been told of: that of the last
// that came, or of its content, where a client writes that under its name
// (swift).
func (p *pass) reportedUntil(pl *play) time.Time {
	at := later(later(p.repo.baseline, p.blobsTime), pl.settled.newest)
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
	for _, commit := range pl.Revisions {
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

// list counts a listed file, and towards the total what is expected.
//
//nolint:revive // expected is a fact about the file, not a way of counting
func (l *Look) list(f *file, paths int, expected bool) {
	l.Listed += paths
	if expected {
		l.Files += paths
		l.Total = AddSaturating(l.Total, f.want)
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

func (pl *play) describePartials(p *pass, look *Look) {
	var flying []InFlight
	for _, name := range slices.Sorted(maps.Keys(p.repo.partials)) {
		part := p.repo.partials[name]
		f := pl.files[part.Etag]
		switch {
		case part.live && part.attached:
			look.Partials++
			flying = append(flying, part.inFlight(f))
			look.Ahead = AddSaturating(look.Ahead, part.ahead(f))
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

// nameRequested names the one file in flight that nothing lists after the one
// that the command line asks for by name and that has no link yet. Of more than
// one nothing tells which is which.
func (pl *play) nameRequested(p *pass, flying []InFlight) {
	if pl.listed || len(flying) != 1 || flying[0].Name != flying[0].Etag || len(pl.wanted) != 1 {
		return
	}
	links := p.linkedPaths(pl)
	var left []string
	for _, path := range pl.wanted[0].Include {
		if strings.ContainsAny(path, `*?[\`) || strings.HasSuffix(path, "/") {
			return // a pattern
		}
		if !slices.Contains(links, path) {
			left = append(left, path)
		}
	}
	if len(left) == 1 {
		flying[0].Name = left[0]
	}
}

// miss names a file that is not there: the largest count most.
func (l *Look) miss(f *file) {
	if f.path == "" {
		return
	}
	a := Absent{Path: f.path, Size: f.want}
	at, _ := slices.BinarySearchFunc(l.Absent, a, func(x, y Absent) int {
		return cmp.Or(cmp.Compare(y.Size, x.Size), cmp.Compare(x.Path, y.Path))
	})
	if at < maxAbsent {
		l.Absent = slices.Insert(l.Absent, at, a)
		l.Absent = l.Absent[:min(len(l.Absent), maxAbsent)]
	}
}

// mismatch notes a finished file that isn't what it should be: of several, the
// first by name.
func (l *Look) mismatch(f *file) {
	if f.holes == 0 && (f.want < 0 || f.size == f.want) || l.Mismatched != nil && l.Mismatched.Path <= f.label() {
		return
	}
	l.Mismatched = &Mismatch{Path: f.label(), Got: f.size, Want: f.want}
	if f.holes > 0 {
		l.Mismatched.Want, l.Mismatched.Holes = f.size+f.holes, true
	}
}

// leftovers fills in what dead attempts have left in a repository at rest,
// where no partial is live. It costs no more than the look does anyway, but
// for a stat when names came or went.
func (p *pass) leftovers(look *Look) {
	for _, part := range p.repo.partials {
		if p.now.Sub(part.mtime) < leftAlone {
			continue
		}
		look.addOrphan(part, p.now)
		if part.Attempt == "" && !p.spent(part) {
			look.Resumable++
		}
	}
}

// leftAlone is how long nobody must have written to a partial that lies in a
// repository at rest before it is reported: a download may be paused, or its
// client be one that shows no lock.
const leftAlone = 24 * time.Hour

// addOrphan counts one partial of a dead attempt.
func (l *Look) addOrphan(part *partial, now time.Time) {
	l.Orphans++
	l.OrphanBytes = AddSaturating(l.OrphanBytes, part.bytes)
	l.OrphanAge = max(l.OrphanAge, now.Sub(part.mtime))
}

// countOwners counts the repository's temporary files: those that are being
// written, and those that a dead attempt has left.
func (p *pass) countOwners() (live, dead int) {
	for t := range p.root.temps.all() {
		switch {
		case t.owner != p.repo.folder:
		case t.live:
			live++
		default:
			dead++
		}
	}
	return live, dead
}

// halves counts the files of the download that were left half copied.
func (p *pass) halves(pl *play) (n int) {
	for _, c := range p.repo.cutOffs {
		if f := pl.files[c.Etag]; f != nil && f.wanted && f.want < 0 {
			n++
		}
	}
	return n
}

// ahead is what a partial has taken of the room beyond what is written: XFS
// gives up to 511 MiB ahead while a file is open (seen).
func (part *partial) ahead(f *file) int64 {
	if f == nil || f.want < 0 {
		return 0
	}
	return max(min(part.allocated, f.want)-part.bytes, 0)
}

// inFlight is what is known of a file whose partial is live.
func (part *partial) inFlight(f *file) InFlight {
	in := InFlight{Etag: part.Etag, Name: part.Etag, Bytes: part.bytes}
	if f == nil {
		return in
	}
	if f.path != "" {
		in.Name = f.path
	}
	if f.want > 0 {
		in.Size, in.Bytes = f.want, min(part.bytes, f.want)
	}
	return in
}
