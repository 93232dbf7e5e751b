// Package beside has a program ask a process beside it, which is the same program
// once more and has rights that this one gives up. A question is a text and
// descriptors; so is its answer.
package beside

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Socket is the descriptor under which such a process has its questions.
const Socket = 3

// A Process is one that is asked.
type Process struct {
	socket int
	gone   chan struct{}
}

// Start starts this program once more, with those arguments. It is to end when
// Receive says io.EOF: when this process has ended.
func Start(args ...string) (*Process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot start a process beside this one: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "beside")
	defer theirs.Close()
	process, err := os.StartProcess("/proc/self/exe", append([]string{"progressd"}, args...), &os.ProcAttr{
		Dir: "/", Env: []string{"GOTRACEBACK=" + os.Getenv("GOTRACEBACK")}, Files: []*os.File{nil, nil, os.Stderr, theirs},
	})
	if err != nil {
		_ = unix.Close(pair[0])
		return nil, fmt.Errorf("cannot start a process beside this one: %w", err)
	}
	p := &Process{socket: pair[0], gone: make(chan struct{})}
	go func() {
		defer close(p.gone)
		_, _ = process.Wait()
	}()
	return p, nil
}

// Gone is closed when it has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Hang has it hear that nobody asks any more.
func (p *Process) Hang() error { return unix.Shutdown(p.socket, unix.SHUT_RDWR) }

// Ask gives the answer to a question, in into, and the descriptor that came with it, -1
// if none did. Each question carries the socket for its answer, so that one that hangs
// holds up no other. The error is io.EOF if the process has ended.
func (p *Process) Ask(question string, into []byte, descriptors ...int) (answer []byte, fd int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, err
	}
	defer unix.Close(pair[0])
	err = Again(func() error {
		return unix.Sendmsg(p.socket, []byte(question), unix.UnixRights(append([]int{pair[1]}, descriptors...)...), nil, unix.MSG_NOSIGNAL)
	})
	_ = unix.Close(pair[1])
	if err != nil {
		return nil, -1, err
	}
	answer, fds, err := Receive(pair[0], into)
	if err == nil && len(fds) == 1 {
		return answer, fds[0], nil
	}
	CloseAll(fds)
	return answer, -1, err
}

// Receive takes one message, and what descriptors it carries.
func Receive(socket int, into []byte) (text []byte, fds []int, err error) {
	var control [128]byte
	var n, controls int
	err = Again(func() (err error) {
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

// Answer answers a question at the descriptor that came first with it.
func Answer(to int, text []byte, descriptors ...int) {
	var rights []byte
	if len(descriptors) > 0 {
		rights = unix.UnixRights(descriptors...)
	}
	_ = Again(func() error { return unix.Sendmsg(to, text, rights, nil, unix.MSG_NOSIGNAL) })
}

// CloseAll closes what came with a message.
func CloseAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// Again makes a call once more for as long as a signal interrupts it.
func Again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
