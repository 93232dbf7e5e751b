package sizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A dir is an open directory. Everything below a root is reached through one,
// so that no link that a hostile cache swaps in is ever followed. It is
// closed before the look ends: a descriptor left open would keep deleted
// blobs allocated and make umount fail.
type dir struct{ fd int }

// openTop opens a cache root, which alone may be reached by a link.
func openTop(path string) (dir, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	return dir{fd}, err
}

// sub opens the directory at path, which may have several elements.
func (d dir) sub(path string) (sub dir, err error) {
	err = d.below(path, func(parent dir, name string) (err error) {
		sub.fd, err = openat(parent.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
		return err
	})
	return sub, err
}

// below goes down to the directory that holds the last element of path,
// element by element and through no link, and calls use there. (openat2 would
// do it in one call, but systemd's RestrictSUIDSGID= takes it away.)
func (d dir) below(path string, use func(parent dir, name string) error) error {
	head, rest, more := strings.Cut(path, "/")
	if !more {
		return use(d, head)
	}
	fd, err := openat(d.fd, head, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	next := dir{fd}
	defer next.close()
	return next.below(rest, use)
}

func openat(at int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(at, name, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func (d dir) close() { _ = unix.Close(d.fd) }

// lstat of one entry; name is a single element.
func (d dir) lstat(name string) (entry, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return entryOf(&st), err
	}
}

// lstatPath is lstat for a path of several elements.
func (d dir) lstatPath(path string) (e entry, err error) {
	err = d.below(path, func(parent dir, name string) (err error) {
		e, err = parent.lstat(name)
		return err
	})
	return e, err
}

func (d dir) stat() (entry, error) {
	var st unix.Stat_t
	err := unix.Fstat(d.fd, &st)
	return entryOf(&st), err
}

// born is the time at which an entry was made, zero where the file system
// doesn't keep it.
func (d dir) born(name string) time.Time {
	var st unix.Statx_t
	err := unix.Statx(d.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
}

// bornPath is born for a path of several elements.
func (d dir) bornPath(path string) (t time.Time) {
	_ = d.below(path, func(parent dir, name string) error {
		t = parent.born(name)
		return nil
	})
	return t
}

// readlink gives the text of a link; longer ones than any client writes are
// cut and so match nothing.
func (d dir) readlink(name string) (string, error) {
	var buf [1024]byte
	n, err := unix.Readlinkat(d.fd, name, buf[:])
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// readlinkPath is readlink for a path of several elements.
func (d dir) readlinkPath(path string) (text string, err error) {
	err = d.below(path, func(parent dir, name string) (err error) {
		text, err = parent.readlink(name)
		return err
	})
	return text, err
}

// names calls yield for each entry, in the order of the directory, holding
// never more than a piece of it. It stops when yield says so. The name is
// valid during the call only: a directory may hold a million.
func (d dir) names(yield func(name string) bool) error {
	if _, err := unix.Seek(d.fd, 0, 0); err != nil {
		return err
	}
	buf := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	for {
		n, err := unix.ReadDirent(d.fd, buf[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		if !eachName(buf[:n], yield) {
			return nil
		}
	}
}

const pieceSize = 64 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// eachName goes through a piece of a directory as getdents64(2) lays it out:
// inode and offset (8 bytes each), length of the record (2), type (1), name.
func eachName(piece []byte, yield func(name string) bool) bool {
	const nameAt = 19
	for len(piece) > nameAt {
		length := int(binary.NativeEndian.Uint16(piece[16:]))
		if length <= nameAt || length > len(piece) {
			return true
		}
		name := piece[nameAt:length]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		piece = piece[length:]
		if string(name) == "." || string(name) == ".." {
			continue
		}
		//nolint:gosec // a string that lives as long as the call; see names
		if !yield(unsafe.String(unsafe.SliceData(name), len(name))) {
			return false
		}
	}
	return true
}

// openRegular opens a regular file for reading, and nothing else: what is
// swapped in after the first stat is closed again without a read.
func (d dir) openRegular(name string) (*os.File, entry, error) {
	e, err := d.lstat(name)
	if err != nil {
		return nil, entry{}, err
	}
	if !e.regular() {
		return nil, entry{}, errNotRegular
	}
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW)
	if err != nil {
		return nil, entry{}, err
	}
	f := os.NewFile(uintptr(fd), name)
	e, err = dir{fd}.stat()
	if err == nil && !e.regular() {
		err = errNotRegular
	}
	if err != nil {
		_ = f.Close()
		return nil, entry{}, err
	}
	return f, e, nil
}

var errNotRegular = errors.New("not a regular file")

// entry is what stat tells of a file that matters here.
type entry struct {
	dev, ino     uint64
	mode, uid    uint32
	size, blocks int64
	mtime, ctime time.Time
}

func entryOf(st *unix.Stat_t) entry {
	return entry{
		dev: st.Dev, ino: st.Ino, mode: st.Mode, uid: st.Uid, size: max(st.Size, 0), blocks: st.Blocks,
		mtime: time.Unix(st.Mtim.Unix()), ctime: time.Unix(st.Ctim.Unix()),
	}
}

func (e entry) regular() bool { return e.mode&unix.S_IFMT == unix.S_IFREG }
func (e entry) link() bool    { return e.mode&unix.S_IFMT == unix.S_IFLNK }

// after reports whether the content came after t: written and put in its
// place later. Copies that keep old times and a chown are no downloads.
func (e entry) after(t time.Time) bool { return e.mtime.After(t) && e.ctime.After(t) }

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

func markOf(e entry, now time.Time) mark {
	return mark{dev: e.dev, ino: e.ino, mtime: e.mtime, young: now.Sub(e.mtime) < racy}
}

// stale reports whether the directory may hold other names than when it was
// marked.
func (m mark) stale(e entry) bool {
	return m.young || m.ino != e.ino || m.dev != e.dev || !m.mtime.Equal(e.mtime)
}

// absent reports whether err says that there is no such entry, or none that
// may be used: a link or a file where a directory belongs is treated as not
// being there.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || refused(err)
}

// refused reports whether err says that something else lies where a
// directory belongs.
func refused(err error) bool {
	return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EXDEV) ||
		errors.Is(err, errNotRegular)
}
