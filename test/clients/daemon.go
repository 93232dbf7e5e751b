package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"progressd/internal/manager"
	"progressd/packaging"
)

// configuration is that of the packaged service. Only the steps are smaller, a
// tenth as the models are: how often progress is told is no timing, and 282 plays
// that pass 100 MB each would write more than most machines have room for.
func configuration(dir, caches string) string {
	paths := packaging.Paths{
		Roots: []string{caches + "/homes/*/hub", caches + "/users/*/.cache/huggingface/hub", caches + "/" + localRoot},
		Logs:  dir + "/log", State: dir + "/state",
	}
	return fmt.Sprintf("step = \"%dMB\"\n", step/mb) + packaging.Config(paths)
}

// step is the one in the configuration, in bytes.
const step = 10 * mb

// What the packaged configuration waits for, in words of our own.
const (
	interruptAfter = time.Minute
	stallAfter     = 10 * time.Minute
)

// daemon is progressd, running.
type daemon struct {
	cmd    *exec.Cmd
	stderr string
	// manager hears what it says until it has ended.
	manager *manager.Listener
}

// startDaemon returns when progressd says that it is ready, as it would to
// systemd.
func startDaemon(ctx context.Context, opts options, dir, caches string) (*daemon, error) {
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, []byte(configuration(dir, caches)), 0o644); err != nil {
		return nil, err
	}
	listener, err := manager.Listen(dir)
	if err != nil {
		return nil, err
	}
	d := &daemon{manager: listener, cmd: exec.Command(opts.progressd, "--config", config), stderr: filepath.Join(dir, "daemon.stderr")}
	output, err := os.Create(d.stderr)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	d.cmd.Stdout, d.cmd.Stderr = output, output
	// As under systemd, whose journal takes what is printed: no console.
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(output.Fd()), &stat); err != nil {
		return nil, err
	}
	d.cmd.Env = append(listener.Environ(), fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino))
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start progressd: %w", err), listener.Close())
	}
	if _, err := listener.Await(ctx, 10*time.Second); err != nil {
		return nil, errors.Join(err, d.cmd.Process.Kill(), d.cmd.Wait(), listener.Close())
	}
	return d, nil
}

// stop ends progressd by SIGTERM and returns what was wrong with its end.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("cannot stop progressd: %w", err)
	}
	defer func() { _ = d.manager.Close() }()
	kill := time.AfterFunc(5*time.Second, func() { _ = d.cmd.Process.Kill() })
	defer kill.Stop()
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("progressd did not end in order: %w", err)
	}
	return nil
}
