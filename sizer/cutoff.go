package sizer

import (
	"fmt"
	"slices"
	"time"

	"progressd/downloader"
	"progressd/fsys"
)

// noteCutOffs notes which blobs were left half copied: the lock under which one
// is copied is held until it is linked.
func (p *pass) noteCutOffs(pl *play) {
	p.repo.cutOffs = slices.DeleteFunc(p.repo.cutOffs, func(c CutOff) bool {
		e, err := p.blob(c.Etag)
		return fsys.Absent(err) || err == nil && p.cutOff(c.Etag, e) != c
	})
	for etag, pid := range pl.Copying {
		died := pl.died(pid, &p.root.processes)
		if p.locked(etag) && (!died || p.held.by[etag] == pid) {
			continue // or another one of its kind waits for what it brings
		}
		blob, linked, ok := p.copied(pl, etag)
		switch {
		case ok && (linked.IsZero() || died && p.linkedByAnother(pl, pid, blob.Ctime, linked)):
			p.keepCutOff(p.cutOff(etag, blob), "a file was left half copied by a client that failed")
		case ok && p.room.Full():
			p.keepCutOff(p.cutOff(etag, blob), "a file was copied to a disk that is full now, and may be left half copied")
		case ok && died:
			continue // until who came next is seen
		}
		delete(pl.Copying, etag)
	}
	for etag := range p.held.outside {
		if pl.Copying == nil { // as of most clients
			pl.Copying = make(map[string]int)
		}
		if _, known := pl.Copying[etag]; !known && len(pl.Copying) < maxNamed {
			pl.Copying[etag] = p.held.by[etag]
		}
	}
}

// copied is a blob that came in this play, and when it was linked, zero if it
// isn't. ok is false where there is none, or a listing has its size.
func (p *pass) copied(pl *play, etag string) (blob fsys.Entry, linked time.Time, ok bool) {
	blob, err := p.blob(etag)
	if err != nil || !blob.Regular() || !blob.Ctime.After(pl.firstBaseline) || p.lister(etag) != nil {
		return blob, linked, false
	}
	linked, ok = p.linkedAt(etag, blob.Size)
	return blob, linked, ok
}

// copiedAndLinked is the most that lies between the end of a copy and its link,
// which is the next that its client does: a file system that is busy with what
// was copied may let it wait.
const copiedAndLinked = time.Second

// linkedByAnother reports whether the client that has copied a blob, and is
// gone, did not link it: that was done late, or by one that began meanwhile, as
// exactly as the clocks tell.
func (p *pass) linkedByAnother(pl *play, pid int, written, linked time.Time) bool {
	return linked.Sub(written) > copiedAndLinked || slices.ContainsFunc(pl.Downloaders, func(d downloader.Process) bool {
		began := p.root.processes.Began(d, p.now)
		return d.PID != pid && began.After(written.Add(fsys.Tick)) && !began.After(linked.Add(fsys.Tick))
	})
}

func (p *pass) keepCutOff(c CutOff, why string) {
	if slices.Contains(p.repo.cutOffs, c) || len(p.repo.cutOffs) >= maxNamed {
		return
	}
	p.repo.cutOffs = append(p.repo.cutOffs, c)
	p.root.warn(p.repo.folder, fmt.Sprintf(
		"%s, and any client takes it for whole: remove blobs/%q and download the model again", why, c.Etag), nil)
}

// linkedAt is when the first link to a blob was made, zero if there is none. ok
// is false where that can't be told: not all is read, or links can't be made
// and the file was copied once more.
func (p *pass) linkedAt(etag string, size int64) (first time.Time, ok bool) {
	for _, rev := range p.repo.revs.byCommit {
		if !rev.bareLinked() {
			continue
		}
		if err := p.readLinks(rev); err != nil || rev.cut || len(rev.samples.paths) > 0 {
			return first, false
		}
		for _, e := range rev.places {
			if e.Size == size {
				return first, false
			}
		}
		if at := p.linkedIn(rev, etag); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first, true
}
