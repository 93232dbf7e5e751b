package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"progressd/internal/hub"
	"progressd/internal/wait"
)

// A screenScene is played twice in a real terminal (tmux) that a shell runs
// in: with the client alone, and with the client under progressctl exec. What
// the terminal shows has to be the same, colours and cursor too.
type screenScene struct {
	name string
	// act does something in the middle of the download, which goes on then.
	act func(ctx context.Context, t *terminal) error
}

var screenScenes = []screenScene{
	{"the screen", func(ctx context.Context, t *terminal) error {
		return t.picture(ctx, "in the middle")
	}},
	{"the screen, made smaller", func(ctx context.Context, t *terminal) error {
		return errors.Join(t.tmux("resize-window", "-t", "t", "-x", "70", "-y", "20"), t.picture(ctx, "smaller"))
	}},
	{"the screen, Ctrl-C", func(ctx context.Context, t *terminal) error {
		err := t.tmux("send-keys", "-t", "t", "C-c")
		// Files in flight are let go when the key has surely come. What is
		// shown of it is drawn over at once.
		return errors.Join(err, wait.For(ctx, time.Second), t.rests(ctx, new(string)))
	}},
	{"the screen, Ctrl-Z and fg", func(ctx context.Context, t *terminal) error {
		err := t.tmux("send-keys", "-t", "t", "C-z")
		return errors.Join(err, t.shows(ctx, "Stopped"), t.prompts(ctx), t.tmux("send-keys", "-t", "t", "echo stopped with $?", "Enter"),
			t.shows(ctx, "\nstopped with "), t.picture(ctx, "stopped"),
			t.tmux("send-keys", "-t", "t", "clear; fg", "Enter"), t.rests(ctx, new(string)))
	}},
}

// A terminal is one of tmux, with a shell and a server of its own.
type terminal struct {
	socket string
	gate   *hub.Gate
	// pictures are what it showed, by what was done before.
	pictures []string
}

// tmux gives the server a command.
func (t *terminal) tmux(args ...string) error {
	_, err := t.ask(args...)
	return err
}

func (t *terminal) ask(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-S", t.socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %q: %w: %s", args, err, out)
	}
	return string(out), nil
}

// shows waits until a text is on the screen, also over a line's end that is none.
func (t *terminal) shows(ctx context.Context, text string) error {
	for {
		screen, err := t.ask("capture-pane", "-t", "t", "-p", "-J")
		if err != nil || strings.Contains(screen, text) {
			return err
		}
		if err := wait.For(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("the screen never shows %q:\n%s", text, screen)
		}
	}
}

var prompt = regexp.MustCompile(`(?:^|\n)bash-[\d.]+[#$]$`)

// prompts waits for the shell to be back.
func (t *terminal) prompts(ctx context.Context) error {
	for {
		screen, err := t.ask("capture-pane", "-t", "t", "-p")
		if err != nil || prompt.MatchString(strings.TrimSpace(screen)) {
			return err
		}
		if err := wait.For(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("the program doesn't end:\n%s", screen)
		}
	}
}

// picture keeps what the terminal shows, with colours and the cursor's place,
// when it has come to rest.
func (t *terminal) picture(ctx context.Context, name string) error {
	var last string
	if err := t.rests(ctx, &last); err != nil {
		return err
	}
	t.pictures = append(t.pictures, name+":\n"+last)
	return nil
}

// rests waits until the same is shown for a while, and gives that.
func (t *terminal) rests(ctx context.Context, shown *string) error {
	for same := 0; same < 8; {
		screen, err := t.ask("capture-pane", "-t", "t", "-p", "-e")
		if err != nil {
			return err
		}
		cursor, err := t.ask("display-message", "-t", "t", "-p", "cursor at column #{cursor_x}, visible #{cursor_flag}")
		if err != nil {
			return err
		}
		if now := unhurried(screen + cursor); now == *shown {
			same++
		} else {
			*shown, same = now, 0
		}
		if err := wait.For(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("the screen doesn't come to rest:\n%s", screen)
		}
	}
	return nil
}

var (
	// haste is what differs from run to run: times, speeds, and how wide a bar is beside them.
	haste = regexp.MustCompile(`\d+:\d\d(?::\d\d)?|\?:\?\?|[\d.?]+ ?[kMG]?(?:B/s|it/s|s/it)`)
	bars  = regexp.MustCompile(`[ ▏▎▍▌▋▊▉█━╸╺#]{2,}`)
	jobs  = regexp.MustCompile(`(?m)^\[1\]\+.*$`)
)

