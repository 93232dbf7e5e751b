package confine

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Reserved is the capability to look into what is not this user's
// (CAP_DAC_READ_SEARCH), of a process of which only those threads have it that look
// just now. A nil one is that of a process that doesn't have it at all.
//
// It is no bound for who can have code of his own run in here: the threads share
// their memory, and each may raise it. It is one for all that the process does
// otherwise, by whatever name it was made to do it for.
type Reserved struct {
	with, without capabilities
	lower         func()
}

// capabilities are those of a thread, as capset(2) takes them.
type capabilities [2]unix.CapUserData

const looks = 1 << unix.CAP_DAC_READ_SEARCH

// MayReadAll reports whether this thread has the capability in force: it may then
// list every directory, and read every file.
func MayReadAll() bool { return now()[0].Effective&looks != 0 }

// Reserve takes the capability from all threads of this process, and from those
// that are yet to come: it stays permitted (capabilities(7)), for Raise, and is
// inherited by no program that is started. In a program with cgo it is an error, for
// there Go can't reach all threads.
func Reserve() (*Reserved, error) {
	r := &Reserved{with: now()}
	if r.with[0].Permitted&looks == 0 {
		return nil, errors.New("cannot reserve the capability to look into what is others': this process doesn't have it")
	}
	r.with[0].Effective |= looks
	r.with[0].Inheritable &^= looks // and so it is ambient no more, either
	r.without = r.with
	r.without[0].Effective &^= looks
	r.lower = func() {
		if r.without.set() == nil { // else this goroutine keeps the thread for itself, for good
			runtime.UnlockOSThread()
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&r.without)), 0); errno != 0 { //nolint:gosec // the kernel takes them by their addresses
		return nil, fmt.Errorf("cannot take the capability to look into what is others' from all threads: %w", errno)
	}
	return r, nil
}

// Raise gives the calling goroutine the capability until lower, which it has to
// call itself: it has its thread for itself for so long, and what it starts
// meanwhile runs on others, which don't have it. (Go makes no thread from one that a
// goroutine has for itself.) It may be raised again in between. It costs two system
// calls, and one more at the end: half a microsecond.
func (r *Reserved) Raise() (lower func()) {
	if r == nil {
		return func() {}
	}
	runtime.LockOSThread()
	if MayReadAll() { // who has raised it lowers it
		return runtime.UnlockOSThread
	}
	_ = r.with.set() // without it, the look says what it may not see
	return r.lower
}

// now are the capabilities of this thread.
func now() (c capabilities) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if unix.Capget(&header, &c[0]) != nil {
		return capabilities{}
	}
	return c
}

// set makes them those of this thread.
func (c *capabilities) set() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capset(&header, &c[0])
}
