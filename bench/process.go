package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"progressd/internal/wait"
)

// A process is a program that runs beside us and whose costs can be read.
type process struct {
	cmd *exec.Cmd
	// lines are those of its standard output; closed at its end.
	lines  chan string
	exited chan struct{}
	err    error
}

// launch starts a program. What it prints comes by lines, which the caller
// must read unless it prints nothing.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, lines: make(chan string, 1024), exited: make(chan struct{})}
	// If the bench dies, so do those that it measures.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	go p.follow(out)
	return p, nil
}

// unitSlack is TimerSlackNSec= of the unit.
const unitSlack = 5 * time.Millisecond

// launchLate is launch of a program whose timers may be late by so much.
func launchLate(cmd *exec.Cmd, slack time.Duration) (*process, error) {
	// A new process has the slack of the thread that made it, as its default.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot set the slack of timers: %w", err)
	}
	p, err := launch(cmd)
	return p, errors.Join(err, unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)) // 0 is the own default again
}

func (p *process) follow(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.lines <- lines.Text()
	}
	p.err = p.cmd.Wait()
	close(p.lines)
	close(p.exited)
}

// line waits for the next line of output.
func (p *process) line(ctx context.Context) (string, error) {
	select {
	case line, ok := <-p.lines:
		if !ok {
			return "", fmt.Errorf("%s ended early: %w", p.cmd.Path, orExit0(p.err))
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func orExit0(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// stop ends it and waits until it has ended.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	go func() { // what nobody reads any more must not hold it up
		for range p.lines {
		}
	}()
	select {
	case <-p.exited:
		return nil
	case <-time.After(10 * time.Second):
		err := p.cmd.Process.Kill()
		<-p.exited
		return errors.Join(fmt.Errorf("%s did not stop within 10s", p.cmd.Path), err)
	}
}

// cpu is the processor time that all its threads have used, to the nanosecond:
// /proc/PID/stat counts hundredths of a second.
func (p *process) cpu() (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED of the kernel's posix-timers.h
	clock := ^int32(p.cmd.Process.Pid)<<3 | schedClock
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("cannot read the processor time of %s: %w", p.cmd.Path, err)
	}
	return time.Duration(ts.Nano()), nil
}

// A footprint is memory in bytes.
type footprint struct {
	resident, peak float64
	// own is the part of resident that is no program text.
	own float64
}

func (p *process) memory() (footprint, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return footprint{}, fmt.Errorf("cannot read the memory of %s: %w", p.cmd.Path, err)
	}
	var f footprint
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		into := map[string]*float64{"VmRSS": &f.resident, "VmHWM": &f.peak, "RssAnon": &f.own}[key]
		if into == nil {
			continue
		}
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return f, fmt.Errorf("cannot read %s of %s: %w", key, p.cmd.Path, err)
		}
		*into = kb * 1024
	}
	return f, nil
}

// settle waits until it rests: until three half seconds have passed in each of
// which it used less than a tenth of a core. A poll is less.
func (p *process) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	before, err := p.cpu()
	for calm := 0; calm < 3 && err == nil; {
		if err := wait.For(ctx, 500*time.Millisecond); err != nil {
			return fmt.Errorf("%s does not come to rest: %w", p.cmd.Path, err)
		}
		var now time.Duration
		now, err = p.cpu()
		calm++
		if now-before > 50*time.Millisecond {
			calm = 0
		}
		before = now
	}
	return err
}

// watched waits until it has so many inotify watches.
func (p *process) watched(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for p.watches() < n {
		if err := wait.For(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("%s has %d of %d watches: %w", p.cmd.Path, p.watches(), n, err)
		}
	}
	return nil
}

// windows measures the processor time of n intervals.
func (p *process) windows(ctx context.Context, n int, interval time.Duration) (series, error) {
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	var used series
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		now, err := p.cpu()
		if err != nil {
			return nil, err
		}
		used = append(used, (now - before).Seconds())
		before = now
	}
	return used, nil
}

// watches counts the inotify watches that a process holds.
func (p *process) watches() int {
	dir := fmt.Sprintf("/proc/%d/fdinfo", p.cmd.Process.Pid)
	entries, _ := os.ReadDir(dir)
	n := 0
	for _, e := range entries {
		text, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil { // closed meanwhile
			continue
		}
		n += strings.Count(string(text), "inotify wd:")
	}
	return n
}

// runToEnd runs a program, and tells how long that took and the most memory
// that it had, in bytes.
func runToEnd(cmd *exec.Cmd) (took time.Duration, peak float64, err error) {
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	ended, highest := make(chan struct{}), make(chan float64)
	go func() { highest <- (&process{cmd: cmd}).highest(ended) }()
	err = cmd.Wait()
	took = time.Since(began)
	close(ended)
	if err != nil {
		err = fmt.Errorf("cannot run %s: %w", cmd.Path, err)
	}
	return took, <-highest, err
}

// highest is the most memory that the process has had, as seen each 20 ms until
// it has ended. What wait4 says of that is the peak of the bench itself, where
// that is higher: until it becomes another program, a child shares its memory.
func (p *process) highest(ended <-chan struct{}) (peak float64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if mem, err := p.memory(); err == nil {
			peak = max(peak, mem.peak)
		}
		select {
		case <-ended:
			return peak
		case <-tick.C:
		}
	}
}
