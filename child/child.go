// Package child runs a program as if it had been started without us: with our
// arguments, environment, directory, terminal and signals, and what it prints
// passes through unharmed while it is also shown to a listener.
package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what to run, and between what.
type Options struct {
	// Argv is the program, looked up in PATH, and its arguments.
	Argv []string
	// Env is its environment; ours if it is nil.
	Env []string
	// Stdin, Stdout and Stderr are ours. The child gets a terminal of its
	// own where they are one, Stdin as it is otherwise.
	Stdin, Stdout, Stderr *os.File
	// Signals are passed on to the child.
	Signals <-chan os.Signal
	// Started is told the child's pid, before anything that it prints.
	Started func(pid int)
	// Printed is shown what the child prints, a piece at a time, by one
	// goroutine for each stream: a terminal has one. It must not keep p. A
	// nil p says that there was more than it could be shown in time.
	Printed func(s Stream, p []byte)
	// Paused is told when a stream has been still for a moment, Closed when
	// nothing more will come.
	Paused, Closed func(s Stream)
}

// Stream is one of the ways on which a child prints.
type Stream int

// The streams. What goes to a terminal comes as Output.
const (
	Output Stream = iota
	Errors
)

// A Result is how a child ended.
type Result struct {
	// Status is the exit status, 128 + n if it was killed by signal n: what
	// a shell would say.
	Status int
	// Signal is the signal that killed it, 0 if none did.
	Signal syscall.Signal
	// Key: it was killed by the key of its terminal, Ctrl-C.
	Key bool
}

// StartError says that nothing was run. A shell says 127 if there is no such
// program, and 126 if it can't be run.
type StartError struct {
	Name   string
	Status int
	Err    error
}

func (e *StartError) Error() string { return fmt.Sprintf("cannot run %q: %v", e.Name, e.Err) }

// Unwrap gives the reason.
func (e *StartError) Unwrap() error { return e.Err }

// Run runs the program to its end. The error is a *StartError, or that it
// can't be waited for.
func Run(opts Options) (Result, error) {
	cmd, err := command(opts)
	if err != nil {
		return Result{}, err
	}
	f, err := newFittings(opts, cmd)
	if err != nil {
		return Result{}, &StartError{opts.Argv[0], 126, err}
	}
	if err := cmd.Start(); err != nil {
		f.close()
		return Result{}, &StartError{opts.Argv[0], 126, err}
	}
	pid := cmd.Process.Pid
	opts.Started(pid)
	f.started(pid)
	ctx, ended := context.WithCancel(context.Background())
	var forwarder, streams sync.WaitGroup
	forwarder.Go(func() { f.forward(ctx, pid, opts.Signals) })
	for _, s := range f.streams {
		streams.Go(s.run)
	}
	result, err := f.wait(pid)
	ended()
	forwarder.Wait()
	f.deafen()
	f.drain(&streams)
	f.end()
	return result, errors.Join(err, cmd.Process.Release())
}

func command(opts Options) (*exec.Cmd, error) {
	argv := opts.Argv
	if len(argv) == 0 {
		return nil, &StartError{"", 127, errors.New("no program is named")}
	}
	path, err := exec.LookPath(argv[0])
	if named := new(exec.Error); errors.As(err, &named) && !errors.Is(err, exec.ErrDot) {
		err = named.Err // without the name, which is told already
	}
	if path := new(os.PathError); errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, exec.ErrDot): // as a shell would, if PATH says so
	case errors.Is(err, os.ErrPermission), errors.Is(err, unix.EISDIR):
		return nil, &StartError{argv[0], 126, err}
	case err != nil:
		return nil, &StartError{argv[0], 127, err}
	}
	return &exec.Cmd{Path: path, Args: argv, Env: opts.Env}, nil
}

// wait waits for the child's end. When it is stopped (SIGTSTP, SIGSTOP), we
// stop as well, so that the shell sees what it would have seen.
func (f *fittings) wait(pid int) (Result, error) {
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(pid, &status, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return Result{Status: 1}, fmt.Errorf("cannot wait for pid %d: %w", pid, err)
		case status.Exited():
			return Result{Status: status.ExitStatus()}, nil
		case status.Signaled():
			sig := status.Signal()
			return Result{Status: 128 + int(sig), Signal: sig, Key: sig == unix.SIGINT && f.keys != nil}, nil
		case status.Stopped():
			// Whoever stops the child with SIGSTOP will continue it.
			whom := int(f.stops.Swap(0))
			if whom == 0 && status.StopSignal() == unix.SIGTSTP {
				whom = os.Getpid()
			}
			if whom != 0 {
				f.pause(pid, whom)
			}
		}
	}
}

// lingering is how long the streams of a child that has ended are listened to
// when nothing comes: those of a process that it left behind stay open.
const lingering = time.Second

// drain waits for the end of the streams.
func (f *fittings) drain(streams *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		streams.Wait()
	}()
	tick := time.NewTicker(lingering / 4)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if f.still(lingering) {
				f.cut()
				<-done
				return
			}
		}
	}
}
