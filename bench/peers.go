package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"progressd/internal/manager"
	"progressd/internal/wait"
)

//go:embed original.py
var originalProgram string

// The names of the peers, as the tables show them.
const (
	us       = "progressd"
	original = "original way (Python rglob)"
	du       = "du -sb"
	plain    = "plain watcher"
)

// findPython gives the interpreter itself: what python3 names may be a script
// that chooses one.
func findPython(ctx context.Context) string {
	path := oneLine(ctx, "python3", "-c", "import sys; print(sys.executable)")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func (b *bench) originalCommand(root string, pause time.Duration, walks int) *exec.Cmd {
	return exec.Command(b.python, "-c", originalProgram, root,
		strconv.FormatFloat(pause.Seconds(), 'f', -1, 64), strconv.Itoa(walks))
}

// walkCost is what walks took, each.
type walkCost struct {
	cpu, wall series
	mem       footprint
}

// originalWalks measures the original way: the processor time and duration of
// each walk, between which it rests as it did.
func (b *bench) originalWalks(ctx context.Context, root string, walks int) (c walkCost, err error) {
	if b.python == "" {
		return c, nil
	}
	cmd := b.originalCommand(root, b.scale.interval, walks)
	in, err := cmd.StdinPipe()
	if err != nil {
		return c, err
	}
	defer in.Close()
	began := time.Now()
	p, err := launch(cmd)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	var before time.Duration
	for n := range walks {
		if n > 0 { // that it rests is not part of a walk
			began = began.Add(b.scale.interval)
		}
		if _, err := p.line(ctx); err != nil {
			return c, err
		}
		now, err := p.cpu()
		if err != nil {
			return c, err
		}
		c.cpu, c.wall = append(c.cpu, (now-before).Seconds()), append(c.wall, time.Since(began).Seconds())
		before, began = now, time.Now()
	}
	c.mem, err = p.memory()
	return c, err
}

// duWalks measures du, a process for each walk.
func (b *bench) duWalks(ctx context.Context, root string, walks int) (c walkCost, err error) {
	for n := range walks {
		if n > 0 {
			if err := wait.For(ctx, b.scale.interval); err != nil {
				return c, err
			}
		}
		cmd := exec.CommandContext(ctx, "du", "-sb", root)
		took, peak, err := runToEnd(cmd)
		if err != nil {
			return c, err
		}
		c.wall = append(c.wall, took.Seconds())
		c.cpu = append(c.cpu, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
		c.mem.peak = max(c.mem.peak, peak)
	}
	return c, nil
}

// plainAt starts the plain watcher and returns when all is watched, and how
// long that took.
func (b *bench) plainAt(ctx context.Context, root string) (*process, time.Duration, error) {
	began := time.Now()
	cmd := exec.Command(b.self, "plain-watcher", root)
	cmd.Env = manager.Environ()
	p, err := launch(cmd)
	if err != nil {
		return nil, 0, err
	}
	if _, err := p.line(ctx); err != nil {
		return nil, 0, errors.Join(err, p.stop())
	}
	return p, time.Since(began), nil
}

// plainWatcher is what one would write at first: a watch on every directory,
// and a stat of whatever an event names.
func plainWatcher(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: plain-watcher ROOT")
	}
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch: %w", err)
	}
	defer func() { _ = watch.Close() }()
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	if err := watchAll(watch, args[0]); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "READY")
	sizes := make(map[string]int64)
	for {
		select {
		case <-stopped:
			return nil
		case err := <-watch.Errors:
			fmt.Fprintln(os.Stderr, "plain watcher:", err)
		case e := <-watch.Events:
			st, err := os.Lstat(e.Name)
			switch {
			case err != nil:
				delete(sizes, e.Name)
			case st.IsDir() && e.Has(fsnotify.Create):
				_ = watchAll(watch, e.Name) // it may be gone already
			case st.Mode().IsRegular():
				sizes[e.Name] = st.Size()
			}
		}
	}
}

func watchAll(watch *fsnotify.Watcher, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return watch.Add(path)
	})
}

// A tally is how many system calls were made: of all kinds, and stats.
type tally struct{ all, stats float64 }

// perfOf counts the system calls of a running process for a while, or of a
// command that is run to its end. It reports false where perf isn't to be had.
func perfOf(ctx context.Context, args ...string) (tally, bool) {
	args = append([]string{"stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-e", "syscalls:sys_enter_newfstatat"}, args...)
	cmd := exec.CommandContext(ctx, "perf", args...)
	var report strings.Builder
	cmd.Stderr = &report
	if err := cmd.Run(); err != nil {
		return tally{}, false
	}
	var t tally
	found := 0
	for line := range strings.Lines(report.String()) {
		fields := strings.Split(line, ",")
		if len(fields) < 3 {
			continue
		}
		n, err := strconv.ParseFloat(fields[0], 64)
		switch {
		case err != nil:
		case fields[2] == "raw_syscalls:sys_enter":
			t.all = n
			found++
		case fields[2] == "syscalls:sys_enter_newfstatat":
			t.stats = n
			found++
		}
	}
	return t, found == 2
}

func (p *process) syscalls(ctx context.Context, d time.Duration) (tally, bool) {
	return perfOf(ctx, "-p", strconv.Itoa(p.cmd.Process.Pid), "--", "sleep",
		strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
}
