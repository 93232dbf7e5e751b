package fsys

import (
	"time"

	"golang.org/x/sys/unix"
)

// Entry is what stat(2) tells of a file that matters here.
type Entry struct {
	Dev, Inode   uint64
	Mode, UID    uint32
	Size, Blocks int64
	Mtime, Ctime time.Time
}

func entryOf(st *unix.Stat_t) Entry {
	return Entry{
		Dev: st.Dev, Inode: st.Ino, Mode: st.Mode, UID: st.Uid, Size: max(st.Size, 0), Blocks: st.Blocks,
		Mtime: time.Unix(st.Mtim.Unix()), Ctime: time.Unix(st.Ctim.Unix()),
	}
}

// Regular reports whether it is a regular file.
func (e Entry) Regular() bool { return e.Mode&unix.S_IFMT == unix.S_IFREG }

// Link reports whether it is a symbolic link.
func (e Entry) Link() bool { return e.Mode&unix.S_IFMT == unix.S_IFLNK }

// IsDir reports whether it is a directory.
func (e Entry) IsDir() bool { return e.Mode&unix.S_IFMT == unix.S_IFDIR }

// After reports whether the content came after t: written and put in its
// place later. Copies that keep old times and a chown are no downloads.
func (e Entry) After(t time.Time) bool { return e.Mtime.After(t) && e.Ctime.After(t) }
