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
)

// configuration is the daemon's: short verdicts and small steps, so that a
// case takes seconds. The rest is as it is by default.
const configuration = `roots = ["%[1]s/homes/*/hub", "%[1]s/users/*/.cache/huggingface/hub", "%[1]s/local"]
step = "10MB"
[log]
dir = "%[1]s/log"
[state]
dir = "%[1]s/state"
[download]
stall_after = "%[2]s"
interrupt_after = "5s"
quiet_after = "3s"
`

// step is the one in the configuration, in bytes.
const step = 10_000_000

// daemon is progressd, running.
type daemon struct {
	cmd    *exec.Cmd
	stderr string
	// manager hears what it says until it has ended.
	manager *manager.Listener
}

// startDaemon returns when progressd says that it is ready, as it would to
// systemd.
func startDaemon(ctx context.Context, opts options, dir string) (*daemon, error) {
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, dir, opts.stallAfter), 0o644); err != nil {
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
