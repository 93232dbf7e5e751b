package sizer

import (
	"time"

	"progressd/fsys"
)

// A mark remembers a directory as it was when it was last listed, or a file as
// it was when it was last read.
type mark struct {
	dev, ino uint64
	mtime    time.Time
	young    bool
	// vague: its times don't say when names come or go, and its inode number
	// may be another each time; see Options.Vague.
	vague bool
}

// stale reports whether the directory may hold other names than when it was
// marked.
func (m mark) stale(e fsys.Entry) bool { return m.vague || m.rewritten(e) }

// rewritten reports whether the file may hold something else than when it was
// marked.
func (m mark) rewritten(e fsys.Entry) bool {
	return m.young || m.another(e) || !m.mtime.Equal(e.Mtime)
}

// another reports whether something else has that name now.
func (m mark) another(e fsys.Entry) bool { return !m.vague && (m.ino != e.Inode || m.dev != e.Dev) }
