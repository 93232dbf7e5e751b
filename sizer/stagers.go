package sizer

import (
	"maps"
	"time"
)

// stagers tells which holders of locks may be writing into the root. No
// process writes in two ways: one that leaves a listing (huggingface_hub >=
// 1.22), or has a partial beside the blobs (>= 0.23, or resume_download), has
// a bare lock only for the moment between taking it and making the partial.
type stagers struct {
	*pass
	beside map[int]bool
}

func (p *pass) newStagers() stagers {
	s := stagers{pass: p, beside: make(map[int]bool)}
	if p.repo.play != nil { // what it wrote to may have been taken away under it
		maps.Copy(s.beside, p.repo.play.beside)
	}
	for _, part := range p.repo.partials {
		if pid, locked := p.held.by[part.Etag]; locked && p.wrote(pid, part) {
			s.beside[pid] = true
		}
	}
	return s
}

// wrote reports whether a partial was written to since a process began that holds the lock
// of its blob: another one may have died of it as this one began.
func (p *pass) wrote(pid int, part *partial) bool {
	return part.mtime.After(p.beganAt(pid).Add(tick))
}

// may reports whether the lock of a blob may stand for a file in the root.
func (s stagers) may(etag string) bool {
	pid := s.held.by[etag]
	return !s.beside[pid] && !s.listedSince(etag, s.beganAt(pid))
}

// beganAt is when a process began, zero if that can't be read: then whatever was
// written at any time may be its work, and nothing in the root is.
func (p *pass) beganAt(pid int) time.Time {
	process, err := p.root.processes.Process(pid)
	if err != nil {
		return time.Time{}
	}
	return p.root.processes.Began(process, p.now)
}

// listedSince reports whether a listing that was written since then has the
// blob.
func (s stagers) listedSince(etag string, since time.Time) bool {
	if s.readRevisions() != nil || s.readListings(nil, []string{etag}) != nil {
		return false
	}
	for _, rev := range s.repo.revs.byCommit {
		if rev.ownList() && rev.listing.byIndex[etag] && rev.written.After(since) {
			return true
		}
	}
	return false
}
