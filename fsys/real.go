package fsys

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Real is the Kernel of this machine, for a process that has the same rights all the
// time.
type Real struct{}

// Raise has nothing to raise.
func (Real) Raise() (lower func()) { return func() {} }

// Openat is openat(2).
func (Real) Openat(at int, name string, flags int) (fd int, err error) {
	return unix.Openat(at, name, flags|unix.O_CLOEXEC, 0)
}

// Close is close(2): what was only read can tell nothing new.
func (Real) Close(fd int) { _ = unix.Close(fd) }

// Read is read(2).
func (Real) Read(fd int, into []byte) (n int, err error) { return unix.Read(fd, into) }

// Fstatat is fstatat(2), and of a descriptor itself fstat(2), which tells the
// same and costs less.
func (Real) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	if name == "" && flags&unix.AT_EMPTY_PATH != 0 {
		return unix.Fstat(at, st)
	}
	return unix.Fstatat(at, name, st, flags|unix.AT_NO_AUTOMOUNT)
}

// Birth is statx(2) for the time at which an entry was made.
func (Real) Birth(at int, name string) int64 {
	var st unix.Statx_t
	err := again(func() error {
		return unix.Statx(at, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_BTIME, &st)
	})
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).UnixNano()
}

// Readlinkat is readlinkat(2).
func (Real) Readlinkat(at int, name string, into []byte) (n int, err error) {
	return unix.Readlinkat(at, name, into)
}

// Getdents is getdents64(2).
func (Real) Getdents(fd int, buf []byte) (n int, err error) { return unix.Getdents(fd, buf) }

// Rewind is lseek(2) to the beginning.
func (Real) Rewind(fd int) error {
	_, err := unix.Seek(fd, 0, 0)
	return err
}

// Fstatfs is fstatfs(2).
func (Real) Fstatfs(fd int, st *unix.Statfs_t) error { return unix.Fstatfs(fd, st) }

// again makes a call once more for as long as a signal interrupts it.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
