package child

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a child is sent when they are sent to us.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT,
}

// Notify returns a channel that gets the signals to forward, and what ends
// that. Those that were ignored when we were started (nohup, a shell's
// background job) stay so, and the child inherits that. SIGPIPE is received
// and forgotten: a reader that goes away must not take us with it, and to
// ignore it would have the child ignore it.
func Notify() (signals <-chan os.Signal, stop func()) {
	c, pipe := make(chan os.Signal, 32), make(chan os.Signal, 1)
	for _, sig := range forwarded {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	if !signal.Ignored(syscall.SIGPIPE) {
		signal.Notify(pipe, syscall.SIGPIPE)
	}
	return c, func() { signal.Stop(c) }
}

// forward passes signals on until ctx is done.
func (f *fittings) forward(ctx context.Context, pid int, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			f.pass(pid, s)
		}
	}
}

func (f *fittings) pass(pid int, s os.Signal) {
	sig, ok := s.(syscall.Signal)
	switch {
	case !ok:
	case sig == syscall.SIGWINCH && f.terminal != nil:
		f.console.copySize(f.terminal) // the kernel tells the child
	case sig == syscall.SIGTSTP && f.terminal != nil:
		// The child's session has nobody in it to continue a stopped
		// process, so the kernel would not let it stop itself.
		f.suspend(pid, os.Getpid())
	case sig == syscall.SIGCONT:
		f.resume(pid)
	default:
		f.kill(pid, sig)
	}
}

// wholeGroup stands for everybody in our process group: those whom a terminal
// would have told of its key.
const wholeGroup = -1

// suspend stops the child; its stop then stops whom: see wait. Where we were
// started with the signal ignored, so was the child.
func (f *fittings) suspend(pid, whom int) {
	if signal.Ignored(syscall.SIGTSTP) {
		return
	}
	f.stops.Store(int64(whom))
	f.kill(pid, unix.SIGSTOP)
}

// pause stops us, until a SIGCONT: see resume. Where we aren't stopped, the
// child may not stay so either.
func (f *fittings) pause(pid, whom int) {
	if f.console != nil {
		f.console.leave()
	}
	if whom == wholeGroup {
		stopOthers()
	}
	stop()
	f.resume(pid)
}

// resume takes up again what was left, and continues the child.
func (f *fittings) resume(pid int) {
	if f.console != nil {
		f.console.back()
		f.console.copySize(f.terminal)
	}
	f.kill(pid, unix.SIGCONT)
}
