package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"progressd/internal/manager"
)

// A place is where one progressd finds its configuration, and keeps its state
// and logs.
type place struct{ config, state, logs string }

// newPlace makes one for those roots. more is configuration.
func (b *bench) newPlace(more string, roots ...string) (place, error) {
	b.daemons++
	dir := filepath.Join(b.work, fmt.Sprintf("daemon-%d", b.daemons))
	p := place{config: filepath.Join(dir, "config.toml"), state: filepath.Join(dir, "state"), logs: filepath.Join(dir, "logs")}
	for _, d := range []string{p.state, p.logs} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return p, err
		}
	}
	quoted := make([]string, len(roots))
	for i, root := range roots {
		quoted[i] = strconv.Quote(root)
	}
	text := fmt.Sprintf("roots = [%s]\npoll_interval = %q\n%s\n[log]\ndir = %q\n[state]\ndir = %q\n[journal]\nenabled = false\n",
		strings.Join(quoted, ", "), b.scale.interval, more, p.logs, p.state)
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
	manager *manager.Listener
	// launched is when it was started, ready how long it took to say that
	// it is.
	launched time.Time
	ready    time.Duration
}

// daemonAt starts progressd there, as systemd would.
func (b *bench) daemonAt(ctx context.Context, at place) (*daemon, error) {
	return daemonBy(ctx, at, exec.Command(b.progressd, "--config", at.config))
}

// daemonBy starts it by a command of its own, which may have an environment already.
func daemonBy(ctx context.Context, at place, cmd *exec.Cmd) (*daemon, error) {
	listener, err := manager.Listen(filepath.Dir(at.config))
	if err != nil {
		return nil, err
	}
	// Under systemd standard output is the journal's, and nothing goes to a console.
	cmd.Env = append(append(listener.Environ(), "JOURNAL_STREAM=1:1"), cmd.Env...)
	d := &daemon{place: at, manager: listener, launched: time.Now()}
	if d.process, err = launchLate(cmd, unitSlack); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	ready, err := listener.Await(ctx, time.Minute)
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	d.ready = ready.Sub(d.launched)
	return d, nil
}

// slimAfter is how long after its launch progressd has given back what its start
// took: it does so 10 s after it has come to rest, at some hundred thousand
// repositories later than this.
const slimAfter = 14 * time.Second

// untilSlim is how long that is still to come.
func (d *daemon) untilSlim() time.Duration { return max(0, slimAfter-time.Since(d.launched)) }

// stop ends it; who hears its status until then goes after it.
func (d *daemon) stop() error { return errors.Join(d.process.stop(), d.manager.Close()) }

// freshDaemon starts progressd on roots that it has never seen.
func (b *bench) freshDaemon(ctx context.Context, roots ...string) (*daemon, error) {
	at, err := b.newPlace("", roots...)
	if err != nil {
		return nil, err
	}
	return b.daemonAt(ctx, at)
}
