package sizer

import (
	"golang.org/x/sys/unix"

	"progressd/fsys"
)

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

// mismatch notes a finished file that isn't what it should be: of several, the
// first by name.
func (l *Look) mismatch(f *file) {
	if f.holes == 0 && (f.want < 0 || f.size == f.want) || l.Mismatched != nil && l.Mismatched.Path <= f.label() {
		return
	}
	l.Mismatched = &Mismatch{Path: f.label(), Got: f.size, Want: f.want}
	if f.holes > 0 {
		l.Mismatched.Want, l.Mismatched.Holes = f.size+f.holes, true
	}
}

// label is what to call the file by.
func (f *file) label() string {
	if f.path != "" {
		return f.path
	}
	return f.etag
}
