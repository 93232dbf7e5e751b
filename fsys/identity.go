package fsys

// Identity is what of a directory stays the same when its file system is
// unmounted and mounted again, over a reboot, too: not so its device number. A
// field of 0 isn't known.
type Identity struct {
	// FS is the type of the file system, by its magic number.
	FS uint32 `json:"fs,omitempty"`
	// Volume tells one file system of that type from others, if it keeps
	// a number of its own.
	Volume uint64 `json:"volume,omitempty"`
	// Inode is 0 where a file system numbers its directories anew.
	Inode uint64 `json:"inode,omitempty"`
	// Birth is when the directory was made, in nanoseconds since 1970.
	Birth int64 `json:"birth,omitempty"`
}

// Same reports whether nothing that is known of both tells one directory from
// the other.
func (i Identity) Same(other Identity) bool {
	return same(i.FS, other.FS) && same(i.Volume, other.Volume) && same(i.Inode, other.Inode) && same(i.Birth, other.Birth)
}

// Sure reports whether both are surely one directory: an inode number alone may
// be that of another disk's root.
func (i Identity) Sure(other Identity) bool {
	return i.Birth != 0 && i.Birth == other.Birth && i.Same(other)
}

func same[T comparable](a, b T) bool {
	var unknown T
	return a == b || a == unknown || b == unknown
}
