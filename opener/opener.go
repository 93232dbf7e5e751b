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
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"progressd/beside"
	"progressd/confine"
	"progressd/fsys"
)

// Argument is what a program is called with to be an opener.
const Argument = "--opener"

// tables are files of the system that are opened by their path, since whoever
// changes them puts another file in their place. Everybody may read them. The same
// goes for those of the administrator's that Start names, but they may be private.
var tables = map[string]bool{"/etc/passwd": true, "/etc/group": true, "/etc/subuid": true}

// openCost is what the process beside this one takes of a processor to open a file: 9
// to 12 µs, measured. Nobody can see whose that is from without.
const openCost = 12 * time.Microsecond

// An Opener is the process beside this one.
type Opener struct {
	fsys.Real

	process *beside.Process
	// looks is the capability to look, from Reserve on; nil: nothing is raised.
	looks *confine.Reserved
	// charge is told what each file that is opened has cost; nil: nobody pays.
	charge func(time.Duration)
}

// Start starts the opener: this program once more. It ends when this process does.
// Beside what a look reads it opens these files of the administrator's, by their
// absolute paths.
func Start(named ...string) (*Opener, error) {
	process, err := beside.Start(append([]string{Argument}, named...)...)
	if err != nil {
		return nil, err
	}
	return &Opener{process: process}, nil
}

// Reserve takes the capability to look into what is others' from all threads of this
// process but those that have raised it. The opener has its own.
func (o *Opener) Reserve() (err error) {
	o.looks, err = confine.Reserve()
	return err
}

// Raise is that of a fsys.Kernel.
func (o *Opener) Raise() (lower func()) { return o.looks.Raise() }

// Gone is closed when there is no opener any more.
func (o *Opener) Gone() <-chan struct{} { return o.process.Gone() }

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

// Table opens a table of the system, or a file that Start has named, and no other.
func (o *Opener) Table(path string) (*os.File, error) {
	fd, err := o.ask(path)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// ask has a file opened: that of a name in a directory, or a table.
func (o *Opener) ask(name string, dir ...int) (fd int, err error) {
	var answer [8]byte
	text, fd, err := o.process.Ask(name, answer[:], dir...)
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
	if err == nil && fd >= 0 {
		return fd, nil
	}
	if err == nil {
		return -1, unix.EMFILE // there was no number for it here
	}
	if fd >= 0 {
		_ = unix.Close(fd)
	}
	return -1, err
}
