package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"

	"progressd/hfcache"
	"progressd/internal/hub"
	"progressd/internal/wait"
)

const mb = 1_000_000

// A stage is what one scene is played on.
type stage struct {
	release
	program string // the client
	dir     string
	hub     *hub.Hub
	repo    hfcache.Repo
	env     []string
	argv    []string // of the client, behind its name
	opts    options
	// terminal: it is started on one.
	terminal bool
	cmd      *exec.Cmd
	films    int // that were made in a terminal
	out, err buffer
}

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

const patience = time.Minute

// onStage plays something with a hub, a model and a directory of its own.
func onStage(ctx context.Context, opts options, r release, program string, do func(context.Context, *stage) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s := &stage{release: r, program: program, opts: opts, repo: hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}}
	if s.dir, err = os.MkdirTemp("", "progressctl-exec-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	s.hub = hub.New(hub.Options{FileRate: 20 * mb})
	if err := s.hub.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.hub.Close()) }()
	if _, _, err := s.hub.Publish(s.repo, "main",
		hub.File{Path: "config.json", Size: 700},
		hub.File{Path: "model.safetensors", Size: 30 * mb, Storage: hub.LFS}); err != nil {
		return err
	}
	s.argv = []string{"download", s.repo.ID}
	config := fmt.Sprintf("step = \"10MB\"\n[log]\ndir = %q\n[state]\ndir = %q\n[journal]\nenabled = false\n", s.path("log"), s.path("state"))
	if err := os.WriteFile(s.path("config.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	return do(ctx, s)
}

func play(ctx context.Context, s *stage, sc scene) error {
	status, lines, err := sc.play(ctx, s)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.story())
	}
	return s.judge(status, lines)
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// environment is that of the client, and of progressctl.
func (s *stage) environment() []string {
	env := append(os.Environ(),
		"HF_ENDPOINT="+s.hub.URL(), "HF_HOME="+s.path("home"), "HF_HUB_CACHE="+s.path("hub"), "HF_HUB_DISABLE_TELEMETRY=1",
		"HF_HUB_DISABLE_UPDATE_CHECK=1", "DO_NOT_TRACK=1", "HF_HUB_DISABLE_XET=1", "HF_HUB_DOWNLOAD_TIMEOUT=3", "JOURNAL_STREAM=", "HF_TOKEN=")
	return append(env, s.env...)
}

// start runs the client under progressctl exec.
func (s *stage) start(ctx context.Context) error {
	args := append([]string{"exec", "--config", s.path("config.toml"), "--", s.program}, s.argv...)
	s.cmd = exec.CommandContext(ctx, s.opts.progressctl, args...)
	s.cmd.Env = s.environment()
	if !s.terminal {
		s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.err
		return s.cmd.Start()
	}
	terminal, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 30, Cols: 120})
	if err != nil {
		return err
	}
	go func() { _, _ = io.Copy(&s.out, terminal) }()
	return nil
}

// end waits for the end and returns the exit status.
func (s *stage) end() int {
	_ = s.cmd.Wait() // the status says it
	return s.status()
}

// status is how it has ended, as a shell says it.
func (s *stage) status() int {
	if how, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && how.Signaled() {
		return 128 + int(how.Signal())
	}
	return s.cmd.ProcessState.ExitCode()
}

// simply is a scene in which nobody does anything.
func (s *stage) simply(ctx context.Context) (int, error) {
	if err := s.start(ctx); err != nil {
		return 0, err
	}
	return s.end(), nil
}

func (s *stage) log() string {
	text, _ := os.ReadFile(filepath.Join(s.path("log"), "org--demo.log"))
	return string(text)
}

// says waits for a line in the model's log.
func (s *stage) says(ctx context.Context, text string) error {
	for !strings.Contains(s.log(), text) {
		if err := wait.For(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("the log never says %q", text)
		}
	}
	return nil
}

// client is the pid of the client.
func (s *stage) client() (int, error) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.cmd.Process.Pid, s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	for _, path := range all {
		if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
			children = text
		}
	}
	pid := 0
	_, err = fmt.Sscan(string(children), &pid)
	return pid, err
}

func (s *stage) kill(sig syscall.Signal) error {
	pid, err := s.client()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}

func (s *stage) story() string {
	return fmt.Sprintf("exit status %d\nstdout:\n%s\nstderr:\n%s\nlog:\n%s", s.status(), s.out.String(), s.err.String(), s.log())
}

var clock = regexp.MustCompile(`(?m)^\[\d\d:\d\d:\d\d [AP]M\] `)

// judge holds the log against the lines that must be in it, in this order and
// with nothing in between but what the client printed. "..." stands for any
// lines of progress.
func (s *stage) judge(status int, lines []string) error {
	if got := s.status(); got != status {
		return fmt.Errorf("exit status %d, want %d\n%s", got, status, s.story())
	}
	log := clock.ReplaceAllString(s.log(), "")
	printed := regexp.MustCompile(`(?m)^\[(?:INFO|WARNING)\] (?:hf|huggingface-cli|sh): .*\n`)
	pattern := "^"
	for _, line := range lines {
		if line == "..." {
			pattern += `(?:\[INFO\] (?:Download progress: |Downloaded \d|Still downloading: ).*\n)*`
			continue
		}
		pattern += line + "\n"
	}
	if !regexp.MustCompile(pattern + "$").MatchString(printed.ReplaceAllString(log, "")) {
		return fmt.Errorf("the log is not as\n%s\n%s", strings.Join(lines, "\n"), s.story())
	}
	return s.passed(log)
}

// passed checks that nothing of ours is on standard output, and that the lines
// are on standard error unless that is a terminal.
func (s *stage) passed(log string) error {
	ours := regexp.MustCompile(`(?m)^\[\d\d:\d\d:\d\d [AP]M\] \[[A-Z]+\] `)
	if ours.MatchString(s.out.String()) {
		return fmt.Errorf("lines of ours among the client's output\n%s", s.story())
	}
	if got, want := len(ours.FindAllString(s.err.String(), -1)), strings.Count(log, "\n"); !s.terminal && got != want {
		return fmt.Errorf("%d lines on standard error, %d in the log\n%s", got, want, s.story())
	}
	return nil
}