func unhurried(screen string) string {
	screen = jobs.ReplaceAllStringFunc(screen, func(line string) string { return strings.Join(strings.Fields(line), " ") })
	return bars.ReplaceAllString(haste.ReplaceAllString(screen, "~"), " ")
}

// playScreens compares the client's screens with those under progressctl exec.
func playScreens(ctx context.Context, s *stage, sc screenScene) error {
	// One file after another: threads would draw in an order of their own.
	s.env = append(s.env, "HF_HUB_DOWNLOAD_TIMEOUT=60") // a picture takes its time
	client := "'" + s.program + "' " + strings.Join(s.argv, " ") + " --max-workers 1"
	alone, err := s.film(ctx, sc, client)
	if err != nil {
		return fmt.Errorf("the client alone: %w", err)
	}
	under, err := s.film(ctx, sc, "'"+s.opts.progressctl+"' exec --config '"+s.path("config.toml")+"' -- "+client)
	if err != nil {
		return fmt.Errorf("under progressctl exec: %w\n%s", err, s.log())
	}
	for i := range alone {
		if !alike(alone[i], under[i]) {
			return fmt.Errorf("the screens differ: the client alone, %s\nunder progressctl exec, %s\nlog:\n%s", alone[i], under[i], s.log())
		}
	}
	if !strings.Contains(s.log(), "Preparing to download model: org/demo") {
		return fmt.Errorf("the log tells nothing: %s", s.log())
	}
	return nil
}

// alike compares what stands on two screens in any case. How often the same is
// drawn again is a matter of haste, and where each time leaves a line, above
// all in a terminal that was made smaller, more or less has left at the top.
func alike(a, b string) bool {
	one, other := slices.Compact(strings.Split(a, "\n")), slices.Compact(strings.Split(b, "\n"))
	n := min(len(one), len(other))
	return n > 3 && slices.Equal(one[len(one)-n:], other[len(other)-n:])
}

// film plays one scene once, and gives its pictures.
func (s *stage) film(ctx context.Context, sc screenScene, command string) (pictures []string, err error) {
	// A socket of its own: the server before may still be about to end.
	s.films++
	t := &terminal{socket: s.path(fmt.Sprintf("tmux%d", s.films)), gate: hub.NewGate()}
	s.hub.Break(s.repo, weights, hub.Fault{Gate: t.gate, GateAt: 15 * mb})
	defer t.gate.Open()
	for _, name := range []string{"home", "hub", "log", "state"} {
		if err := os.RemoveAll(s.path(name)); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(s.path("go"), []byte("exec "+command+"\n"), 0o600); err != nil {
		return nil, err
	}
	shell := exec.Command("tmux", "-S", t.socket, "-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "100", "-y", "30", "bash --norc --noprofile -i")
	shell.Env, shell.Dir = append(s.environment(), "TERM=xterm-256color"), s.dir
	if out, err := shell.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot start tmux: %w: %s", err, out)
	}
	defer func() { err = errors.Join(err, t.tmux("kill-server")) }()
	if err := errors.Join(t.shows(ctx, "bash-"), t.tmux("send-keys", "-t", "t", "clear; sh go", "Enter")); err != nil {
		return nil, err
	}
	select {
	case <-t.gate.Reached():
	case <-ctx.Done():
		screen, _ := t.ask("capture-pane", "-t", "t", "-p")
		return nil, fmt.Errorf("the download never comes to its middle:\n%s", screen)
	}
	if err := errors.Join(t.settle(ctx), sc.act(ctx, t)); err != nil {
		return nil, err
	}
	t.gate.Open()
	// Asked for behind it: of what a signal has killed, bash breaks off its line.
	err = errors.Join(t.prompts(ctx), t.tmux("send-keys", "-t", "t", "echo it ended with $?", "Enter"),
		t.shows(ctx, "\nit ended with "), t.picture(ctx, "at the end"))
	return t.pictures, err
}

// settle waits until the bars have been drawn.
func (t *terminal) settle(ctx context.Context) error {
	return errors.Join(t.shows(ctx, "%"), t.rests(ctx, new(string)))
}
