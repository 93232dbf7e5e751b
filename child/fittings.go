package child

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// fittings connect a child with what is ours: a terminal of its own where ours
// is one, pipes elsewhere. The child is never in our process group, so that a
// signal to that group reaches it once, through us.
type fittings struct {
	opts Options
	// terminal is our side of the child's, nil if it has none; console is
	// the real one behind it.
	terminal *os.File
	console  *console
	keys     *keyboard
	streams  []*stream
	// stops is whom the child's stop stops as well, our pid or wholeGroup,
	// while it is one that was asked of us; 0 else.
	stops atomic.Int64
	// theirs are closed as soon as the child has them.
	theirs []*os.File
}

func newFittings(opts Options, cmd *exec.Cmd) (*fittings, error) {
	f := &fittings{opts: opts}
	if err := f.fit(cmd); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fittings) fit(cmd *exec.Cmd) error {
	std := []*os.File{f.opts.Stdin, f.opts.Stdout, f.opts.Stderr}
	cmd.Stdin = f.opts.Stdin
	first := slices.IndexFunc(std, IsTerminal)
	if first < 0 {
		// In our session, where a group that a SIGTSTP stops has somebody
		// to continue it: us.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return f.outputs(cmd, nil)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: first}
	terminal, theirs, err := openTerminal()
	if err != nil {
		return err
	}
	f.terminal, f.theirs = terminal, []*os.File{theirs}
	f.console = &console{file: std[first], typed: first == 0}
	f.console.copyMode(theirs)
	f.console.copySize(terminal)
	if f.console.typed {
		cmd.Stdin = theirs
		if f.keys, err = newKeyboard(f); err != nil {
			return err
		}
	}
	f.streams = append(f.streams, newStream(Output, terminal, f.screen(), f.opts))
	return f.outputs(cmd, theirs)
}

// screen is where the child's terminal is shown.
func (f *fittings) screen() *os.File {
	for _, file := range []*os.File{f.opts.Stdout, f.opts.Stderr} {
		if IsTerminal(file) {
			return file
		}
	}
	return f.opts.Stdin // it may ask for a password on /dev/tty
}

// outputs gives the child its two ways to print on.
func (f *fittings) outputs(cmd *exec.Cmd, terminal *os.File) error {
	for _, way := range []struct {
		as   Stream
		ours *os.File
		gets func(*os.File)
	}{
		{Output, f.opts.Stdout, func(file *os.File) { cmd.Stdout = file }},
		{Errors, f.opts.Stderr, func(file *os.File) { cmd.Stderr = file }},
	} {
		if IsTerminal(way.ours) {
			way.gets(terminal)
			continue
		}
		from, to, err := newPipe()
		if err != nil {
			return err
		}
		f.theirs = append(f.theirs, to)
		f.streams = append(f.streams, newStream(way.as, from, way.ours, f.opts))
		way.gets(to)
	}
	return nil
}

// started begins to carry, and gives up what only the child needs.
func (f *fittings) started(pid int) {
	if f.keys != nil {
		f.console.prepare()
		f.keys.attend(pid)
	}
	f.giveUp()
}

func (f *fittings) giveUp() {
	for _, file := range f.theirs {
		_ = file.Close()
	}
	f.theirs = nil
}

// close gives up everything, where nothing was started.
func (f *fittings) close() {
	f.deafen()
	f.end()
	f.giveUp()
	f.cut()
	if f.terminal != nil {
		_ = f.terminal.Close()
	}
}

// deafen ends the carrying of keys: those typed from now on are the shell's.
func (f *fittings) deafen() {
	if f.keys != nil {
		f.keys.release()
		f.keys = nil
	}
	if f.console != nil {
		f.console.deafen()
	}
}

// end gives our terminal back, when all is shown.
func (f *fittings) end() {
	if f.console != nil {
		f.console.leave()
	}
}

// kill sends a signal to the child and what it has started: its process group,
// or that in the foreground of its terminal.
func (f *fittings) kill(pid int, sig unix.Signal) {
	group := pid
	if f.terminal != nil {
		_ = control(f.terminal, func(fd int) error {
			g, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
			if err == nil && g > 0 {
				group = g
			}
			return err
		})
	}
	if err := unix.Kill(-group, sig); errors.Is(err, unix.ESRCH) {
		_ = unix.Kill(pid, sig)
	}
}
