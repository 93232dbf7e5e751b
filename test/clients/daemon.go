package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
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
stall_after = "15s"
interrupt_after = "5s"
quiet_after = "3s"
`

// step is the one in the configuration, in bytes.
const step = 10_000_000

// daemon is progressd, running.
type daemon struct {
	cmd    *exec.Cmd
	stderr string
	// notify takes what it tells systemd, until it has ended.
	notify *net.UnixConn
}

// startDaemon returns when progressd says that it is ready, as it would to
// systemd.
func startDaemon(ctx context.Context, binary, dir string) (*daemon, error) {
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, dir), 0o644); err != nil {
		return nil, err
	}
	address := "@" + dir + "/notify"
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for progressd's readiness: %w", err)
	}
	d := &daemon{notify: socket, cmd: exec.Command(binary, "--config", config), stderr: filepath.Join(dir, "daemon.stderr")}
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
	d.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+address, fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino))
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start progressd: %w", err)
	}
	if err := awaitReady(ctx, socket); err != nil {
		return nil, errors.Join(err, d.cmd.Process.Kill(), d.cmd.Wait(), socket.Close())
	}
	go drain(socket)
	return d, nil
}

func awaitReady(ctx context.Context, socket *net.UnixConn) error {
	deadline := time.Now().Add(10 * time.Second)
	if err := socket.SetReadDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Now()) })
	defer stop()
	buf := make([]byte, 4096)
	for {
		n, err := socket.Read(buf)
		if err != nil {
			return fmt.Errorf("progressd did not say that it is ready: %w", err)
		}
		for line := range strings.Lines(string(buf[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return nil
			}
		}
	}
}

// drain hears what is of no interest, until the socket is closed.
func drain(socket *net.UnixConn) {
	if err := socket.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	for buf := make([]byte, 4096); ; {
		if _, err := socket.Read(buf); err != nil {
			return
		}
	}
}

// stop ends progressd by SIGTERM and returns what was wrong with its end.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("cannot stop progressd: %w", err)
	}
	defer func() { _ = d.notify.Close() }()
	kill := time.AfterFunc(5*time.Second, func() { _ = d.cmd.Process.Kill() })
	defer kill.Stop()
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("progressd did not end in order: %w", err)
	}
	return nil
}
