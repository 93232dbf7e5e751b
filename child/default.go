package child

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// action is what a signal does, as rt_sigaction(2) of every Linux that Go runs
// on has it, but for MIPS: its handler comes first. The zero value is the
// default, SIG_DFL. The runtime gives back no signal that it has once taken.
type action struct {
	handler uintptr
	_       [7]uint64
}

// ignore is SIG_IGN.
const ignore = 1

// act has a signal do something else, and gives what it did.
func act(sig unix.Signal, to action) (was action, err error) {
	const setSize = 8 // of the kernel's sigset_t
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(&to)), uintptr(unsafe.Pointer(&was)), setSize, 0, 0) //nolint:gosec // there is no other way to it
	if errno != 0 {
		return was, errno
	}
	return was, nil
}

// raise sends us a signal, to this very thread: it has done what it does when
// this returns.
func raise(sig unix.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
}

// stop has us stopped by SIGTSTP, so that a shell sees what it would have seen
// of the child, and returns when we go on. The kernel refuses where nobody
// would continue us: in an orphaned process group.
func stop() {
	was, err := act(unix.SIGTSTP, action{})
	if err != nil {
		return
	}
	raise(unix.SIGTSTP)
	_, _ = act(unix.SIGTSTP, was)
}

// stopOthers sends SIGTSTP to the others in our process group, whom the key of
// the terminal would have stopped as well.
func stopOthers() {
	was, err := act(unix.SIGTSTP, action{handler: ignore})
	if err != nil {
		return
	}
	_ = unix.Kill(0, unix.SIGTSTP)
	_, _ = act(unix.SIGTSTP, was)
}

// EndByKey ends us by SIGINT if the child was killed by Ctrl-C, so that a shell
// gives up the script that it was meant for, and calls it 130 as well. It
// returns where there was none, or a signal can't kill us: then Status says it.
func (r Result) EndByKey() {
	if !r.Key {
		return
	}
	_, _ = act(unix.SIGINT, action{})
	raise(unix.SIGINT)
}
