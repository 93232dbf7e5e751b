package sizer

import (
	"time"

	"progressd/fsys"
)

// A mark remembers a directory as it was when it was last listed.
type mark struct {
	dev, ino uint64
	mtime    time.Time
	young    bool
}

// racy is how long after a change a directory may change again without its
// mtime showing it: the kernel's clock tick, with room for file systems that
// keep coarse times.
const racy = 2 * time.Second

func markOf(e fsys.Entry, now time.Time) mark {
	return mark{dev: e.Dev, ino: e.Inode, mtime: e.Mtime, young: now.Sub(e.Mtime) < racy}
}

// stale reports whether the directory may hold other names than when it was
// marked.
func (m mark) stale(e fsys.Entry) bool {
	return m.young || m.ino != e.Inode || m.dev != e.Dev || !m.mtime.Equal(e.Mtime)
}
