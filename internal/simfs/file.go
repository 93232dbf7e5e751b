package simfs

import (
	"golang.org/x/sys/unix"
)

// A File is a regular file that a program has opened to be written. It stays
// good when its name is gone.
type File struct {
	fs *FS
	// entry is the name by which it was opened: what events tell of.
	entry *entry
	node  *inode
}

// The ways to open a file that is to be written, any of them together.
const (
	// Excl: it is an error if it is there.
	Excl = 1 << iota
	// Trunc: what is there is cut to nothing.
	Trunc
	// Old: it is an error if it isn't there.
	Old
)

// Create opens a file that is to be written, and makes it if it isn't there.
func (f *FS) Create(p string, mode uint32, how int) (*File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name, err := f.parent(p)
	if err != nil {
		return nil, err
	}
	e := dir.byName[name]
	switch {
	case e == nil && how&Old != 0:
		return nil, unix.ENOENT
	case e == nil:
		e = &entry{name: name, node: f.newInode(dir.vol, unix.S_IFREG|mode)}
		f.attach(dir, e)
		f.emit(e, created)
	case how&Excl != 0:
		return nil, unix.EEXIST
	case e.node.kind() == unix.S_IFLNK:
		return nil, unix.ELOOP // no client writes through a link
	case e.node.dir():
		return nil, unix.EISDIR
	}
	if err := f.pass(e.node); err != nil {
		return nil, err
	}
	file := &File{fs: f, entry: e, node: e.node}
	e.node.open++
	if how&Trunc != 0 {
		file.truncate(0) // it gets a new time, also where it is empty
	}
	return file, nil
}

// Close gives the file up.
func (h *File) Close() {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.node.open--
	h.fs.release(h.node)
}

// Size is how long the file is.
func (h *File) Size() int64 {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.node.size
}

// Filled is how many bytes have room.
func (h *File) Filled() int64 {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.node.extents.blocks() * blockSize
}

// Named reports whether it has a name still.
func (h *File) Named() bool {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.node.nlink > 0
}

// Inode is its number.
func (h *File) Inode() uint64 {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.node.ino
}

// Append writes so many bytes behind the end; what they are isn't kept.
func (h *File) Append(n int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.write(h.node.size, n)
}

// WriteAt writes so many bytes at a place, beyond the end or not.
func (h *File) WriteAt(at, n int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.write(at, n)
}

// WriteText writes text behind the end, and keeps it.
func (h *File) WriteText(text string) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if int64(len(h.node.data)) == h.node.size {
		h.node.data = append(h.node.data, text...)
	}
	return h.write(h.node.size, int64(len(text)))
}

func (h *File) write(at, n int64) error {
	if err := h.fs.pass(h.node); err != nil {
		return err
	}
	if n <= 0 {
		return nil
	}
	v, lacks := h.node.vol, h.node.extents.lacks(at, at+n)
	if lacks*blockSize > v.room() {
		if fits := v.room() / blockSize * blockSize; fits > 0 { // as much as there is room for is written
			_ = h.write(at, fits)
		}
		return unix.ENOSPC
	}
	h.node.extents = h.node.extents.add(at, at+n)
	v.used += lacks * (blockSize / 512)
	h.node.size = max(h.node.size, at+n)
	h.wrote()
	return nil
}

// Truncate makes the file so long: what comes behind is a hole.
func (h *File) Truncate(length int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.fs.pass(h.node); err != nil {
		return err
	}
	h.truncate(length)
	return nil
}

func (h *File) truncate(length int64) {
	n, before := h.node, h.node.blocks()
	if length < n.size {
		n.extents, n.late = n.extents.cut(length), 0
		n.data = n.data[:min(int64(len(n.data)), length)]
	}
	n.size = length
	n.vol.used += n.blocks() - before
	h.wrote()
}

// wrote notes that the content has changed.
func (h *File) wrote() {
	h.fs.modified(h.node)
	h.fs.emit(h.entry, written)
	h.fs.emitSelf(h.node, written)
}

// Allocate gives the file room up to a length, as fallocate(2) does: keep
// leaves its length as it is (FALLOC_FL_KEEP_SIZE).
func (h *File) Allocate(length int64) error { return h.allocate(length, true) }

// AllocateKeepingSize is Allocate that leaves the length as it is.
func (h *File) AllocateKeepingSize(length int64) error { return h.allocate(length, false) }

func (h *File) allocate(length int64, grow bool) error { //nolint:revive // the two calls above name it
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	n := h.node
	lacks := n.extents.lacks(0, length)
	if lacks*blockSize > n.vol.room() {
		return unix.ENOSPC
	}
	n.extents = n.extents.add(0, length)
	n.vol.used += lacks * (blockSize / 512)
	if grow {
		n.size = max(n.size, length)
	}
	h.fs.changed(n)
	return nil
}

// AddBlocks gives a file so many blocks more without a change of its times:
// what write-back does to a file with holes, some time after it was written
// (seen in ext4).
func (f *FS) AddBlocks(p string, blocks int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(p)
	if err != nil {
		return err
	}
	if e.node.kind() != unix.S_IFREG {
		return unix.EINVAL
	}
	e.node.late += blocks
	e.node.vol.used += blocks * 8
	return nil
}
