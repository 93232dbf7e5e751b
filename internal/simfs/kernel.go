package simfs

import (
	"encoding/binary"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

var _ fsys.Kernel = (*FS)(nil)

// A descriptor is what Openat has given out.
type descriptor struct {
	node  *inode
	at    *descriptor // in which it was opened, nil for an absolute path
	name  string
	flags int
	pos   int64 // in the content, or the position of the last name given
	calls int   // beneath it
	dots  int   // of "." and "..", how many were given
}

// path is the one by which it was opened.
func (d *descriptor) path() string {
	if d.at == nil || strings.HasPrefix(d.name, "/") {
		return d.name
	}
	return path.Join(d.at.path(), d.name)
}

// call begins a call of the Kernel: it holds the lock when it returns.
func (f *FS) call() {
	f.mu.Lock()
	f.calls++
}

// paced is call where time may pass first: at a descriptor, or at a path.
func (f *FS) paced(at int, name string) {
	f.call()
	pace := f.pace
	if pace == nil {
		return
	}
	count := 0
	if d := f.fds[at]; d != nil && !strings.HasPrefix(name, "/") {
		top := d.top()
		top.calls++
		name, count = top.name, top.calls
	}
	f.mu.Unlock()
	pace(name, count)
	f.mu.Lock()
}

// top is the descriptor by whose path all beneath it was reached.
func (d *descriptor) top() *descriptor {
	for d.at != nil && !strings.HasPrefix(d.name, "/") {
		d = d.at
	}
	return d
}

// base is the directory of an "at" call.
func (f *FS) base(at int, name string) (*inode, error) {
	if at == unix.AT_FDCWD || strings.HasPrefix(name, "/") {
		return f.root, nil
	}
	d := f.fds[at]
	if d == nil {
		return nil, unix.EBADF
	}
	if !d.node.dir() {
		return nil, unix.ENOTDIR
	}
	return d.node, nil
}

// lookup is the inode that an "at" call is about.
func (f *FS) lookup(at int, name string, follow bool) (*inode, error) {
	if name == "" {
		return nil, unix.ENOENT
	}
	from, err := f.base(at, name)
	if err != nil {
		return nil, err
	}
	w := walk{fs: f, follow: follow, as: &f.caller}
	return w.node(from, name)
}

// Openat implements fsys.Kernel.
func (f *FS) Openat(at int, name string, flags int) (int, error) {
	f.paced(at, name)
	defer f.mu.Unlock()
	n, err := f.lookup(at, name, flags&unix.O_NOFOLLOW == 0)
	if err != nil {
		return -1, err
	}
	link := n.kind() == unix.S_IFLNK
	switch {
	case flags&unix.O_DIRECTORY != 0 && !n.dir():
		return -1, unix.ENOTDIR
	case link && flags&unix.O_PATH == 0:
		return -1, unix.ELOOP
	case flags&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT) != 0:
		return -1, unix.EROFS // the daemon writes nothing
	case flags&unix.O_PATH == 0 && !(&walk{as: &f.caller}).may(n, 0o4):
		return -1, unix.EACCES
	case n.kind() == unix.S_IFSOCK && flags&unix.O_PATH == 0:
		return -1, unix.ENXIO
	}
	f.lastFD++
	n.open++
	f.fds[f.lastFD] = &descriptor{node: n, at: f.fds[at], name: name, flags: flags}
	return f.lastFD, nil
}

// Close implements fsys.Kernel.
func (f *FS) Close(fd int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.fds[fd]; d != nil {
		delete(f.fds, fd)
		d.node.open--
		f.release(d.node)
	}
}

// read is the descriptor for a call that reads; one of O_PATH is good for none.
func (f *FS) read(fd int) (*descriptor, error) {
	d := f.fds[fd]
	if d == nil || d.flags&unix.O_PATH != 0 {
		return nil, unix.EBADF
	}
	return d, f.pass(d.node)
}

// Read implements fsys.Kernel.
func (f *FS) Read(fd int, into []byte) (int, error) {
	f.call()
	defer f.mu.Unlock()
	d, err := f.read(fd)
	switch {
	case err != nil:
		return -1, err
	case d.node.dir():
		return -1, unix.EISDIR
	case d.pos >= d.node.size:
		return 0, nil
	}
	n := int(min(int64(len(into)), d.node.size-d.pos))
	held := 0
	if d.pos < int64(len(d.node.data)) {
		held = copy(into[:n], d.node.data[d.pos:])
	}
	clear(into[held:n])
	d.pos += int64(n)
	return n, nil
}

