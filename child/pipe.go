package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// pipeSize is what a pipe holds, in bytes, where it can be had: as much as the
// kernel gives to everybody. The more, the fewer turns for both.
const pipeSize = 1 << 20

// A pipe is our side of one on which a child prints. The runtime doesn't wait
// for it: at each write to what epoll(7) watches somebody is woken, and that
// costs a child that prints in small pieces a third of its speed.
type pipe struct {
	// stop and quit end the waiting.
	stop, quit *os.File

	mu sync.Mutex // held while fd is in use
	fd int        // -1 when closed
}

// newPipe makes a pipe, and returns our side and the child's.
func newPipe() (ours *pipe, theirs *os.File, err error) {
	stop, quit, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("cannot make a pipe: %w", err), stop.Close(), quit.Close())
	}
	ours, theirs = &pipe{stop: stop, quit: quit, fd: fds[0]}, os.NewFile(uintptr(fds[1]), "|1")
	if err := unix.SetNonblock(ours.fd, true); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("cannot set up a pipe: %w", err), ours.Close(), theirs.Close())
	}
	_, _ = unix.FcntlInt(uintptr(ours.fd), unix.F_SETPIPE_SZ, pipeSize)
	return ours, theirs, nil
}

// Read waits for what the child prints, until Close.
func (p *pipe) Read(buf []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.fd >= 0 {
		n, err := unix.Read(p.fd, buf)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EAGAIN):
			return 0, err
		case p.await():
			return 0, os.ErrClosed
		}
	}
	return 0, os.ErrClosed
}

// await waits until there is something to read, or Close is called: that it
// reports.
func (p *pipe) await() bool {
	fds := []unix.PollFd{{Fd: int32(p.stop.Fd()), Events: unix.POLLIN}, {Fd: int32(p.fd), Events: unix.POLLIN}} //nolint:gosec // descriptors are small
	_, _ = unix.Ppoll(fds, nil, nil)
	return fds[0].Revents != 0
}

// Close ends a Read that waits, and gives the pipe up. It may be called again.
func (p *pipe) Close() error {
	err := p.quit.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return nil
	}
	err = errors.Join(err, p.stop.Close(), unix.Close(p.fd))
	p.fd = -1
	return err
}
