package fsys

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Dir is an open directory. Everything below a root is reached through one,
// so that no link that a hostile cache swaps in is ever followed. It is to be
// closed soon: a descriptor that stays open would keep deleted blobs allocated
// and make umount fail.
type Dir struct {
	kernel Kernel
	fd     int
}

const (
	// byPath opens a directory for what lies in it, but not for its names:
	// no permission to read it is needed.
	byPath = unix.O_PATH | unix.O_DIRECTORY
	// toList opens one for its names as well.
	toList = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NONBLOCK
)

// Open opens the directory at an absolute path, which may be reached by links.
// It has no Names.
func Open(kernel Kernel, path string) (Dir, error) {
	return open(kernel, unix.AT_FDCWD, path, byPath)
}

// OpenNoFollow is Open for a path that is free of links: it follows none that
// has come as its last element since.
func OpenNoFollow(kernel Kernel, path string) (Dir, error) {
	return open(kernel, unix.AT_FDCWD, path, byPath|unix.O_NOFOLLOW)
}

// OpenUnlinked is Open for a path that is free of links: it follows none that has
// come anywhere in it since.
func OpenUnlinked(kernel Kernel, path string) (Dir, error) {
	top, err := open(kernel, unix.AT_FDCWD, "/", byPath)
	if err != nil {
		return Dir{}, err
	}
	rel := strings.Trim(path, "/")
	if rel == "" {
		return top, nil
	}
	defer top.Close()
	return top.down(rel)
}

// Duplicate opens a directory of this machine's kernel once more, under the first
// number from that one on that is not in use. The descriptor is the caller's.
func (d Dir) Duplicate(least int) (fd int, err error) {
	return unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, least)
}

func open(kernel Kernel, at int, name string, flags int) (Dir, error) {
	d := Dir{kernel: kernel}
	err := again(func() (err error) {
		d.fd, err = kernel.Openat(at, name, flags)
		return err
	})
	return d, err
}

// Close closes a directory that was opened without an error.
func (d Dir) Close() { d.kernel.Close(d.fd) }

// Sub opens the directory at path, which may have several elements.
func (d Dir) Sub(path string) (sub Dir, err error) {
	err = d.Below(path, func(parent Dir, name string) (err error) {
		sub, err = open(parent.kernel, parent.fd, name, toList|unix.O_NOFOLLOW)
		return err
	})
	return sub, err
}

// Below goes down to the directory that holds the last element of path,
// element by element and through no link, and calls use there. (openat2 would
// do it in one call, but systemd's RestrictSUIDSGID= takes it away.)
func (d Dir) Below(path string, use func(parent Dir, name string) error) error {
	last := strings.LastIndexByte(path, '/')
	if last < 0 {
		return use(d, path)
	}
	parent, err := d.down(path[:last])
	if err != nil {
		return err
	}
	defer parent.Close()
	return use(parent, path[last+1:])
}

// down opens the directory at path for what lies in it.
func (d Dir) down(path string) (Dir, error) {
	at := d
	for more := true; more; {
		var name string
		name, path, more = strings.Cut(path, "/")
		next, err := open(d.kernel, at.fd, name, byPath|unix.O_NOFOLLOW)
		if at.fd != d.fd {
			at.Close()
		}
		if err != nil {
			return Dir{}, err
		}
		at = next
	}
	return at, nil
}

