package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"progressd/internal/shown"
)

func TestTopNeedsATerminal(t *testing.T) {
	t.Parallel()
	l := beside(t)
	if out, err := l.gives(2, "top"); out != "" || !strings.Contains(err, "progressctl status") {
		t.Errorf("%q %q", out, err)
	}
}

// terminal is what was written to a terminal.
type terminal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *terminal) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// onTerminal calls progressctl top on a terminal of 90 columns, presses q when it
// shows a text, and gives all that was written.
func onTerminal(t *testing.T, socket, shows string, environ ...string) (status int, wrote string) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 90}); err != nil {
		t.Fatal(err)
	}
	screen, read := &terminal{}, make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(screen, master) }()
	environ = append(environ, "TERM=xterm-256color")
	getenv := func(name string) string {
		for _, entry := range environ {
			if value, ok := strings.CutPrefix(entry, name+"="); ok {
				return value
			}
		}
		return ""
	}
	done := make(chan int, 1)
	go func() {
		done <- run([]string{"top", "--socket", socket}, world{stdin: slave, stdout: slave, stderr: slave, getenv: getenv, environ: environ, signals: func() <-chan os.Signal { return nil }}).Status
	}()
	for end := time.Now().Add(patient); !strings.Contains(screen.String(), shows); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not in %q", shows, screen)
		}
	}
	_, _ = master.WriteString("q")
	select {
	case status = <-done:
	case <-time.After(patient):
		t.Fatalf("q doesn't end it: %q", screen)
	}
	_ = slave.Close()
	<-read
	return status, screen.String()
}

func TestTopOnATerminal(t *testing.T) {
	d, err := shown.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Scene(8)
	if status, wrote := onTerminal(t, "/nowhere/x.sock", "systemctl start progressd"); status != 5 || !strings.Contains(wrote, "no progressd answers") {
		t.Errorf("no daemon: exit status %d\n%q", status, wrote)
	}
	const altScreen, back, bar, blue = "\x1b[?1049h", "\x1b[?1049l", "\x1b]9;4;", "\x1b[34m"
	for _, c := range []struct {
		environ, has, lacks string
	}{
		{"LANG=en_US.UTF-8", "\u2588", "##"}, {"LANG=C", "##", "\u2588"}, {"LC_ALL=C LANG=en_US.UTF-8", "##", "\u2588"}, {"LANG=C", blue, "~~"}, {"LANG=C NO_COLOR=1", "##", blue},
	} {
		status, wrote := onTerminal(t, d.Path(), "Qwen/Qwen3-32B", strings.Fields(c.environ)...)
		if status != 0 || !strings.Contains(wrote, altScreen) || !strings.Contains(wrote, bar) || !strings.Contains(wrote, back) {
			t.Errorf("%s: exit status %d\n%q", c.environ, status, wrote)
		}
		if !strings.Contains(wrote, c.has) || strings.Contains(wrote, c.lacks) {
			t.Errorf("%s: %q or not %q\n%q", c.environ, c.has, c.lacks, wrote)
		}
	}
}
