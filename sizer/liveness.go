package sizer

import (
	"slices"
	"time"
)

// takeUp lets a play of a former life of the daemon keep its partials.
func (p *pass) takeUp() {
	for _, part := range p.repo.partials {
		if p.resumes(part) {
			part.counted, part.attached = true, true
		}
	}
}

// resumes reports whether this look is the first of a play of a former life of
// the daemon and the file was written to in that play, where no lock was seen to
// tell whether somebody is still at it.
func (p *pass) resumes(part *partial) bool {
	pl := p.repo.play
	return pl != nil && pl.restored && !pl.looked && !pl.LockSeen && part.mtime.After(pl.firstBaseline)
}

// judge tells live partials from those of dead attempts, and one of twins
// from the other, by what can be known: a held lock, growth, age.
func (p *pass) judge() {
	best := make(map[string]*partial)
	for _, part := range p.repo.partials {
		was := part.live
		part.live = p.alive(part)
		if was && !part.live && part.Attempt != "" {
			part.superseded = true // nobody continues it
		}
		if other := best[part.Etag]; other == nil || p.better(part, other) {
			best[part.Etag] = part
		}
	}
	for _, part := range p.repo.partials {
		if best[part.Etag] != part {
			part.live, part.superseded = false, true
		}
		part.attached = best[part.Etag] == part && (part.live || part.Attempt == "" || part.attached && !p.takenOver(part))
	}
}

// alive: its blob's lock is held; or, where locks tell nothing about it, it
// grew lately, or it was alive and no one has taken over.
func (p *pass) alive(part *partial) bool {
	if part.superseded {
		return false
	}
	if p.held.has(part.Etag) || part.live && p.locked(part.Etag) {
		return true
	}
	if p.grew(part, grace) && !p.lockLost(part) && !p.outdone(part) {
		return true
	}
	return part.live && !p.held.any && !p.held.seen && !p.bettered(part) && !p.refetched(part)
}

// grew reports whether a partial has grown within so long.
func (p *pass) grew(part *partial, within time.Duration) bool {
	return !part.grown.IsZero() && p.now.Sub(part.grown) < within
}

// abreast: both are written to at one time, as each has grown when the other one was there
// already. What a dead client has left does so no more.
func (p *pass) abreast(a, b *partial) bool {
	bothThere := later(a.foundAt, b.foundAt)
	return p.grew(a, pieceTime) && p.grew(b, pieceTime) && a.grown.After(bothThere) && b.grown.After(bothThere)
}

// pieceTime is how long a client may take for what it writes at once: 10 MB
// (huggingface_hub) at 1 MB/s.
const pieceTime = 10 * time.Second

// refetched: somebody fetched anew what is there, and holds its lock no more.
// Nothing is missing that could be waited for.
func (p *pass) refetched(part *partial) bool {
	if p.repo.play == nil {
		return false
	}
	f := p.repo.play.files[part.Etag]
	return f != nil && f.done && !p.locked(part.Etag)
}

// bettered: another attempt has finished the blob meanwhile.
func (p *pass) bettered(part *partial) bool {
	if p.repo.play == nil {
		return false
	}
	f := p.repo.play.files[part.Etag]
	return f != nil && f.done && f.isNew
}

// outdone: the blob came, or one that was there was linked, behind all that was
// written to the partial. It may be found growing all the same: at the first
// look that sees it, whoever made it may be gone, with a lock that nobody saw.
func (p *pass) outdone(part *partial) bool {
	pl := p.repo.play
	if pl == nil {
		return false
	}
	f := pl.files[part.Etag]
	if f == nil || !f.done {
		return false
	}
	return f.came.After(part.mtime) || !f.own && slices.ContainsFunc(pl.Revisions, func(commit string) bool {
		link, ok := p.linkOf(commit, f)
		return ok && link.Ctime.After(part.mtime)
	})
}

// lockLost: this play's downloader locks what it writes, and this is not
// locked. Its attempt is over even if it grew a moment ago. What grows after
// that is somebody's who takes no lock, if the blob isn't there.
func (p *pass) lockLost(part *partial) bool {
	pl := p.repo.play
	if pl == nil || pl.locked[part.Etag].at.IsZero() {
		return false
	}
	lost := pl.unlocked[part.Etag]
	return lost.IsZero() || !part.grown.After(lost) || p.bettered(part)
}

// takenOver: someone else downloads here now, and this partial can't be
// continued by them.
func (p *pass) takenOver(part *partial) bool {
	return part.Attempt != "" && p.held.any && !p.locked(part.Etag)
}

// better chooses among partials of one blob: the live one; of two that are both written
// to, by clients that don't see each other's locks, the one that is further, so that what
// counts doesn't shrink whenever the other one grows; else the one that grew last, the newest.
func (p *pass) better(a, b *partial) bool {
	switch {
	case a.live != b.live:
		return a.live
	case p.abreast(a, b) && a.bytes != b.bytes:
		return a.bytes > b.bytes
	case !a.grown.Equal(b.grown):
		return a.grown.After(b.grown)
	case !a.mtime.Equal(b.mtime):
		return a.mtime.After(b.mtime)
	default:
		return a.Attempt > b.Attempt
	}
}

// untouched: nothing was written to it since the watch began, or since the last play in
// a directory of its own. There a client takes the lock of a file to read what it has
// noted of it, and only then looks whether that is still so (huggingface_hub 0.23 to 2.4).
func (p *pass) untouched(part *partial) bool {
	return part.grown.IsZero() && (part.preexisting || p.repo.tree != nil)
}

// writtenNow reports whether it is the attempt under way that writes a live
// partial. One without a lock counts as live for a while behind its client.
func (pl *play) writtenNow(p *pass, part *partial) bool {
	return !pl.Succeeded || p.held.has(part.Etag) || part.grown.After(pl.attempt)
}
