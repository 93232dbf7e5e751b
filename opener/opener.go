// Package opener keeps the right to read apart from what reads. A daemon that may
// look into all homes has to open a few files there: listings, and metadata of
// single files. It gives up opening any (package confine), and asks a process
// beside it, which opens those and no others. Nothing that a cache holds is ever
// read in there: it gets a name in a directory that is open, and answers with a
// descriptor. So who has taken over the daemon, by a fault in what it reads, reads
// neither keys nor tokens; names, sizes and times are not kept from it.
package opener

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// Argument is what a program is called with to be an opener.
const Argument = "--opener"

// socketFD is where an opener has its socket.
const socketFD = 3

// tables are files of the system that are opened by their path, since whoever
// changes them puts another file in their place. Everybody may read them.
var tables = map[string]bool{"/etc/passwd": true, "/etc/group": true, "/etc/subuid": true}

// openCost is what the process beside this one takes of a processor to open a file: 9
// to 12 µs, measured. Nobody can see whose that is from without.
const openCost = 12 * time.Microsecond

// An Opener is the process beside this one.
type Opener struct {
	fsys.Real

	socket int
	gone   chan struct{}
	// charge is told what each file that is opened has cost; nil: nobody pays.
	charge func(time.Duration)
}

// Start starts the opener: this program once more. It ends when this process does.
func Start() (*Opener, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot start the opener: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "opener")
	defer theirs.Close()
	process, err := os.StartProcess("/proc/self/exe", []string{"progressd", Argument}, &os.ProcAttr{
		Dir: "/", Env: []string{"GOTRACEBACK=" + os.Getenv("GOTRACEBACK")}, Files: []*os.File{nil, nil, os.Stderr, theirs},
	})
	if err != nil {
		_ = unix.Close(pair[0])
		return nil, fmt.Errorf("cannot start the opener: %w", err)
	}
	o := &Opener{socket: pair[0], gone: make(chan struct{})}
	go func() {
		defer close(o.gone)
		_, _ = process.Wait()
	}()
	return o, nil
}

// Gone is closed when there is no opener any more.
func (o *Opener) Gone() <-chan struct{} { return o.gone }

// For is this kernel for looks of somebody who pays for what is opened.
func (o *Opener) For(charge func(time.Duration)) fsys.Kernel {
	of := *o
	of.charge = charge
	return &of
}

// Openat is that of a fsys.Kernel: what is opened for its content is asked for.
func (o *Opener) Openat(at int, name string, flags int) (fd int, err error) {
	if flags&(unix.O_PATH|unix.O_DIRECTORY) != 0 {
		return o.Real.Openat(at, name, flags)
	}
	if o.charge != nil {
		o.charge(openCost)
	}
	return o.ask(name, at)
}

// Table opens a table of the system, and no other file.
func (o *Opener) Table(path string) (*os.File, error) {
	fd, err := o.ask(path)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// ask has a file opened: that of a name in a directory, or a table. Each question
// carries the socket for its answer, so that one that hangs holds up no other.
func (o *Opener) ask(name string, dir ...int) (fd int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pair[0])
	err = again(func() error {
		return unix.Sendmsg(o.socket, []byte(name), unix.UnixRights(append([]int{pair[1]}, dir...)...), nil, unix.MSG_NOSIGNAL)
	})
	_ = unix.Close(pair[1])
	if err != nil {
		return -1, err
	}
	var answer [8]byte
	text, fds, err := receive(pair[0], answer[:])
	switch {
	case errors.Is(err, io.EOF):
		err = unix.EIO // it has ended
	case err == nil && len(text) == 4:
		if errno := unix.Errno(binary.NativeEndian.Uint32(text)); errno != 0 {
			err = errno
		}
	case err == nil:
		err = unix.EPROTO
	}
	if err == nil && len(fds) == 1 {
		return fds[0], nil
	}
	closeAll(fds)
	if err == nil {
		err = unix.EMFILE // there was no number for it here
	}
	return -1, err
}

// receive takes one message, and what descriptors it carries.
func receive(socket int, into []byte) (text []byte, fds []int, err error) {
	var control [128]byte
	var n, controls int
	err = again(func() (err error) {
		n, controls, _, _, err = unix.Recvmsg(socket, into, control[:], unix.MSG_CMSG_CLOEXEC)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	for _, m := range messages {
		if rights, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, rights...)
		}
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return into[:n], fds, err
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// again makes a call once more for as long as a signal interrupts it.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
