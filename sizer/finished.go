package sizer

import (
	"fmt"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// finished tells of a finished blob: a regular file, or the one link that is
// looked up, into the store that the root's repositories share.
func (p *pass) finished(blobs fsys.Dir, name string) (fsys.Entry, error) {
	e, err := blobs.Lstat(name)
	if err != nil || e.Regular() {
		return e, err
	}
	if !e.Link() {
		return e, fmt.Errorf("cannot count blob: %w", fsys.ErrNotRegular)
	}
	text, err := blobs.Readlink(name)
	if err != nil {
		return e, err
	}
	rel, ok := hfcache.SharedBlob(text)
	if !ok {
		return e, fmt.Errorf("cannot count blob: %w", fsys.ErrNotRegular)
	}
	stored, err := p.top.LstatPath(rel)
	if err == nil && !stored.Regular() {
		err = fsys.ErrNotRegular
	}
	return throughLink(e, stored), err
}

// putAndLinked is the most that lies between a client's putting a file into
// the shared store and its linking it: two renames in a row (seen in
// huggingface_hub 2.4: the same tick).
const putAndLinked = 100 * time.Millisecond

// throughLink is what counts of a file in the shared store. A link younger
// than that is a hit, for which nothing was transferred.
func throughLink(link, stored fsys.Entry) fsys.Entry {
	if link.Ctime.Sub(stored.Ctime) > putAndLinked {
		stored.Ctime = time.Time{}
	}
	return stored
}
