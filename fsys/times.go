package fsys

import "time"

const (
	// Tick is how far the time that a file gets may lag behind its machine's clock: the
	// kernel takes that of its last timer interrupt, 10 ms ago at the most (since Linux
	// 6.13 only of files at which nobody has looked since).
	Tick = 10 * time.Millisecond
	// Coarse is the same of file systems that keep whole seconds (ext3, exFAT by FUSE) or
	// every other (FAT). For so long after a change there may be another that shows in no
	// time.
	Coarse = 2 * time.Second
)

// Coarse reports whether a file has times as on a file system that keeps whole seconds.
func (e Entry) Coarse() bool { return e.Mtime.Nanosecond() == 0 && e.Ctime.Nanosecond() == 0 }
