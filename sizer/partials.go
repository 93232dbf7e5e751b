package sizer

import (
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// listPartials brings the set of partials in line with the names in blobs/. It
// reports whether those may be others than before.
func (p *pass) listPartials(blobs fsys.Dir) (others bool, err error) {
	former := p.repo.partials
	now := make(map[string]*partial)
	var names fsys.Tally
	p.repo.lockedBesides, p.repo.besides = nil, nil
	err = blobs.Names(func(name string) bool {
		if p.root.opts.Vague {
			names.Add(name)
		}
		if strings.IndexByte(name, '.') < 0 {
			return true // a finished one: there may be a million
		}
		b := hfcache.ParseBlob(name)
		if b.Kind == hfcache.Lock && len(p.repo.lockedBesides) < maxLocks {
			p.repo.lockedBesides = append(p.repo.lockedBesides, strings.Clone(b.Etag))
		}
		if b.Kind != hfcache.Partial || len(now) >= maxPartials {
			return true
		}
		if known := former[name]; known != nil {
			now[strings.Clone(name)] = known
		} else {
			kept := strings.Clone(name)
			now[kept] = &partial{BlobName: hfcache.ParseBlob(kept)}
		}
		return true
	})
	if err != nil {
		return true, err
	}
	others = !p.root.opts.Vague || p.repo.play == nil || names != p.repo.names
	p.repo.names = names
	if len(now) >= maxPartials {
		p.root.warn(p.repo.folder, "more partials than are looked at", nil)
	}
	for name, gone := range former {
		if now[name] == nil {
			p.vanished(gone)
		}
	}
	p.repo.partials = now
	return others, nil
}

// measurePartials reads how much is written. What is no regular file is
// nothing.
func (p *pass) measurePartials(blobs fsys.Dir) error {
	for name, part := range p.repo.partials {
		e, err := blobs.LstatPath(name)
		if fsys.Absent(err) || err == nil && !e.Regular() {
			delete(p.repo.partials, name)
			p.vanished(part)
			continue
		}
		if err != nil {
			return err
		}
		again := func() (fsys.Entry, error) { return blobs.LstatPath(name) }
		if part.ino == p.numbered(e, part).Inode && e.Size > part.size && p.noteClock(e, part.seen, again) {
			if e, err = again(); err != nil {
				return err
			}
		}
		if part.ino == 0 {
			p.found(part, e, p.root.clock.Ours(blobs.BornPath(name)))
		} else {
			part.measure(p.numbered(e, part), p.root.fs.content(part.BlobName, e), p.now)
		}
		part.allocated = p.root.fs.allocated(e)
	}
	return nil
}

// found takes up a partial that wasn't known: fresh if it was made, or
// touched, since watching began.
func (p *pass) found(part *partial, e fsys.Entry, born time.Time) {
	part.ino, part.size, part.mtime, part.foundAt = e.Inode, e.Size, e.Mtime, p.now
	part.bytes = p.root.fs.content(part.BlobName, e)
	part.fresh = !bornOr(born, e).Before(p.repo.watchedSince)
	if part.fresh {
		part.grown = p.now
		return
	}
	part.base, part.preexisting = part.bytes, true
	pl := p.repo.play
	part.resumed = pl != nil && pl.restored && !pl.looked && pl.brought(part)
	part.attached = part.resumed
	if part.resumed && len(pl.Revisions) == 1 {
		part.commit = pl.Revisions[0]
	}
	if e.Ctime.After(p.repo.watchedSince) {
		part.grown = p.now
	}
}

// vanished is told of a partial that is no more: renamed to its blob, or
// removed by an attempt that failed. Which, the count of files tells later.
func (p *pass) vanished(part *partial) {
	if p.repo.play != nil && part.attached {
		p.repo.play.lost(part, p.now)
	}
}
