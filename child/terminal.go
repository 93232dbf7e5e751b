package child

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// openTerminal makes a pseudo-terminal. A Read of our side ends when that is
// closed.
func openTerminal() (ours, theirs *os.File, err error) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open \"/dev/ptmx\": %w", err)
	}
	ours = os.NewFile(uintptr(master), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("cannot unlock a terminal: %w", err)
	}
	number, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	if err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("cannot number a terminal: %w", err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		_ = ours.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// control calls do with a file's descriptor, as it is: File.Fd would have a
// Read wait for ever. After Close it is not called.
func control(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// IsTerminal reports whether a file, which may be nil, is a terminal.
func IsTerminal(f *os.File) bool {
	is := false
	return f != nil && control(f, func(fd int) error { is = term.IsTerminal(fd); return nil }) == nil && is
}

// A console is our own terminal, in front of the child's.
type console struct {
	file *os.File
	// typed: it is our standard input as well, so its keys are the child's.
	typed bool

	mu sync.Mutex
	// cooked is how it was before it was put into raw mode: what a terminal
	// does, the child's does.
	cooked *unix.Termios
	// away: we are about to stop, and it is the shell's.
	away bool
}

// prepare puts it into raw mode, and reports whether it is ours now. In the
// background it is another's: even to touch it would stop us.
func (c *console) prepare() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away || !c.typed || !c.foreground() {
		return false
	}
	if c.cooked == nil {
		_ = control(c.file, func(fd int) error {
			cooked, err := unix.IoctlGetTermios(fd, unix.TCGETS)
			if err == nil {
				_, err = term.MakeRaw(fd)
			}
			if err == nil {
				c.cooked = cooked
			}
			return err
		})
	}
	return true
}

// foreground reports whether no shell has put us behind another. A terminal
// that doesn't control us (ENOTTY) puts nobody anywhere.
func (c *console) foreground() bool {
	group := 0
	err := control(c.file, func(fd int) (err error) { group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP); return err })
	return err != nil || group == unix.Getpgrp()
}

// deafen gives its keys back. What the child has printed may still be on its
// way, with the ends of lines that its own terminal made.
func (c *console) deafen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = true
	if c.cooked != nil {
		mode := *c.cooked
		mode.Oflag &^= unix.OPOST
		c.set(&mode)
	}
}

// leave gives it back as it was, until back is called.
func (c *console) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = true
	if c.cooked != nil {
		c.set(c.cooked)
	}
	c.cooked = nil
}

// set leaves it alone in the background, where it is another's.
func (c *console) set(mode *unix.Termios) {
	if c.foreground() {
		_ = control(c.file, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, mode) })
	}
}

func (c *console) back() {
	c.mu.Lock()
	c.away = false
	c.mu.Unlock()
	c.prepare()
}

// copyMode gives the child's terminal the settings of ours. Where ours isn't
// put into raw mode, it still turns \n into \r\n itself.
func (c *console) copyMode(theirs *os.File) {
	var mode *unix.Termios
	err := control(c.file, func(fd int) (err error) { mode, err = unix.IoctlGetTermios(fd, unix.TCGETS); return err })
	if err != nil {
		return
	}
	if !c.typed {
		mode.Oflag &^= unix.OPOST
	}
	_ = control(theirs, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, mode) })
}

// copySize gives the child's terminal the size of ours.
func (c *console) copySize(terminal *os.File) {
	var size *unix.Winsize
	err := control(c.file, func(fd int) (err error) { size, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); return err })
	if err == nil {
		_ = control(terminal, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
	}
}
