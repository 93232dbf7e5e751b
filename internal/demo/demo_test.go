package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
)

// stubVar makes this test binary play progressd, well or badly.
const stubVar = "DEMO_STUB"

func TestMain(m *testing.M) {
	client.RunIfCalled()
	if manner := os.Getenv(stubVar); manner != "" {
		os.Exit(stub(manner, os.Args[1:]))
	}
	// Else the race detector lets every child sleep for a second at its end.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	goleak.VerifyTestMain(m)
}

// stub is a progressd that has nothing but manners.
func stub(manner string, args []string) int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	text, err := os.ReadFile(args[1])
	dirs := regexp.MustCompile(`(?m)^dir = "(.*)"$`).FindStringSubmatch(string(text))
	if err != nil || args[0] != "--config" || len(dirs) != 2 {
		return 2
	}
	if manner == "refuses" {
		return 2
	}
	notify, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return 3
	}
	fmt.Fprint(notify, "STATUS=watching\nREADY=1")
	for _, id := range []string{"demo/one", "demo/two"} {
		if manner == "silent" && id == "demo/two" {
			return 0
		}
		line := fmt.Sprintf("[10:01:15 PM] [SUCCESS] %s: %s\n", id, completed)
		fmt.Print(line)
		if manner == "forgets" {
			line = "[10:01:15 PM] [INFO] Downloaded 100MB...\n"
		}
		name := strings.ReplaceAll(id, "/", "--") + ".log"
		if err := os.WriteFile(filepath.Join(dirs[1], name), []byte(strings.Replace(line, id+": ", "", 1)), 0o644); err != nil {
			return 4
		}
	}
	<-term
	if manner == "stumbles" {
		return 7
	}
	return 0
}

// small is a plan of two downloads that take no time.
func small(t *testing.T, manner string) plan {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(stubVar, manner)
	t.Setenv("TMPDIR", t.TempDir())
	p := plan{progressd: self, patience: time.Minute}
	for id, g := range map[string]client.Generation{"demo/one": client.Trees, "demo/two": client.HH023} {
		p.models = append(p.models, model{
			repo: hfcache.Repo{Type: hfcache.Model, ID: id}, generation: g, about: "a test",
			files: []hub.File{{Path: "a.bin", Size: 1000, Storage: hub.LFS}},
		})
	}
	return p
}

func nothingLeft(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDemoShowsLinesUnalteredAndLogs(t *testing.T) {
	var out bytes.Buffer
	if err := perform(t.Context(), small(t, "well"), &out, os.Stderr); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t)
	var got []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "# ") {
			got = append(got, line)
		}
	}
	slices.Sort(got)
	want := []string{
		"[10:01:15 PM] [SUCCESS] Model downloaded successfully\n",
		"[10:01:15 PM] [SUCCESS] Model downloaded successfully\n",
		"[10:01:15 PM] [SUCCESS] demo/one: Model downloaded successfully\n",
		"[10:01:15 PM] [SUCCESS] demo/two: Model downloaded successfully\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, want := range []string{"# hf download demo/one: a test\n", "# huggingface-cli download demo/two: a test\n", "# demo--one.log:\n", "# everything that was made is removed\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
}

func TestDemoFailsAndTidiesUp(t *testing.T) {
	for manner, want := range map[string]string{
		"refuses":  "ended before it was ready: exit status 2",
		"silent":   "progressd ended before it said \"demo/two: Model downloaded successfully\"",
		"forgets":  "does not end in \"Model downloaded successfully\"",
		"stumbles": "did not end in order: exit status 7",
	} {
		t.Run(manner, func(t *testing.T) {
			var out bytes.Buffer
			err := perform(t.Context(), small(t, manner), &out, os.Stderr)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			nothingLeft(t)
		})
	}
}

func TestInterruptedDemoTidiesUp(t *testing.T) {
	p := small(t, "well")
	p.rate = 1 // a byte a second: nothing would ever be done
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	out := &trigger{on: "# hf download", do: func() { cancel(enough) }}
	if err := perform(ctx, p, out, os.Stderr); !errors.Is(err, enough) {
		t.Errorf("got %v, want %v", err, enough)
	}
	nothingLeft(t)
}

// trigger acts on the first line that begins with on.
type trigger struct {
	on string
	do func()
}

func (t *trigger) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte(t.on)) {
		t.do()
	}
	return len(p), nil
}

func TestDemoNeedsABinary(t *testing.T) {
	if err := command(t.Context(), nil, os.Stdout, os.Stderr); err == nil || !strings.Contains(err.Error(), "--progressd") {
		t.Errorf("got %v", err)
	}
	p := small(t, "well")
	p.progressd = filepath.Join(t.TempDir(), "none")
	if err := perform(t.Context(), p, &bytes.Buffer{}, os.Stderr); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that it does not exist", err)
	}
	nothingLeft(t)
}
