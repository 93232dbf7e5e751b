package sizer

import (
	"time"

	"progressd/fsys"
)

// held is which locks of a repository are held now.
type held struct {
	by   map[string]int // the holder's pid, by the etag of each
	pids []int
	any  bool
	// seen: some lock was held at some time of this play, so that locks
	// are visible here and their absence means something.
	seen bool
	// temps counts the files in the root that are this repository's.
	temps int
	// outside are those whose content is written outside of the cache until
	// it is whole.
	outside map[string]bool
	// anew are the blobs that are there and are fetched again into the root.
	anew map[string]bool
}

func (h held) has(etag string) bool {
	_, ok := h.by[etag]
	return ok
}

// A reading is what the locks of a repository were when last read.
type reading struct {
	held held
	at   time.Time
	// steady: the reading before found the same.
	steady bool
}

// lockDir remembers the lock files of a repository by their inode.
type lockDir struct {
	mark  mark
	files []lockFile
}

type lockFile struct {
	etag     string
	dev, ino uint64
	// outside: the content is written outside of the cache until it is whole.
	outside bool
}

// add adds the lock file of a blob, if it is one.
func (l *lockDir) add(d fsys.Dir, etag string) {
	if e, err := d.Lstat(etag + ".lock"); err == nil && e.Regular() {
		l.files = append(l.files, lockFile{etag: etag, dev: e.Dev, ino: e.Inode})
	}
}

// maxLocks bounds how many lock files of a repository are looked at.
const maxLocks = 16384

// Bounds of a search for lock files beside the blobs: a repository with more
// names counts for several.
const (
	maxSearched = 4096
	namesOfOne  = 64
)
