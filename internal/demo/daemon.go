package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// daemon is progressd, running.
type daemon struct {
	cmd *exec.Cmd
	// exited is closed when it has ended with err and all it printed is read.
	exited chan struct{}
	err    error
	// ready is closed when it has said READY=1, as it would to systemd.
	ready chan struct{}

	mu    sync.Mutex
	lines []string
	grown chan struct{} // closed and replaced with every line
}

// startDaemon starts progressd, shows its lines as they come and returns when
// it says that it watches.
func startDaemon(ctx context.Context, s *stage, stderr io.Writer) (*daemon, error) {
	// An abstract address: no path to be too long, no file to be removed.
	address := fmt.Sprintf("@progressd-demo-%d-%d", os.Getpid(), time.Now().UnixNano())
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for progressd's readiness: %w", err)
	}
	d := &daemon{exited: make(chan struct{}), ready: make(chan struct{}), grown: make(chan struct{})}
	d.cmd = exec.Command(s.progressd, "--config", s.config())
	d.cmd.Env = append(environment(), "NOTIFY_SOCKET="+address)
	d.cmd.Stderr = stderr
	d.cmd.SysProcAttr = ownGroup()
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot read from progressd: %w", err), socket.Close())
	}
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start progressd: %w", err), socket.Close())
	}
	go d.follow(stdout, socket, s.screen)
	if err := d.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// environment is the demo's own without what would make progressd believe
// that systemd runs it.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "JOURNAL_STREAM", "INVOCATION_ID", "WATCHDOG_USEC", "WATCHDOG_PID", "LOGS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY":
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

// follow shows and keeps every line until progressd has ended, and hears what
// it tells systemd all the while.
func (d *daemon) follow(stdout io.Reader, socket *net.UnixConn, s *screen) {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		d.hear(socket)
	}()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		s.show(lines.Text())
		d.mu.Lock()
		d.lines = append(d.lines, lines.Text())
		close(d.grown)
		d.grown = make(chan struct{})
		d.mu.Unlock()
	}
	d.err = errors.Join(d.cmd.Wait(), socket.Close())
	<-heard
	close(d.exited)
}

// hear reads messages for systemd until the socket is closed.
func (d *daemon) hear(socket *net.UnixConn) {
	once := sync.OnceFunc(func() { close(d.ready) })
	buf := make([]byte, 4096)
	for {
		n, err := socket.Read(buf)
		if err != nil {
			return
		}
		if hasLine(string(buf[:n]), "READY=1") {
			once()
		}
	}
}

func (d *daemon) awaitReady(ctx context.Context) error {
	select {
	case <-d.ready:
		return nil
	case <-d.exited:
		return fmt.Errorf("progressd ended before it was ready: %w", d.failure())
	case <-time.After(10 * time.Second):
		return errors.New("progressd did not say within 10s that it is ready")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func hasLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSuffix(l, "\n") == line {
			return true
		}
	}
	return false
}

// await returns nil when a line with that ending has come.
func (d *daemon) await(ctx context.Context, ending string) error {
	for seen := 0; ; {
		d.mu.Lock()
		lines, grown := d.lines[seen:], d.grown
		d.mu.Unlock()
		for _, line := range lines {
			if strings.HasSuffix(line, ending) {
				return nil
			}
		}
		seen += len(lines)
		select {
		case <-grown:
		case <-d.exited:
			return fmt.Errorf("progressd ended before it said %q: %w", ending, d.failure())
		case <-ctx.Done():
			return fmt.Errorf("progressd did not say %q: %w", ending, context.Cause(ctx))
		}
	}
}

// failure is what to say of an exit that nobody asked for.
func (d *daemon) failure() error {
	if d.err == nil {
		return errors.New("exit status 0")
	}
	return d.err
}

// stop ends progressd by SIGTERM and returns what was wrong with its end.
func (d *daemon) stop() error {
	select {
	case <-d.exited:
		// Who waited for it has told why.
		return nil
	default:
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot stop progressd: %w", err)
	}
	select {
	case <-d.exited:
	case <-time.After(5 * time.Second):
		err := errors.Join(errors.New("progressd did not stop within 5s of SIGTERM"), d.cmd.Process.Kill())
		<-d.exited
		return err
	}
	if d.err != nil {
		return fmt.Errorf("progressd did not end in order: %w", d.err)
	}
	return nil
}
