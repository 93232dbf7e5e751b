// Package fsys is how everything below a cache root is reached: through
// directories that are opened element by element and through no link. It knows
// nothing of caches.
package fsys

import "golang.org/x/sys/unix"

// Kernel is the part of the kernel that is asked about files: what this package
// builds on, and what a simulation puts in its place. Every method does what the
// system call of that name does, gives its errors (a unix.Errno), and is called
// again by this package on EINTR. All are called by several goroutines.
//
//nolint:interfacebloat // it is the kernel's own table of calls, as small as a look can do with
type Kernel interface {
	// Openat opens name in the directory at; flags are those of open(2). Only
	// directories, links themselves (O_PATH) and, to be read, regular files are
	// ever opened. at is unix.AT_FDCWD for an absolute path; otherwise name is a
	// single element, which may be "." for the directory itself or "..".
	Openat(at int, name string, flags int) (fd int, err error)
	Close(fd int)
	// Read gives the content of a regular file that was opened to be read.
	Read(fd int, into []byte) (n int, err error)
	// Fstatat fills st as fstatat(2) does with AT_NO_AUTOMOUNT and flags:
	// AT_SYMLINK_NOFOLLOW, or AT_EMPTY_PATH for at itself. at may be
	// unix.AT_FDCWD. name may have several elements; links are followed in all
	// but the last.
	Fstatat(at int, name string, st *unix.Stat_t, flags int) error
	// Birth is when an entry was made, in nanoseconds since 1970; 0 where the file
	// system doesn't keep that (statx(2), STATX_BTIME). It follows no link.
	Birth(at int, name string) int64
	// Readlinkat gives the text of a link; name is empty where at is the link.
	Readlinkat(at int, name string, into []byte) (n int, err error)
	// Getdents fills buf with linux_dirent64 records, from where the last
	// call for fd has ended; 0 bytes are the end.
	Getdents(fd int, buf []byte) (n int, err error)
	// Rewind has Getdents begin again.
	Rewind(fd int) error
	Fstatfs(fd int, st *unix.Statfs_t) error
	// Raise is called before the others, and lower after the last of them, by the
	// same goroutine, which keeps its thread in between: a kernel that lets a process
	// look into what is others' lets it do so then, and only then. Between the two
	// nobody waits for anything but the kernel. It may be called again in between.
	Raise() (lower func())
}
