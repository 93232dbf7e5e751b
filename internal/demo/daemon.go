package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"progressd/internal/manager"
)

// daemon is progressd, running.
type daemon struct {
	cmd *exec.Cmd
	// exited is closed when it has ended with err and all it printed is read.
	exited chan struct{}
	err    error
	// manager hears that it is ready.
	manager *manager.Listener

	mu    sync.Mutex
	lines []string
	grown chan struct{} // closed and replaced with every line
}

// startDaemon starts progressd, shows its lines as they come and returns when
// it says that it watches.
func startDaemon(ctx context.Context, s *stage, stderr io.Writer) (*daemon, error) {
	listener, err := manager.Listen(s.dir)
	if err != nil {
		return nil, err
	}
	d := &daemon{exited: make(chan struct{}), manager: listener, grown: make(chan struct{})}
	d.cmd = exec.Command(s.progressd, "--config", s.config())
	d.cmd.Env = listener.Environ()
	d.cmd.Stderr = stderr
	d.cmd.SysProcAttr = ownGroup()
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot read from progressd: %w", err), listener.Close())
	}
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start progressd: %w", err), listener.Close())
	}
	go d.follow(stdout, s.screen)
	if _, err := listener.Await(ctx, 10*time.Second); err != nil {
		select {
		case <-d.exited:
			return nil, fmt.Errorf("%w: %w", err, d.failure())
		default:
			return nil, errors.Join(err, d.stop())
		}
	}
	return d, nil
}

// follow shows and keeps every line until progressd has ended.
func (d *daemon) follow(stdout io.Reader, s *screen) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		s.show(lines.Text())
		d.mu.Lock()
		d.lines = append(d.lines, lines.Text())
		close(d.grown)
		d.grown = make(chan struct{})
		d.mu.Unlock()
	}
	d.err = d.cmd.Wait()
	close(d.exited)
	_ = d.manager.Close() // who waits for readiness shall know of the end by now
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
