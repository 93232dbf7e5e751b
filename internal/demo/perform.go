package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/packaging"
)

// completed is what progressd says of a model in the end.
const completed = "Model downloaded successfully"

// screen is where lines of several sources meet without being mixed.
type screen struct {
	mu sync.Mutex
	w  io.Writer
}

// say writes a line of the demo's own.
func (s *screen) say(format string, args ...any) {
	s.show("# " + fmt.Sprintf(format, args...))
}

// show writes a line as it is.
func (s *screen) show(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// With nobody to read there is nobody to tell, and still all to tidy up.
	_, _ = fmt.Fprintln(s.w, line)
}

// stage is what a performance needs while it goes on: all in one directory.
type stage struct {
	plan
	*screen
	dir    string
	hub    *hub.Hub
	daemon *daemon
}

func (s *stage) cache() string  { return filepath.Join(s.dir, "hub") }
func (s *stage) logs() string   { return filepath.Join(s.dir, "log") }
func (s *stage) config() string { return filepath.Join(s.dir, "config.toml") }

// perform shows a plan and returns nil if every model got its line of
// completion and progressd ended in order.
func perform(ctx context.Context, p plan, stdout, stderr io.Writer) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.patience, fmt.Errorf("not done after %v", p.patience))
	defer cancel()
	dir, err := os.MkdirTemp("", "progressd-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for the demo: %w", err)
	}
	s := &stage{plan: p, screen: &screen{w: stdout}, dir: dir}
	defer func() {
		if removeErr := os.RemoveAll(dir); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("cannot remove what the demo made: %w", removeErr))
			return
		}
		s.say("everything that was made is removed")
	}()
	s.say("made-up models from a hub on loopback, into a cache in %s", dir)
	if err := s.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.hub.Close()) }()
	s.say("progressd --config %s (the packaged configuration, on other paths)", s.config())
	if s.daemon, err = startDaemon(ctx, s, stderr); err != nil {
		return err
	}
	defer func() {
		if s.daemon != nil {
			err = errors.Join(err, s.daemon.stop())
		}
	}()
	if err := s.run(ctx); err != nil {
		return err
	}
	// Its end is also when every sink has written all it had.
	d := s.daemon
	s.daemon = nil
	if err := d.stop(); err != nil {
		return err
	}
	s.say("progressd stopped on SIGTERM with exit status 0; it left these log files")
	return s.showLogs()
}

// prepare starts the hub and writes the configuration.
func (s *stage) prepare() error {
	s.hub = hub.New(hub.Options{Rate: s.rate})
	if err := s.hub.Start(); err != nil {
		return err
	}
	err := s.furnish()
	if err != nil {
		err = errors.Join(err, s.hub.Close())
	}
	return err
}

func (s *stage) furnish() error {
	for _, m := range s.models {
		if _, _, err := s.hub.Publish(m.repo, "main", m.files...); err != nil {
			return err
		}
	}
	for _, dir := range []string{s.cache(), s.logs(), filepath.Join(s.dir, "state"), filepath.Join(s.dir, "bin")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make a directory for the demo: %w", err)
		}
	}
	paths := packaging.Paths{Roots: []string{s.cache()}, Logs: s.logs(), State: filepath.Join(s.dir, "state")}
	// No made-up model in the journal of whoever tries it.
	text := packaging.Config(paths) + "[journal]\nenabled = false\n"
	if err := os.WriteFile(s.config(), []byte(text), 0o644); err != nil {
		return fmt.Errorf("cannot write the demo's configuration: %w", err)
	}
	return nil
}

// run downloads all models and waits until progressd has called each of them
// complete.
func (s *stage) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range s.models {
		group.Go(func() error { return s.download(ctx, m) })
		group.Go(func() error { return s.daemon.await(ctx, m.repo.ID+": "+completed) })
	}
	return group.Wait()
}

// args are the arguments of the downloader.
func (m model) args() []string {
	args := []string{m.repo.ID}
	for _, pattern := range m.include {
		args = append(args, "--include", pattern)
	}
	return args
}

// download runs a downloader in a process of its own, so that progressd can
// see who it is.
func (s *stage) download(ctx context.Context, m model) error {
	select {
	case <-time.After(m.after):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	cmd, err := client.Command(ctx, filepath.Join(s.dir, "bin"),
		client.HH{Endpoint: s.hub.URL(), Root: s.cache(), Generation: m.generation}, m.args()...)
	if err != nil {
		return err
	}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	cmd.SysProcAttr = ownGroup()
	s.say("%s %s: %s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), m.about)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("cannot download %s: %w: %s", m.repo.ID, err, strings.TrimSpace(complaint.String()))
	}
	return nil
}

// showLogs prints the log file of every model.
func (s *stage) showLogs() error {
	for _, m := range s.models {
		path := filepath.Join(s.logs(), strings.ReplaceAll(m.repo.ID, "/", "--")+".log")
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot show the log of %s: %w", m.repo.ID, err)
		}
		s.say("%s:", filepath.Base(path))
		s.show(strings.TrimSuffix(string(text), "\n"))
		if !strings.HasSuffix(string(text), completed+"\n") {
			return fmt.Errorf("the log of %s does not end in %q", m.repo.ID, completed)
		}
	}
	return nil
}

// ownGroup keeps the terminal's Ctrl-C from a child: the demo stops it. A demo
// that is killed takes it along.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
