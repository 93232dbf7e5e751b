package child

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A keyboard carries what is typed to the child's terminal, for as long as the
// child runs and no longer: what is typed after that is the shell's.
type keyboard struct {
	f          *fittings
	stop, quit *os.File
	running    sync.WaitGroup
}

func newKeyboard(f *fittings) (*keyboard, error) {
	k := &keyboard{f: f}
	var err error
	k.stop, k.quit, err = os.Pipe()
	return k, err
}

// attend begins to carry, release ends it.
func (k *keyboard) attend(pid int) {
	k.running.Go(func() { k.run(pid) })
}

func (k *keyboard) release() {
	_ = k.quit.Close()
	k.running.Wait()
	_ = k.stop.Close()
}

// patience is how often we look whether we have come to the foreground.
const patience = 200 * time.Millisecond

func (k *keyboard) run(pid int) {
	in, stop := int(k.f.opts.Stdin.Fd()), int(k.stop.Fd())
	buf := make([]byte, 4096)
	for {
		fds := []unix.PollFd{
			{Fd: int32(stop), Events: unix.POLLIN}, //nolint:gosec // descriptors are small
			{Fd: int32(in), Events: unix.POLLIN},   //nolint:gosec // as above
		}
		wait := -1
		if !k.f.console.prepare() { // to read in the background would stop us
			fds, wait = fds[:1], int(patience.Milliseconds())
		}
		if _, err := unix.Poll(fds, wait); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[0].Revents != 0 {
			return
		}
		if len(fds) < 2 || fds[1].Revents == 0 {
			continue
		}
		n, err := unix.Read(in, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n == 0 || !k.typed(pid, buf[:n]) {
			return
		}
	}
}

// typed hands keys on. The one that suspends is obeyed here: see pass.
func (k *keyboard) typed(pid int, keys []byte) bool {
	for len(keys) > 0 {
		part := keys
		i := -1
		mode := k.mode()
		if mode.Lflag&unix.ISIG != 0 && mode.Cc[unix.VSUSP] != 0 {
			i = bytes.IndexByte(keys, mode.Cc[unix.VSUSP])
		}
		if i >= 0 {
			part = keys[:i]
		}
		if _, err := k.f.terminal.Write(part); err != nil {
			return false
		}
		keys = keys[len(part):]
		if i >= 0 {
			k.echo(mode, keys[0])
			k.f.suspend(pid, wholeGroup)
			keys = keys[1:]
		}
	}
	return true
}

// mode is that of the child's terminal now; without any keys if it has none.
func (k *keyboard) mode() *unix.Termios {
	mode := new(unix.Termios)
	_ = control(k.f.terminal, func(fd int) error {
		got, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil {
			mode = got
		}
		return err
	})
	return mode
}

// echo shows a key that the child's terminal is not given, as that would: ^Z.
func (k *keyboard) echo(mode *unix.Termios, key byte) {
	if mode.Lflag&unix.ECHO != 0 && mode.Lflag&unix.ECHOCTL != 0 && key < ' ' {
		_, _ = k.f.screen().Write([]byte{'^', key + '@'})
	}
}
