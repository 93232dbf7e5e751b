// Package dialer keeps connecting to a hub apart from what reads caches. Whoever
// connects resolves a name, by files of /etc that others put anew in their place
// while the daemon runs, and that Landlock can't tell from the keys beside them. So a
// process without any capability does so, which hands on what is connected; the
// daemon itself opens nothing in /etc.
package dialer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"progressd/beside"
)

// Argument is what a program is called with to be a dialer.
const Argument = "--dialer"

const (
	// maxAddress bounds an address, in bytes: the longest name has 253.
	maxAddress = 512
	// maxText bounds what is said of a failure, in bytes.
	maxText = 512
	// patience is how long a connection may take.
	patience = 30 * time.Second
	// atOnce is how many may be under way at a time.
	atOnce = 4
)

// A Dialer is the process beside this one.
type Dialer struct{ process *beside.Process }

// Start starts the dialer: this program once more. It ends when this process does.
func Start() (*Dialer, error) {
	process, err := beside.Start(Argument)
	if err != nil {
		return nil, err
	}
	return &Dialer{process}, nil
}

// Gone is closed when there is no dialer any more.
func (d *Dialer) Gone() <-chan struct{} { return d.process.Gone() }

// DialContext is that of a net.Dialer, for tcp alone. It doesn't end with ctx, but by
// itself within half a minute.
func (d *Dialer) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" || len(address) > maxAddress {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("not an address that can be connected to")}
	}
	text, fd, err := d.process.Ask(address, make([]byte, maxText))
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("what connects to the hub has ended")
	case err != nil:
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	case fd < 0:
		return nil, errors.New(string(text))
	}
	file := os.NewFile(uintptr(fd), address)
	defer file.Close()
	return net.FileConn(file)
}

// Main is the dialer: it connects until the daemon has ended. It returns the exit
// status.
func Main() int {
	// They are sent to the daemon and to all that it has started.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGPIPE)
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	debug.FreeOSMemory() // what the packages of the whole program made at its start
	if err := serve(beside.Socket); err != nil {
		_, _ = io.WriteString(os.Stderr, "progressd: the dialer: "+err.Error()+"\n")
		return 1
	}
	return 0
}

// serve connects to what is asked for at a socket, until nobody has its other end.
func serve(socket int) error {
	turns := make(chan struct{}, atOnce)
	for {
		address, fds, err := beside.Receive(socket, make([]byte, maxAddress))
		if errors.Is(err, io.EOF) && len(fds) == 0 {
			return nil
		}
		if err != nil || len(fds) != 1 {
			beside.CloseAll(fds)
			if err != nil && len(fds) == 0 {
				return err
			}
			continue
		}
		turns <- struct{}{}
		go func() {
			defer func() { <-turns }()
			defer beside.CloseAll(fds)
			connect(string(address), fds[0])
		}()
	}
}

// connect hands on a connection, or why there is none.
func connect(address string, to int) {
	say := func(err error) {
		text := err.Error()
		beside.Answer(to, []byte(text[:min(len(text), maxText)]))
	}
	conn, err := (&net.Dialer{Timeout: patience}).Dial("tcp", address)
	if err != nil {
		say(err)
		return
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { beside.Answer(to, []byte{0}, int(fd)) })
	}
	if err != nil {
		say(err)
	}
}
