package opener

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"progressd/beside"
	"progressd/confine"
	"progressd/hfcache"
)

// Main is the opener: it answers until the daemon has ended. named are the files of
// the administrator's that it opens. It returns the exit status.
func Main(named []string) int {
	// They are sent to the daemon and to all that it has started.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGPIPE)
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	debug.FreeOSMemory() // what the packages of the whole program made at its start
	// Where it has nothing to reserve, or can't, it opens what it may.
	looks, _ := confine.Reserve()
	if err := (&desk{socket: beside.Socket, named: named, looks: looks, over: make(chan error, 1)}).serve(); err != nil {
		_, _ = io.WriteString(os.Stderr, "progressd: the opener: "+err.Error()+"\n")
		return 1
	}
	return 0
}

// serve answers what is asked at the socket, until nobody has its other end.
func (d *desk) serve() error {
	d.idle.Store(1)
	go d.work()
	return <-d.over
}

// A desk has one who waits for a question at any time. Who takes one up answers it
// without a change of threads, and one more waits meanwhile: a file system may hang.
type desk struct {
	socket int
	named  []string
	// looks is raised only to open what may be given away.
	looks *confine.Reserved
	idle  atomic.Int32
	over  chan error
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
	name, fds, err := beside.Receive(d.socket, question[:])
	if err != nil {
		beside.CloseAll(fds)
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
	d.answer(string(name), fds)
	return true
}

// answer opens what is asked for, if it may be given away. The first descriptor
// is where the answer goes to, the second the directory.
func (d *desk) answer(name string, fds []int) {
	defer beside.CloseAll(fds)
	var errno unix.Errno
	var opened []int
	switch fd, err := d.openFor(name, fds); {
	case err == nil:
		defer unix.Close(fd)
		opened = []int{fd}
	case !errors.As(err, &errno):
		errno = unix.EIO
	}
	if len(fds) > 0 {
		beside.Answer(fds[0], binary.NativeEndian.AppendUint32(nil, uint32(errno)), opened...)
	}
}

func (d *desk) openFor(name string, fds []int) (fd int, err error) {
	switch len(fds) {
	case 1:
		if !tables[name] && !slices.Contains(d.named, name) {
			return -1, unix.EACCES
		}
		defer d.looks.Raise()()
		return openRegular(unix.AT_FDCWD, name, 0)
	case 2:
		dir, err := whereIs(fds[1])
		if err != nil {
			return -1, err
		}
		if !hfcache.Legible(dir, name) {
			return -1, unix.EACCES
		}
		defer d.looks.Raise()()
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
	err = beside.Again(func() (err error) {
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