// scratch is what calls write their answers to: passed to a Kernel, it would
// be allocated anew for each entry.
type scratch struct {
	stat   unix.Stat_t
	statfs unix.Statfs_t
	text   [unix.PathMax]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Lstat tells of one entry; name is a single element.
func (d Dir) Lstat(name string) (Entry, error) {
	return stat(d.kernel, d.fd, name, unix.AT_SYMLINK_NOFOLLOW)
}

// LstatPath is Lstat for a path of several elements.
func (d Dir) LstatPath(path string) (e Entry, err error) {
	err = d.Below(path, func(parent Dir, name string) (err error) {
		e, err = parent.Lstat(name)
		return err
	})
	return e, err
}

// Peek is LstatPath in a single call, which follows links before the last
// element: it is good for seeing that something may have changed, and for
// nothing that has to be sure.
func (d Dir) Peek(path string) (Entry, error) {
	return stat(d.kernel, d.fd, path, unix.AT_SYMLINK_NOFOLLOW)
}

// PeekAt is Peek for an absolute path.
func PeekAt(kernel Kernel, path string) (Entry, error) {
	return stat(kernel, unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW)
}

// Stat tells of the directory itself.
func (d Dir) Stat() (Entry, error) { return stat(d.kernel, d.fd, "", unix.AT_EMPTY_PATH) }

func stat(kernel Kernel, at int, name string, flags int) (Entry, error) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if err := again(func() error { return kernel.Fstatat(at, name, &s.stat, flags) }); err != nil {
		return Entry{}, err
	}
	return entryOf(&s.stat), nil
}

// Statfs tells of the file system that the directory is on.
func (d Dir) Statfs() (unix.Statfs_t, error) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	err := again(func() error { return d.kernel.Fstatfs(d.fd, &s.statfs) })
	return s.statfs, err
}

// Born is the time at which an entry was made, zero where the file system
// doesn't keep it.
func (d Dir) Born(name string) time.Time {
	if ns := d.kernel.Birth(d.fd, name); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// BornPath is Born for a path of several elements.
func (d Dir) BornPath(path string) (t time.Time) {
	_ = d.Below(path, func(parent Dir, name string) error {
		t = parent.Born(name)
		return nil
	})
	return t
}

// Readlink gives the text of a link; longer ones than any client writes are
// cut and so match nothing.
func (d Dir) Readlink(name string) (string, error) {
	const longest = 1024
	return readlink(d.kernel, d.fd, name, longest)
}

// ReadlinkPath is Readlink for a path of several elements.
func (d Dir) ReadlinkPath(path string) (text string, err error) {
	err = d.Below(path, func(parent Dir, name string) (err error) {
		text, err = parent.Readlink(name)
		return err
	})
	return text, err
}

func readlink(kernel Kernel, at int, name string, longest int) (string, error) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	n := 0
	err := again(func() (err error) {
		n, err = kernel.Readlinkat(at, name, s.text[:longest])
		return err
	})
	if err != nil {
		return "", err
	}
	return string(s.text[:n]), nil
}

// ErrNotRegular says that something else lies where a regular file belongs.
var ErrNotRegular = errors.New("not a regular file")

// OpenRegular opens a regular file for reading, and nothing else: what is
// swapped in after the first stat is closed again without a read.
func (d Dir) OpenRegular(name string) (*File, Entry, error) {
	e, err := d.Lstat(name)
	if err != nil {
		return nil, Entry{}, err
	}
	if !e.Regular() {
		return nil, Entry{}, ErrNotRegular
	}
	opened, err := open(d.kernel, d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW)
	if err != nil {
		return nil, Entry{}, err
	}
	e, err = opened.Stat()
	if err == nil && !e.Regular() {
		err = ErrNotRegular
	}
	if err != nil {
		opened.Close()
		return nil, Entry{}, err
	}
	return &File{opened.kernel, opened.fd}, e, nil
}

// A File is a regular file that is open for reading.
type File struct {
	kernel Kernel
	fd     int
}

// Read is that of an io.Reader.
func (f *File) Read(into []byte) (n int, err error) {
	if len(into) == 0 {
		return 0, nil
	}
	err = again(func() (err error) {
		n, err = f.kernel.Read(f.fd, into)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case n <= 0:
		return 0, io.EOF
	}
	return n, nil
}

// Close closes the file.
func (f *File) Close() { f.kernel.Close(f.fd) }

// Absent reports whether err says that there is no such entry, or none that
// may be used: a link or a file where a directory belongs is treated as not
// being there.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || Refused(err)
}

// Refused reports whether err says that something else lies where a
// directory or a regular file belongs.
func Refused(err error) bool {
	return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EXDEV) ||
		errors.Is(err, ErrNotRegular)
}
