package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"progressd/internal/manager"
)

// strike is a signal that the daemon was sent.
type strike struct {
	at  time.Time
	sig syscall.Signal
}

// uptime is a time in which the daemon ran.
type uptime struct{ from, to time.Time }

// daemon is progressd, and who kills it.
type daemon struct {
	world       *world
	bin, config string
	// aim asks for a kill about now, because something is about to be told.
	aim chan struct{}

	cmd    *exec.Cmd
	stderr *os.File
	exited chan error
	ready  <-chan struct{} // closed when it has said that it watches

	mu      sync.Mutex
	strikes []strike
	uptimes []uptime
}

func newDaemon(w *world, bin, config string) *daemon {
	return &daemon{world: w, bin: bin, config: config, aim: make(chan struct{})}
}

func (d *daemon) stderrPath() string { return filepath.Join(d.world.dir, "progressd.stderr") }

func (d *daemon) start() error {
	stderr, err := os.OpenFile(d.stderrPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot keep what progressd says: %w", err)
	}
	d.cmd = exec.Command(d.bin, "--config", d.config)
	d.cmd.Stderr = stderr
	d.cmd.SysProcAttr = ownGroup()
	listener, err := manager.Listen(d.world.dir)
	if err != nil {
		return errors.Join(err, stderr.Close())
	}
	d.cmd.Env = listener.Environ()
	if err := d.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("cannot start progressd: %w", err), stderr.Close(), listener.Close())
	}
	d.stderr, d.exited, d.ready = stderr, make(chan error, 1), listener.Ready()
	go func(cmd *exec.Cmd, exited chan<- error) {
		err := cmd.Wait()
		exited <- errors.Join(err, listener.Close())
	}(d.cmd, d.exited)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.uptimes = append(d.uptimes, uptime{from: time.Now()})
	return nil
}

// isReady reports whether the daemon watches, and so heeds signals.
func (d *daemon) isReady() bool {
	select {
	case <-d.ready:
		return true
	default:
		return false
	}
}

// ownGroup keeps the terminal's Ctrl-C from a child. A soak that is killed
// takes it along.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// supervise kills the daemon at random and starts it again at once, until ctx
// is done.
func (d *daemon) supervise(ctx context.Context, rng *rand.Rand) error {
	pace := d.world.pace
	for turn, rests := time.Now(), 0; ; {
		wait, aim := between(rng, 200*time.Millisecond, 3*time.Second), d.aim
		if time.Since(turn) > pace.storm {
			wait, aim = pace.rest(rng, rests), nil
			turn, rests = time.Now().Add(wait), rests+1
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.exited:
			d.world.blame(nil, "progressd (pid %d) ended by itself: %v", d.cmd.Process.Pid, err)
			if err := d.again(); err != nil {
				return err
			}
			continue
		case <-aim:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(between(rng, 0, 700*time.Millisecond)):
			}
		case <-time.After(wait):
		}
		sig := pick(rng)
		if !d.isReady() { // as systemd does, which waits for it before it asks
			sig = syscall.SIGKILL
		}
		if err := d.strike(sig); err != nil {
			return err
		}
	}
}

// rest is how long there is peace: long enough for any verdict of waiting, and every
// other time until one of those is about to be written.
func (p pace) rest(rng *rand.Rand, n int) time.Duration {
	due := p.interrupt
	if rng.IntN(3) == 0 {
		due = p.quiet
	}
	if n%2 == 0 {
		return due + between(rng, 0, 1500*time.Millisecond)
	}
	return p.peace
}

// pick chooses how the daemon is disturbed.
func pick(rng *rand.Rand) syscall.Signal {
	switch n := rng.IntN(100); {
	case n < 80:
		return syscall.SIGKILL
	case n < 90:
		return syscall.SIGTERM
	default:
		return syscall.SIGHUP
	}
}

// orderly is how long progressd may take to stop when it is asked to: 2 s,
// and what a loaded machine adds.
const orderly = 4 * time.Second

// strike sends a signal; what ends the daemon is followed by a new one.
func (d *daemon) strike(sig syscall.Signal) error {
	now := time.Now()
	d.mu.Lock()
	d.strikes = append(d.strikes, strike{now, sig})
	d.mu.Unlock()
	// Beside what progressd says, for who has to find out why.
	_, _ = fmt.Fprintf(d.stderr, "soak: %s %v for %d\n", now.Format(clock), sig, d.cmd.Process.Pid)
	if err := d.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot send progressd a signal: %w", err)
	}
	if sig == syscall.SIGHUP {
		return nil
	}
	d.awaitExit(sig)
	return d.again()
}

// awaitExit waits for the end of a daemon that was sent a signal, and says
// what was wrong with it.
func (d *daemon) awaitExit(sig syscall.Signal) {
	select {
	case err := <-d.exited:
		if sig == syscall.SIGTERM && err != nil {
			d.world.blame(nil, "progressd did not end in order on SIGTERM: %v", err)
		}
	case <-time.After(orderly):
		d.world.blame(nil, "progressd did not end within %v of %v", orderly, sig)
		_ = d.cmd.Process.Kill()
		err := <-d.exited
		d.world.blame(nil, "it had to be killed: %v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.uptimes[len(d.uptimes)-1].to = time.Now()
	_ = d.stderr.Close()
}

func (d *daemon) again() error {
	d.mu.Lock()
	if last := &d.uptimes[len(d.uptimes)-1]; last.to.IsZero() {
		last.to = time.Now()
	}
	d.mu.Unlock()
	return d.start()
}

// stop ends the daemon as systemd would.
func (d *daemon) stop() {
	select {
	case <-d.ready:
	case err := <-d.exited:
		d.world.blame(nil, "progressd ended by itself: %v", err)
		return
	case <-time.After(orderly):
		d.world.blame(nil, "progressd did not say within %v that it is ready", orderly)
	}
	if d.cmd.Process.Signal(syscall.SIGTERM) != nil {
		d.world.blame(nil, "progressd ended by itself: %v", <-d.exited)
		return
	}
	d.awaitExit(syscall.SIGTERM)
}

// hint asks for a kill now, if that is possible.
func (d *daemon) hint() {
	select {
	case d.aim <- struct{}{}:
	default:
	}
}

// startUp is how long a daemon takes to look at everything again.
const startUp = 700 * time.Millisecond

// watched is the longest time without a kill in which the daemon looked,
// between two moments.
func (d *daemon) watched(from, to time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	var most time.Duration
	for _, up := range d.uptimes {
		end := up.to
		if end.IsZero() || end.After(to) {
			end = to
		}
		begin := up.from.Add(startUp)
		if begin.Before(from) {
			begin = from
		}
		most = max(most, end.Sub(begin))
	}
	return most
}

// killedBetween reports whether a kill may have lost a line that was due
// between two moments.
func (d *daemon) killedBetween(from, to time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.strikes {
		if s.sig == syscall.SIGKILL && s.at.After(from) && s.at.Before(to) {
			return true
		}
	}
	return false
}