// Fstatat implements fsys.Kernel.
func (f *FS) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	f.call()
	defer f.mu.Unlock()
	if name == "" && flags&unix.AT_EMPTY_PATH != 0 {
		d := f.fds[at]
		if d == nil {
			return unix.EBADF
		}
		if err := f.pass(d.node); err != nil {
			return err
		}
		d.node.stat(st)
		return nil
	}
	n, err := f.lookup(at, name, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	if err != nil {
		return err
	}
	n.stat(st)
	return nil
}

func (n *inode) stat(st *unix.Stat_t) {
	*st = unix.Stat_t{
		Dev: n.vol.dev, Ino: n.ino, Mode: n.mode, Uid: n.uid, Size: n.length(), Blocks: n.blocks(),
		Mtim: unix.NsecToTimespec(n.mtime), Ctim: unix.NsecToTimespec(n.ctime),
	}
	set(&st.Nlink, n.nlink)
	set(&st.Blksize, blockSize)
}

// set fills a field whose type differs between machines.
func set[T ~int32 | ~int64 | ~uint32 | ~uint64, V ~int | ~int64](field *T, value V) {
	*field = T(value)
}

// length is st_size.
func (n *inode) length() int64 {
	switch n.kind() {
	case unix.S_IFDIR:
		return blockSize
	case unix.S_IFLNK:
		return int64(len(n.link))
	default:
		return n.size
	}
}

// Birth implements fsys.Kernel.
func (f *FS) Birth(at int, name string) int64 {
	f.call()
	defer f.mu.Unlock()
	n, err := f.lookup(at, name, false)
	if err != nil || n.vol.traits.NoBirth {
		return 0
	}
	return n.btime
}

// Readlinkat implements fsys.Kernel.
func (f *FS) Readlinkat(at int, name string, into []byte) (int, error) {
	f.call()
	defer f.mu.Unlock()
	n, err := f.lookup(at, name, false)
	if err != nil {
		return -1, err
	}
	if n.kind() != unix.S_IFLNK {
		return -1, unix.EINVAL
	}
	return copy(into, n.link), nil
}

// The layout of struct linux_dirent64 (getdents(2)).
const (
	direntOffset = 8
	direntLength = 16
	direntKind   = 18
	direntName   = 19
)

// Getdents implements fsys.Kernel. What is named meanwhile comes last, what is
// gone meanwhile doesn't come.
func (f *FS) Getdents(fd int, buf []byte) (int, error) {
	f.paced(fd, "")
	defer f.mu.Unlock()
	d, err := f.read(fd)
	if err != nil {
		return -1, err
	}
	if !d.node.dir() {
		return -1, unix.ENOTDIR
	}
	n := 0
	put := func(name string, ino uint64, kind uint32, pos int64) bool {
		length := (direntName + len(name) + 1 + 7) &^ 7
		if length > len(buf)-n {
			return false
		}
		record := buf[n : n+length]
		clear(record)
		binary.NativeEndian.PutUint64(record, ino)
		binary.NativeEndian.PutUint64(record[direntOffset:], uint64(pos))
		binary.NativeEndian.PutUint16(record[direntLength:], uint16(length))
		record[direntKind] = byte(kind >> 12)
		copy(record[direntName:], name)
		n += length
		return true
	}
	for ; d.dots < 2; d.dots++ {
		if !put([]string{".", ".."}[d.dots], d.node.ino, unix.S_IFDIR, 0) {
			return n, nil
		}
	}
	for _, s := range d.node.after(d.pos) {
		if !put(s.name, s.node.ino, s.node.kind(), s.pos) {
			if n == 0 {
				return -1, unix.EINVAL
			}
			return n, nil
		}
		d.pos = s.pos
	}
	return n, nil
}

// Rewind implements fsys.Kernel.
func (f *FS) Rewind(fd int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.read(fd)
	if err != nil {
		return err
	}
	d.pos, d.dots = 0, 0
	return nil
}

// Raise implements fsys.Kernel: who asks is told by SetCaller.
func (*FS) Raise() (lower func()) { return func() {} }

// Fstatfs implements fsys.Kernel.
func (f *FS) Fstatfs(fd int, st *unix.Statfs_t) error {
	f.call()
	defer f.mu.Unlock()
	d := f.fds[fd]
	if d == nil {
		return unix.EBADF
	}
	if err := f.pass(d.node); err != nil {
		return err
	}
	*st = unix.Statfs_t{Namelen: 255}
	v := d.node.vol
	set(&st.Type, v.traits.Magic)
	set(&st.Bsize, blockSize)
	set(&st.Frsize, blockSize)
	set(&st.Blocks, v.traits.Size/blockSize)
	set(&st.Bfree, v.room()/blockSize)
	set(&st.Bavail, v.room()/blockSize)
	return nil
}
