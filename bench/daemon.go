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
	"time"
)

// A place is where one progressd finds its configuration, and keeps its state
// and logs.
type place struct{ config, state, logs string }

// newPlace makes one for that root. more is configuration.
func (b *bench) newPlace(root, more string) (place, error) {
	b.daemons++
	dir := filepath.Join(b.work, fmt.Sprintf("daemon-%d", b.daemons))
	p := place{config: filepath.Join(dir, "config.toml"), state: filepath.Join(dir, "state"), logs: filepath.Join(dir, "logs")}
	for _, d := range []string{p.state, p.logs} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return p, err
		}
	}
	text := fmt.Sprintf("roots = [%q]\npoll_interval = %q\n%s\n[log]\ndir = %q\n[state]\ndir = %q\n[journal]\nenabled = false\n",
		root, b.scale.interval, more, p.logs, p.state)
	return p, os.WriteFile(p.config, []byte(text), 0o644)
}

// useJournal switches the journal on, which only its own measurement does.
func (p place) useJournal() error {
	text, err := os.ReadFile(p.config)
	if err != nil {
		return err
	}
	return os.WriteFile(p.config, []byte(strings.Replace(string(text), "enabled = false", "enabled = true", 1)), 0o644)
}

// A daemon is progressd, running and ready.
type daemon struct {
	*process
	place
	// launched is when it was started, ready how long it took to say that
	// it is.
	launched time.Time
	ready    time.Duration
}

// daemonAt starts progressd there, as systemd would.
func (b *bench) daemonAt(ctx context.Context, at place) (*daemon, error) {
	address := fmt.Sprintf("@progressd-bench-%d-%d", os.Getpid(), time.Now().UnixNano())
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for readiness: %w", err)
	}
	defer func() { _ = socket.Close() }()
	cmd := exec.Command(b.progressd, "--config", at.config)
	// Under systemd standard output is the journal's, and nothing goes to a console.
	cmd.Env = append(environment(), "NOTIFY_SOCKET="+address, "JOURNAL_STREAM=1:1")
	d := &daemon{place: at, launched: time.Now()}
	if d.process, err = launch(cmd); err != nil {
		return nil, err
	}
	if err := d.hear(ctx, socket); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// hear waits for READY=1.
func (d *daemon) hear(ctx context.Context, socket *net.UnixConn) error {
	deadline := time.Now().Add(time.Minute)
	if err := socket.SetReadDeadline(deadline); err != nil {
		return err
	}
	cut := context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Now()) })
	defer cut()
	buf := make([]byte, 4096)
	for {
		n, err := socket.Read(buf)
		if err != nil {
			return fmt.Errorf("progressd did not say that it is ready: %w", err)
		}
		if strings.Contains("\n"+string(buf[:n])+"\n", "\nREADY=1\n") {
			d.ready = time.Since(d.launched)
			return nil
		}
	}
}

// environment is our own without what systemd would set.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "JOURNAL_STREAM", "NOTIFY_SOCKET", "INVOCATION_ID", "WATCHDOG_USEC", "WATCHDOG_PID",
			"LOGS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOMAXPROCS":
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

// freshDaemon starts progressd on a root that it has never seen.
func (b *bench) freshDaemon(ctx context.Context, root string) (*daemon, error) {
	at, err := b.newPlace(root, "")
	if err != nil {
		return nil, err
	}
	return b.daemonAt(ctx, at)
}
