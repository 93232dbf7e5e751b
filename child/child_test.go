package child

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		program()
	}
	goleak.VerifyTestMain(m)
}

// A run is a child between pipes or terminals of the test's.
type run struct {
	t       *testing.T
	opts    Options
	signals chan os.Signal
	pid     chan int

	mu     sync.Mutex
	heard  [2]bytes.Buffer
	missed bool
}

func newRun(t *testing.T, argv ...string) *run {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	r := &run{t: t, signals: make(chan os.Signal, 8), pid: make(chan int, 1)}
	r.opts = Options{
		Argv: argv, Stdin: null, Stdout: r.file("out"), Stderr: r.file("err"), Signals: r.signals,
		Started: func(pid int) { r.pid <- pid },
		Paused:  func(Stream) {}, Closed: func(Stream) {},
		Printed: func(s Stream, p []byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.missed = r.missed || p == nil
			r.heard[s].Write(p)
		},
	}
	return r
}

func (r *run) file(name string) *os.File {
	r.t.Helper()
	f, err := os.Create(r.t.TempDir() + "/" + name)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = f.Close() })
	return f
}

func (r *run) run() Result {
	r.t.Helper()
	result, err := Run(r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

func text(t *testing.T, f *os.File) string {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStatusIsWhatAShellWouldSay(t *testing.T) {
	for script, want := range map[string]Result{
		"exit 0":        {},
		"exit 7":        {Status: 7},
		"kill -KILL $$": {Status: 137, Signal: syscall.SIGKILL},
		"kill -TERM $$": {Status: 143, Signal: syscall.SIGTERM},
	} {
		if got := newRun(t, "sh", "-c", script).run(); got != want {
			t.Errorf("%s: %+v, want %+v", script, got, want)
		}
	}
}

func TestWhatCannotBeRun(t *testing.T) {
	plain := newRun(t).file("plain").Name()
	for name, want := range map[string]int{"/nowhere/x": 127, "no-such-program-here": 127, plain: 126, "/": 126} {
		_, err := Run(newRun(t, name).opts)
		var start *StartError
		if !errors.As(err, &start) || start.Status != want || strings.Count(err.Error(), `"`+name+`"`) != 1 {
			t.Errorf("%s: %v, want status %d", name, err, want)
		}
	}
}

func TestStreamsPassUnharmedAndAreHeard(t *testing.T) {
	r := newRun(t, "sh", "-c", `printf 'a\0\033[31m\377\r'; printf 'no newline' >&2`)
	r.run()
	if got := text(t, r.opts.Stdout); got != "a\x00\x1b[31m\xff\r" || got != r.heard[Output].String() {
		t.Errorf("stdout %q, heard %q", got, r.heard[Output].String())
	}
	if got := text(t, r.opts.Stderr); got != "no newline" || got != r.heard[Errors].String() {
		t.Errorf("stderr %q, heard %q", got, r.heard[Errors].String())
	}
}

func TestEnvironmentDirectoryAndInputAreOurs(t *testing.T) {
	r := newRun(t, "sh", "-c", `pwd; echo "$MARK"; cat`)
	t.Chdir(t.TempDir())
	t.Setenv("MARK", "here")
	in := r.file("in")
	if _, err := in.WriteString("typed\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r.opts.Stdin = in
	r.run()
	dir, _ := os.Getwd()
	if got := text(t, r.opts.Stdout); got != dir+"\nhere\ntyped\n" {
		t.Errorf("%q", got)
	}
}

// until waits for a text on the child's standard output.
func (r *run) until(want string) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		r.mu.Lock()
		got := r.heard[Output].String()
		r.mu.Unlock()
		if strings.Contains(got, want) {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%q did not come: %q", want, got)
		}
		<-time.After(time.Millisecond)
	}
}

func TestSignalsArePassedOnOnce(t *testing.T) {
	for _, c := range []struct {
		sig  syscall.Signal
		name string
	}{{syscall.SIGINT, "INT"}, {syscall.SIGTERM, "TERM"}, {syscall.SIGHUP, "HUP"}, {syscall.SIGQUIT, "QUIT"}, {syscall.SIGUSR1, "USR1"}} {
		if signal.Ignored(c.sig) {
			t.Logf("%v is ignored, as under nohup: a shell can't wait for it then", c.sig)
			continue
		}
		r := newRun(t, "sh", "-c", `n=0; trap 'n=$((n+1)); echo got $n' `+c.name+`; echo ready; while [ $n = 0 ]; do sleep 0.01; done; sleep 0.1; exit $((n+40))`)
		done := make(chan Result)
		go func() { done <- r.run() }()
		r.until("ready")
		r.signals <- c.sig
		if got := <-done; got.Status != 41 {
			t.Errorf("%v: %+v", c.sig, got)
		}
	}
}

func TestAChildThatIgnoresSignalsRunsOn(t *testing.T) {
	r := newRun(t, "sh", "-c", `trap '' TERM; echo ready; read x; exit 3`)
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	r.opts.Stdin = from
	done := make(chan Result)
	go func() { done <- r.run() }()
	r.until("ready")
	r.signals <- syscall.SIGTERM
	_, _ = to.WriteString("\n")
	_ = to.Close()
	if got := <-done; got.Status != 3 {
		t.Errorf("%+v", got)
	}
}

func TestAReaderThatGoesAwayEndsTheChildAsWithoutUs(t *testing.T) {
	r := newRun(t, "sh", "-c", "yes; exit 9")
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	r.opts.Stdout = to
	go func() {
		_, _ = io.CopyN(io.Discard, from, 1<<16)
		_ = from.Close()
	}()
	if got := r.run(); got.Status != 9 {
		t.Errorf("%+v", got)
	}
}

func TestAProcessLeftBehindHoldsNothingUp(t *testing.T) {
	began := time.Now()
	r := newRun(t, "sh", "-c", "sleep 60 & echo $!")
	r.run()
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
	pid := strings.TrimSpace(text(t, r.opts.Stdout))
	if err := newRun(t, "kill", pid).run(); err.Status != 0 {
		t.Errorf("the process %s is gone", pid)
	}
}

func TestAListenerThatIsBehindHoldsNothingUp(t *testing.T) {
	const size = 64 << 20
	r := newRun(t, "sh", "-c", "head -c 67108864 /dev/zero")
	wait := make(chan struct{})
	closed := make(chan struct{})
	heard := 0
	r.opts.Printed = func(_ Stream, p []byte) { <-wait; heard += len(p); r.missed = r.missed || p == nil }
	out := r.opts.Stdout
	go func() {
		defer close(wait)
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
			if info, err := out.Stat(); err == nil && info.Size() == size {
				return
			}
		}
	}()
	r.opts.Closed = func(s Stream) {
		if s == Output {
			close(closed)
		}
	}
	r.run()
	<-closed
	if info, _ := out.Stat(); info.Size() != size {
		t.Errorf("%d bytes came through", info.Size())
	}
	if heard > (ahead+2)*pieceSize || !r.missed {
		t.Errorf("%d bytes were kept for the listener, missed: %v", heard, r.missed)
	}
}

func TestTheLastWordsOfATalkativeChildAreHeard(t *testing.T) {
	r := newRun(t, "sh", "-c", "head -c 67108864 /dev/zero; echo; echo the last words")
	r.run()
	if info, _ := r.opts.Stdout.Stat(); info.Size() != 64<<20+len64("\nthe last words\n") {
		t.Errorf("%d bytes came through", info.Size())
	}
	heard := r.heard[Output].String()
	if !r.missed || !strings.HasSuffix(heard, "\nthe last words\n") || len(heard) > 32<<20 {
		t.Errorf("%d bytes were heard, missed: %v", len(heard), r.missed)
	}
}

func len64(s string) int64 { return int64(len(s)) }

// terminals gives a run a terminal, whose other side is returned.
func (r *run) onTerminal() *os.File {
	r.t.Helper()
	ours, theirs, err := pty.Open()
	if err != nil {
		r.t.Skipf("no terminals here: %v", err)
	}
	r.t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	if err := pty.Setsize(ours, &pty.Winsize{Rows: 33, Cols: 77}); err != nil {
		r.t.Fatal(err)
	}
	r.opts.Stdin, r.opts.Stdout, r.opts.Stderr = theirs, theirs, theirs
	go func() { _, _ = io.Copy(io.Discard, ours) }()
	return ours
}

func TestATerminalOfItsOwn(t *testing.T) {
	r := newRun(t, "sh", "-c", `test -t 0 && test -t 1 && test -t 2 && stty size && echo asked </dev/tty && read x && echo "got $x"`)
	keys := r.onTerminal()
	before, err := unix.IoctlGetTermios(int(r.opts.Stdin.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan Result)
	go func() { done <- r.run() }()
	r.until("33 77")
	r.until("asked")
	_, _ = keys.WriteString("it\r")
	r.until("got it")
	if got := <-done; got.Status != 0 {
		t.Errorf("%+v", got)
	}
	after, err := unix.IoctlGetTermios(int(r.opts.Stdin.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is left as\n%+v, it was\n%+v", after, before)
	}
}

func TestCtrlCOnATerminalAndItsSize(t *testing.T) {
	r := newRun(t, "sh", "-c", `trap 'stty size' WINCH; trap 'exit 5' INT; echo ready; while :; do sleep 0.01; done`)
	keys := r.onTerminal()
	done := make(chan Result)
	go func() { done <- r.run() }()
	r.until("ready")
	if err := pty.Setsize(keys, &pty.Winsize{Rows: 12, Cols: 99}); err != nil {
		t.Fatal(err)
	}
	r.signals <- syscall.SIGWINCH
	r.until("12 99")
	_, _ = keys.WriteString("\x03")
	if got := <-done; got.Status != 5 {
		t.Errorf("%+v", got)
	}
}
