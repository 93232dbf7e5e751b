package opener

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
)

// Main is the opener: it answers until the daemon has ended. It returns the exit
// status.
func Main() int {
	// They are sent to the daemon and to all that it has started.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGPIPE)
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	debug.FreeOSMemory() // what the packages of the whole program made at its start
	if err := serve(socketFD); err != nil {
		_, _ = io.WriteString(os.Stderr, "progressd: the opener: "+err.Error()+"\n")
		return 1
	}
	return 0
}

// serve answers what is asked at a socket, until nobody has its other end.
func serve(socket int) error {
	d := &desk{socket: socket, over: make(chan error, 1)}
	d.idle.Store(1)
	go d.work()
	return <-d.over
}

// A desk has one who waits for a question at any time. Who takes one up answers it
// without a change of threads, and one more waits meanwhile: a file system may hang.
type desk struct {
	socket int
	idle   atomic.Int32
	over   chan error
}

// work answers questions until there are others enough who wait for them.
func (d *desk) work() {
	const most = 2
	for d.next() {
		if d.idle.Add(1) > most {
			d.idle.Add(-1)
			return
		}
	}
}

// next answers one question; false: it is over.
func (d *desk) next() bool {
	var question [unix.NAME_MAX + 1]byte
	name, fds, err := receive(d.socket, question[:])
	if err != nil {
		closeAll(fds)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		select {
		case d.over <- err:
		default:
		}
		return false
	}
	if d.idle.Add(-1) == 0 {
		d.idle.Add(1)
		go d.work()
	}
	answer(string(name), fds)
	return true
}

// answer opens what is asked for, if it may be given away. The first descriptor
// is where the answer goes to, the second the directory.
func answer(name string, fds []int) {
	defer closeAll(fds)
	var errno unix.Errno
	var rights []byte
	switch fd, err := openFor(name, fds); {
	case err == nil:
		defer unix.Close(fd)
		rights = unix.UnixRights(fd)
	case !errors.As(err, &errno):
		errno = unix.EIO
	}
	if len(fds) > 0 {
		text := binary.NativeEndian.AppendUint32(nil, uint32(errno))
		_ = again(func() error { return unix.Sendmsg(fds[0], text, rights, nil, unix.MSG_NOSIGNAL) })
	}
}

func openFor(name string, fds []int) (fd int, err error) {
	switch len(fds) {
	case 1:
		if !tables[name] {
			return -1, unix.EACCES
		}
		return openRegular(unix.AT_FDCWD, name, 0)
	case 2:
		dir, err := whereIs(fds[1])
		if err != nil {
			return -1, err
		}
		if !hfcache.Legible(dir, name) {
			return -1, unix.EACCES
		}
		return openRegular(fds[1], name, unix.O_NOFOLLOW)
	default:
		return -1, unix.EINVAL
	}
}

// whereIs is the path of a directory that is open: the kernel's word, whoever
// has opened it.
func whereIs(dir int) (string, error) {
	var path [unix.PathMax]byte
	n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(dir), path[:])
	return string(path[:n]), err
}

// openRegular opens a regular file for reading, and nothing else.
func openRegular(at int, name string, flags int) (fd int, err error) {
	var st unix.Stat_t
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT); err != nil {
		return -1, err
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG && (flags&unix.O_NOFOLLOW != 0 || kind != unix.S_IFLNK) {
		return -1, unix.ELOOP
	}
	err = again(func() (err error) {
		fd, err = unix.Openat(at, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC|flags, 0)
		return err
	})
	if err != nil {
		return -1, err
	}
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.ELOOP
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
