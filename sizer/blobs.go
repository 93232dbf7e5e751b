package sizer

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// readBlobs brings the partials up to date and, at rest, finds blobs that
// came since the last play.
func (p *pass) readBlobs() error {
	blobs, err := p.top.Sub(p.repo.folder + "/blobs")
	if fsys.Absent(err) {
		return p.noBlobs(err)
	}
	if err != nil {
		return err
	}
	defer blobs.Close()
	e, err := blobs.Stat()
	if err != nil {
		return err
	}
	if p.repo.last.changed(e) && p.noteClock(e, p.repo.last.at, blobs.Stat) {
		if e, err = blobs.Stat(); err != nil {
			return err
		}
	}
	p.root.fs.learn(blobs, e.Dev)
	p.blobsTime = e.Mtime
	if p.repo.play != nil {
		p.room = roomOf(blobs, e)
	}
	if p.repo.blobs.stale(e) {
		if err := p.recognise(blobs, e); err != nil {
			return err
		}
		if p.relisted, err = p.listPartials(blobs); err != nil {
			return err
		}
	}
	if err := p.measurePartials(blobs); err != nil || !p.relisted {
		return err
	}
	if since, ok := p.lookForNew(); ok {
		return p.findNew(blobs, since)
	}
	return nil
}

func (p *pass) noBlobs(err error) error {
	switch {
	case !fsys.Refused(err):
	case p.isLink(p.repo.folder + "/blobs"):
		p.root.warn(p.repo.folder, "blobs is a link, and links are not followed, so nothing is told of this repository: mount what it leads to there instead (mount --bind), or move the whole cache and name where it lies as a root", err)
	default:
		p.root.warn(p.repo.folder, "blobs is no directory, and is not followed", err)
	}
	if err := p.forget(); err != nil {
		return err
	}
	p.relisted = true
	return nil
}

// findNew looks for finished blobs that came after the last play: a small
// model may be done between two looks. A few are enough to know it by; in a
// play, few are unknown, and no more than some are looked at. As many are where
// a partial begins one, which has to be told soon.
func (p *pass) findNew(blobs fsys.Dir, since time.Time) error {
	const enough, some = 64, 4096
	unknown, bounded, written := 0, p.repo.play != nil, since
	if bounded {
		written = p.repo.play.firstBaseline // before it was put in its place
	}
	for _, part := range p.repo.partials {
		bounded = bounded || part.fresh
	}
	err := blobs.Names(func(name string) bool {
		if b := hfcache.ParseBlob(name); b.Kind != hfcache.Finished || p.repo.play.has(name) {
			return true
		}
		unknown++
		name = strings.Clone(name)
		e, err := p.finished(blobs, name)
		if err == nil && e.Ctime.After(since) && e.Mtime.After(written) && (p.repo.play != nil || !p.keptTimes(p.repo.folder+"/blobs/"+name, e.Mtime)) {
			p.arrivedNew = append(p.arrivedNew, name)
		}
		return len(p.arrivedNew) < enough && (!bounded || unknown < some)
	})
	pl := p.repo.play
	linked := pl != nil && len(pl.Revisions) > 0 && pl.looked && !pl.linkless
	if err != nil || linked || len(p.arrivedNew) > 0 {
		return err
	}
	p.placedNew, err = p.placedSince(since)
	if pl != nil {
		pl.linkless = pl.linkless || p.placedNew
	} else if err == nil && !p.placedNew && !p.repo.blobs.young && !p.root.opts.Vague {
		p.repo.baseline = p.blobsTime // deletions only: don't ask again
	}
	return err
}

// lookForNew reports whether finished blobs that nobody saw as partials may
// matter, and those after which time: at rest they are the sign of a
// download, in a play or where one begins that of another revision.
func (p *pass) lookForNew() (since time.Time, ok bool) {
	since = p.repo.baseline
	if p.repo.play != nil {
		since = p.repo.play.baseline
	}
	return since, p.root.opts.Vague || p.blobsTime.After(since)
}

// recognise marks the directory that holds the partials. One that was removed
// and made again is errGone: what was is over. One of another file system hides
// what was.
func (p *pass) recognise(d fsys.Dir, e fsys.Entry) error {
	was, born := p.repo.blobs, d.Born(".")
	mountedAgain := was.ino == e.Inode && !born.IsZero() && p.repo.born.Equal(born)
	switch {
	case was.ino == 0 || mountedAgain:
	case was.dev != e.Dev:
		return errHidden
	case was.another(e) || !p.repo.born.Equal(born):
		return errGone
	}
	p.repo.blobs, p.repo.born = p.mark(e), born
	return nil
}

// forget is for a repository without that directory: it has no partials, and
// is errGone where there is no repository either.
func (p *pass) forget() error {
	e, err := p.top.LstatPath(p.repo.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	if !e.IsDir() {
		return errGone
	}
	if p.repo.blobs.ino != 0 && p.repo.blobs.dev != e.Dev {
		return errHidden
	}
	p.repo.blobs, p.repo.partials = mark{}, nil
	return nil
}

// replaced reports whether the repository was removed since this look read its
// partials, or removed and made again, as an error: such a look has seen something of
// before and something of after. Files would be missing that were moved away with all
// others, and the times of what came later would be those behind which nothing more
// of it is told.
func (p *pass) replaced() error {
	if p.repo.blobs.ino == 0 {
		return nil
	}
	path := p.repo.folder + p.repo.layout.partials
	e, err := p.top.LstatPath(path)
	switch {
	case fsys.Absent(err):
		return err // the next look tells whether all of it is gone
	case err != nil || p.repo.tree != nil || e.Mtime.Equal(p.blobsTime):
		return nil //nolint:nilerr // what can't be seen has not been replaced
	case e.Dev != p.repo.blobs.dev:
		return errHidden
	case p.repo.blobs.another(e) || !p.top.BornPath(path).Equal(p.repo.born):
		return errGone
	}
	return nil
}

func (p *pass) blobsMoved() bool {
	e, err := p.top.LstatPath(p.repo.folder + "/blobs")
	return err != nil || !e.Mtime.Equal(p.blobsTime)
}
