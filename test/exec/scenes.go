package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"progressd/internal/hub"
	"progressd/internal/wait"
)

// A scene is played and returns the exit status and the lines that it must
// have led to.
type scene struct {
	name string
	play func(ctx context.Context, s *stage) (status int, lines []string, err error)
}

const (
	preparing = `\[INFO\] Preparing to download model: org/demo`
	started   = `\[INFO\] Downloading model(?:: 30.0MB in 2 files| \(this may take 10-60 minutes\))`
	success   = `\[SUCCESS\] Model downloaded successfully`
	unlisted  = `\[INFO\] No listing to check against: 30.0MB in 2 files on disk`
	failed    = `\[ERROR\] Model download failed: `
	leftovers = `(?:\[WARNING\] Leftovers of dead attempts found: .*\n)?`
)

const weights = "model.safetensors"

var scenes = []scene{
	{"success", func(ctx context.Context, s *stage) (int, []string, error) {
		_, err := s.simply(ctx)
		return 0, s.whole(), err
	}},
	{"on a terminal", onATerminal},
	{"cached", func(ctx context.Context, s *stage) (int, []string, error) {
		if _, err := s.simply(ctx); err != nil {
			return 0, nil, err
		}
		s.forget()
		_, err := s.simply(ctx)
		return 0, []string{preparing, success}, err
	}},
	{"gated", broken(hub.Fault{Status: 403, ErrorCode: "GatedRepo"}, "",
		`access to org/demo is gated; accept its terms on the hub and pass a token \(HF_TOKEN\)`)},
	{"not found", func(ctx context.Context, s *stage) (int, []string, error) {
		s.argv = []string{"download", "org/none"}
		_, err := s.simply(ctx)
		log, _ := os.ReadFile(s.path("log") + "/org--none.log")
		if !strings.Contains(string(log), "[ERROR] Model download failed: org/none was not found on the hub, or is private") {
			err = errors.Join(err, fmt.Errorf("it isn't told: %s", log))
		}
		s.silence()
		return 1, nil, errors.Join(err, os.RemoveAll(s.path("log")))
	}},
	{"file not found", broken(hub.Fault{}, "nothing.bin", `a file that was asked for is not in org/demo; check its name`)},
	{"unauthorized", broken(hub.Fault{Status: 401}, "", `.*(?:token|was not found on the hub).*`)},
	{"limited, then success", func(ctx context.Context, s *stage) (int, []string, error) {
		s.hub.Break(s.repo, weights, hub.Fault{Status: 429, RetryAfter: "1", Times: 1})
		status, err := s.simply(ctx)
		if s.resumes && status == 0 {
			return 0, s.whole(), err
		}
		return 1, []string{preparing, `(?:` + started + `\n)?` + leftovers + failed + `the hub refuses more requests for now; .*`}, err
	}},
	{"cut", func(ctx context.Context, s *stage) (int, []string, error) {
		s.hub.Break(s.repo, weights, hub.Fault{CutAt: 15 * mb, Times: 1})
		_, err := s.simply(ctx)
		if s.resumes {
			return 0, s.whole(), err
		}
		return 1, []string{preparing, started, "...", leftovers + failed + `.*(?:can't be reached|exit status 1).*`}, err
	}},
	{"the hub dies", func(ctx context.Context, s *stage) (int, []string, error) {
		gate := hub.NewGate()
		s.hub.Break(s.repo, weights, hub.Fault{Gate: gate, GateAt: 15 * mb})
		if err := s.start(ctx); err != nil {
			return 0, nil, err
		}
		err := s.says(ctx, "Download")
		<-gate.Reached()
		err = errors.Join(err, s.hub.Close())
		s.end()
		return 1, []string{preparing, started, "...", leftovers + failed + `.*(?:can't be reached|not all is cached|does not answer in time|exit status 1).*`}, err
	}},
	{"disk full", diskFull},
	{"the client is killed", func(ctx context.Context, s *stage) (int, []string, error) {
		err := s.inTheMiddle(ctx, func() error { return s.kill(syscall.SIGKILL) })
		return 137, []string{preparing, started, "...", leftovers + failed + `(?:hf|huggingface-cli) was killed by SIGKILL`}, err
	}},
	{"SIGTERM", func(ctx context.Context, s *stage) (int, []string, error) {
		err := s.inTheMiddle(ctx, func() error { return s.cmd.Process.Signal(syscall.SIGTERM) })
		return 143, []string{preparing, started, "...", leftovers + failed + `stopped by SIGTERM`}, err
	}},
	{"a script that nobody understands", func(ctx context.Context, s *stage) (int, []string, error) {
		s.argv = []string{"-c", s.program + " download org/demo; true"}
		s.program = "/bin/sh"
		_, err := s.simply(ctx)
		return 0, s.whole(), err
	}},
}

// whole are the lines of a download to its end.
func (s *stage) whole() []string {
	if s.listing {
		return []string{preparing, started, "...", success}
	}
	return []string{preparing, started, "...", unlisted, success}
}

// forget removes what was logged so far.
func (s *stage) forget() {
	_ = os.RemoveAll(s.path("log"))
	s.out, s.err = buffer{}, buffer{}
}

// silence forgets what was printed, where a scene has looked at it itself.
func (s *stage) silence() { s.out, s.err = buffer{}, buffer{} }

// broken is a download that fails before its first byte, of a fault of the
// hub or for a file that isn't there.
func broken(fault hub.Fault, file, cause string) func(context.Context, *stage) (int, []string, error) {
	return func(ctx context.Context, s *stage) (int, []string, error) {
		if file != "" {
			s.argv = append(s.argv, file)
		} else {
			s.hub.Break(s.repo, "", fault)
		}
		_, err := s.simply(ctx)
		return 1, []string{preparing, failed + cause}, err
	}
}

// inTheMiddle does something when half of it has come.
func (s *stage) inTheMiddle(ctx context.Context, do func() error) error {
	gate := hub.NewGate()
	s.hub.Break(s.repo, weights, hub.Fault{Gate: gate, GateAt: 15 * mb})
	if err := s.start(ctx); err != nil {
		return err
	}
	err := s.says(ctx, "10.")
	if err == nil {
		err = do()
	}
	s.end()
	return err
}

func diskFull(ctx context.Context, s *stage) (int, []string, error) {
	if err := os.Mkdir(s.path("hub"), 0o755); err != nil {
		return 0, nil, err
	}
	if err := syscall.Mount("tmpfs", s.path("hub"), "tmpfs", 0, "size=16m"); err != nil {
		return 0, nil, fmt.Errorf("cannot mount a small disk: %w", err)
	}
	_, err := s.simply(ctx)
	return 1, []string{
		preparing, started + `(?:\n\[WARNING\] Disk space (?:is|may be) short: .*)?`, "...",
		leftovers + failed + `the disk is full; make room .*`,
	}, errors.Join(err, syscall.Unmount(s.path("hub"), 0))
}

// onATerminal compares the screen with that of the client alone: its bars are
// there, nothing of ours is, and it ends with the same words.
func onATerminal(ctx context.Context, s *stage) (int, []string, error) {
	s.terminal = true
	_, err := s.simply(ctx)
	_ = wait.For(ctx, 100*time.Millisecond)
	screen := s.out.String()
	for _, want := range []string{"Fetching 2 files", "100%", "\r"} {
		if !strings.Contains(screen, want) {
			err = errors.Join(err, fmt.Errorf("the screen lacks %q", want))
		}
	}
	if strings.Contains(screen, "[INFO]") {
		err = errors.Join(err, errors.New("lines of ours on the screen"))
	}
	return 0, s.whole(), err
}
