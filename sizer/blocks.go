package sizer

import (
	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/hfcache"
)

// fileSystem knows how far block counts can be trusted.
type fileSystem struct {
	dev    uint64
	known  bool
	blocks bool
	// dense: a whole file has as many blocks as bytes.
	dense bool
	// sameDev: /proc/locks names the device that stat does (not on btrfs
	// and overlayfs).
	sameDev bool
}

// Magic numbers of statfs(2) for the file systems whose block counts say
// what is written; elsewhere they are late or made up (NFS, CIFS, FUSE, 9p,
// ZFS) and st_size is taken.
var trueBlocks = map[int64]bool{
	unix.EXT4_SUPER_MAGIC:      true,
	unix.XFS_SUPER_MAGIC:       true,
	unix.BTRFS_SUPER_MAGIC:     true,
	unix.TMPFS_MAGIC:           true,
	unix.OVERLAYFS_SUPER_MAGIC: true,
}

func (f *fileSystem) learn(d fsys.Dir, dev uint64) {
	if f.known && f.dev == dev {
		return
	}
	st, err := d.Statfs()
	if err != nil {
		return
	}
	kind := int64(st.Type) //nolint:unconvert // int32 on 32-bit machines
	*f = fileSystem{dev: dev, known: true, blocks: trueBlocks[kind], dense: densely[kind], sameDev: kind != unix.BTRFS_SUPER_MAGIC && kind != unix.OVERLAYFS_SUPER_MAGIC}
}

// content is how many bytes of a partial's content are truly on disk. Of one
// that has its length from the start, where block counts say nothing, that is
// none until it is in its place.
func (f *fileSystem) content(name hfcache.BlobName, e fsys.Entry) int64 {
	written := f.written(e)
	if !name.Preallocated {
		return written
	}
	whole := max(e.Size-hfcache.PartCounter, 0)
	switch {
	case !f.blocks:
		return 0
	case written >= whole:
		return whole
	default: // the counter has a block of its own
		return max(written-diskBlock, 0)
	}
}

// diskBlock is what a file takes on the disk at least, in bytes.
const diskBlock = 4096

// written is how many bytes of a partial are truly on disk.
func (f *fileSystem) written(e fsys.Entry) int64 {
	if !f.blocks || e.Blocks < 0 || e.Blocks > e.Size/512 {
		return e.Size
	}
	// With a hole somewhere: the last block may be there, and isn't full.
	return max(e.Blocks*512-(diskBlock-e.Size%diskBlock)%diskBlock, 0)
}

// densely are the file systems on which a file that was written as a whole has
// at least as many blocks as bytes: they neither compress nor store zeros as
// holes. Overlayfs may lie on any.
var densely = map[int64]bool{
	unix.EXT4_SUPER_MAGIC: true,
	unix.XFS_SUPER_MAGIC:  true,
	unix.TMPFS_MAGIC:      true,
}

// smallHoles is what may be missing of a finished file without a word: what a
// file system keeps in the inode, or in no full block, is far less.
const smallHoles = 1 << 20

// holes is how many bytes of a finished file were never written. Clients leave
// such files where one that resumes by st_size (huggingface_hub <= 1.17 over
// HTTP) goes on after one that wrote sparsely and was killed (hf_xet 1.2,
// hf_transfer 0.1: seen): it takes the partial for whole, and renames it.
func (f *fileSystem) holes(e fsys.Entry) int64 {
	if !f.dense || e.Blocks < 0 || e.Blocks > e.Size/512 {
		return 0
	}
	if missing := e.Size - e.Blocks*512; missing > smallHoles {
		return missing
	}
	return 0
}

// allocated is how many bytes a partial takes of the room, 0 where block
// counts tell nothing.
func (f *fileSystem) allocated(e fsys.Entry) int64 {
	if !f.blocks || e.Blocks <= 0 {
		return 0
	}
	return mulSaturating(uint64(e.Blocks), 512)
}
