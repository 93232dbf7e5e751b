package sink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"progressd/tracker"
)

func TestConsoleLeadsWithTheRepository(t *testing.T) {
	var out bytes.Buffer
	c := NewConsole(&out, clock.Line, (&diagnostics{}).logger())
	write(t, c, progressOf(350e6), tracker.Event{Kind: tracker.RootGone, At: at, Root: "/mnt"})
	want := "[10:01:15 PM] [INFO] deepseek-ai/deepseek-ocr: Downloaded 350MB...\n" +
		"[10:01:15 PM] [WARNING] Cache is gone, waiting for it to come back: /mnt\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// tornWriter takes a few bytes of the first line only.
type tornWriter struct {
	buf    bytes.Buffer
	failed bool
}

func (w *tornWriter) Write(p []byte) (int, error) {
	if w.failed {
		return w.buf.Write(p)
	}
	w.failed = true
	n, _ := w.buf.Write(p[:5])
	return n, syscall.ENOSPC
}

func testConsoleTorn(t *testing.T) {
	out := &tornWriter{}
	c := NewConsole(out, clock.Line, (&diagnostics{}).logger())
	if err := c.Write(context.Background(), progressOf(350e6)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	write(t, c, progressOf(350e6))
	want := "[10:0\n[10:01:15 PM] [INFO] deepseek-ai/deepseek-ocr: Downloaded 350MB...\n"
	if out.buf.String() != want {
		t.Errorf("got %q", out.buf.String())
	}
}

// testClosedPipe runs this test once more with a closed pipe as its standard
// output: there alone Go would raise SIGPIPE.
func testClosedPipe(t *testing.T) {
	const marker = "PROGRESSD_TEST_CLOSED_PIPE"
	if os.Getenv(marker) != "" {
		writeToClosedPipe(t)
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFaults$/^O6_closed_pipe$")
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.Stdout = w
	var stderr strings.Builder
	cmd.Stderr = &stderr
	// The test binary itself fails to print PASS; what counts is on stderr.
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		t.Fatalf("killed: %v\n%s", err, stderr.String())
	}
	if n := strings.Count(stderr.String(), "survived, said once"); n != 1 {
		t.Errorf("stderr: %s", stderr.String())
	}
}

func writeToClosedPipe(t *testing.T) {
	signal.Ignore(syscall.SIGPIPE)
	d := &diagnostics{}
	c := NewConsole(os.Stdout, clock.Line, d.logger())
	write(t, c, progressOf(1), progressOf(2), progressOf(3))
	if d.count("WARN") == 1 {
		_, _ = io.WriteString(os.Stderr, "survived, said once\n")
	}
}
