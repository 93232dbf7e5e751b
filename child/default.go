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
		uintptr(unsafe.Pointer(&to)), uintptr(unsafe.Pointer(&was)), setSize, 0, 0)
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
func stop(group bool) {
	was, err := act(unix.SIGTSTP, action{})
	if err != nil {
		return
	}
	if group { // the others in it, whom the key of the terminal would stop as well
		_, _ = act(unix.SIGTSTP, action{handler: ignore})
		_ = unix.Kill(0, unix.SIGTSTP)
		_, _ = act(unix.SIGTSTP, action{})
	}
	raise(unix.SIGTSTP)
	_, _ = act(unix.SIGTSTP, was)
}

// Die ends us by the signal that has killed the child, if one has, so that who
// waits for us sees the same: a shell gives up the script that a Ctrl-C was
// meant for, and systemd knows an end that it has asked for. It leaves no core:
// that is the child's. It returns where a signal can't kill us, as process 1 of
// a container: then Status says it.
func (r Result) Die() {
	if r.Signal == 0 {
		return
	}
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_, _ = act(r.Signal, action{}) // SIGKILL has no other
	raise(r.Signal)
}
