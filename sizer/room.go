package sizer

import (
	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// Room is what the file system that a download is written to has left. Quotas
// don't show there, nor that two devices share one pool (subvolumes of btrfs,
// datasets of ZFS).
type Room struct {
	// Dev is the file system's device number: downloads of one Dev share
	// the room.
	Dev uint64
	// Size of the file system in bytes; 0 means that nothing is known: some
	// FUSE file systems don't say.
	Size int64
	// Free is how many bytes the owner of the blobs directory may still
	// write: root also what ext4 reserves for it. It is read before the bytes
	// of the same look, so that what is written meanwhile seems to fit.
	Free int64
}

// nearlyFull is how little room counts as none: huggingface_hub writes 10 MiB at a
// time, so it fails before the last byte is taken.
const nearlyFull = 16 << 20

// Full reports whether next to nothing can be written any more.
func (r Room) Full() bool { return r.Size > 0 && r.Free < nearlyFull }

// roomOf reads the room of the file system that an open blobs directory is
// on. The downloader has made that directory, so its owner writes there.
func roomOf(blobs fsys.Dir, e fsys.Entry) Room {
	st, err := blobs.Statfs()
	if err != nil {
		return Room{}
	}
	unit := st.Frsize
	if unit <= 0 {
		unit = st.Bsize
	}
	return roomIn(e.Dev, st.Blocks, freeFor(e.UID, &st), int64(unit)) //nolint:unconvert // int32 on 32-bit machines
}

// freeFor is how many blocks a user may still write. What ext2 to 4 reserve is
// for root; elsewhere the two counts differ by what nobody gets (btrfs).
func freeFor(uid uint32, st *unix.Statfs_t) uint64 {
	if uid == 0 && st.Type == unix.EXT4_SUPER_MAGIC {
		return st.Bfree
	}
	return st.Bavail
}

// roomIn makes a Room of blocks; counts that make no sense are unknown.
func roomIn(dev, size, free uint64, unit int64) Room {
	if size == 0 || free > size || unit <= 0 {
		return Room{}
	}
	return Room{Dev: dev, Size: mulSaturating(size, unit), Free: mulSaturating(free, unit)}
}
