package child

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// asProgram makes the test binary run its arguments as a child, as a program
// of its own that can be stopped and continued.
const asProgram = "CHILD_TEST_AS_PROGRAM"

func program() {
	_ = os.Unsetenv(asProgram)
	signals, _ := Notify()
	result, err := Run(Options{
		Argv: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals,
		Started: func(int) {}, Printed: func(Stream, []byte) {}, Paused: func(Stream) {}, Closed: func(Stream) {},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	result.EndByKey()
	os.Exit(result.Status)
}

// A started is that program, running.
type started struct {
	t    *testing.T
	cmd  *exec.Cmd
	keys *os.File // the other side of its terminal, if it has one

	mu   sync.Mutex
	text bytes.Buffer
	done chan struct{} // its output has ended
}

func (s *started) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *started) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *started) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: not after 20 s; output %q", what, s.output())
		}
	}
}

func (s *started) prints(text string) {
	s.t.Helper()
	s.until(text, func() bool { return strings.Contains(s.output(), text) })
}

// ends waits for the program's end, with the status that a shell gives it.
func (s *started) ends(want int) {
	s.t.Helper()
	err := s.cmd.Wait()
	got := s.cmd.ProcessState.ExitCode()
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		got = 128 + int(status.Signal())
	}
	if got != want {
		s.t.Errorf("exit status %d (%v), want %d; output %q", got, err, want, s.output())
	}
}

// state is the letter that /proc shows for a process.
func state(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest[:min(1, len(rest))]
}

func self(t *testing.T, argv ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, argv...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// start runs a command between pipes, in a process group of its own.
func start(t *testing.T, cmd *exec.Cmd) *started {
	t.Helper()
	s := &started{t: t, cmd: cmd}
	cmd.Stdout, cmd.Stderr = s, s
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return s
}

// startOnTerminal runs a command on a terminal that controls it.
func startOnTerminal(t *testing.T, cmd *exec.Cmd) *started {
	t.Helper()
	s := &started{t: t, cmd: cmd, done: make(chan struct{})}
	var err error
	if s.keys, err = pty.Start(cmd); err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	go func() {
		defer close(s.done)
		_, _ = io.Copy(s, s.keys)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-s.done; _ = s.keys.Close() })
	return s
}

func (s *started) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// number is what the output has behind a word.
func (s *started) number(word string) (n int) {
	s.t.Helper()
	s.until(word, func() bool {
		_, rest, found := strings.Cut(s.output(), word+" ")
		return found && strings.ContainsAny(rest, "\r\n") && func() bool { _, err := fmt.Sscan(rest, &n); return err == nil }()
	})
	return n
}

// untilTold starts nothing: a process that is stopped between vfork and exec
// keeps its parent from being stopped.
const untilTold = `echo pid $$; read x <"$TOLD"; echo went on; exit 4`

// fifo is what it waits for, and how it is told.
func fifo(t *testing.T, cmd *exec.Cmd) (tell func()) {
	t.Helper()
	path := t.TempDir() + "/told"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "TOLD="+path)
	return func() {
		if err := os.WriteFile(path, []byte("now\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
}

func TestStopAndContinue(t *testing.T) {
	for name, stop := range map[string]func(*started){
		"SIGTSTP":                         func(s *started) { s.signal(syscall.SIGTSTP) },
		"the child is sent SIGTSTP alone": func(s *started) { _ = unix.Kill(s.number("pid"), unix.SIGTSTP) },
	} {
		t.Run(name, func(t *testing.T) {
			cmd := self(t, "sh", "-c", untilTold)
			tell := fifo(t, cmd)
			s := start(t, cmd)
			pid := s.number("pid")
			stop(s)
			s.until("the child stops", func() bool { return state(pid) == "T" })
			s.until("we stop", func() bool { return state(s.cmd.Process.Pid) == "T" })
			s.signal(syscall.SIGCONT)
			s.until("both go on", func() bool { return state(pid) != "T" && state(s.cmd.Process.Pid) != "T" })
			tell()
			s.prints("went on")
			s.ends(4)
		})
	}
}

// parent is that of a process.
func parent(pid int) (ppid int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	_, _ = fmt.Sscanf(rest, "%s %d", new(string), &ppid)
	return ppid
}

// inAShell runs us in the foreground of a shell with job control, which says
// how that ended or stopped, and does something when it is told to go on.
func inAShell(t *testing.T, script, after string) (s *started, tell func()) {
	t.Helper()
	path := self(t).Path
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -m; "+asProgram+"=1 "+path+" sh -c '"+script+"'; echo status $?; read; "+after)
	cmd.Env = os.Environ()
	tell = fifo(t, cmd)
	return startOnTerminal(t, cmd), tell
}

func TestAShellSeesAStopAsWithoutUs(t *testing.T) {
	for name, stop := range map[string]func(s *started, us int){
		"the key of the terminal": func(s *started, _ int) { _, _ = s.keys.WriteString("\x1a") },
		"SIGTSTP":                 func(_ *started, us int) { _ = unix.Kill(us, unix.SIGTSTP) },
	} {
		t.Run(name, func(t *testing.T) {
			s, tell := inAShell(t, untilTold, "fg; echo end $?")
			pid := s.number("pid")
			us := parent(pid)
			stop(s, us)
			if got := s.number("status"); got != 128+int(unix.SIGTSTP) {
				t.Errorf("the shell says %d of the stop", got)
			}
			if state(pid) != "T" || state(us) != "T" {
				t.Errorf("the child is %q, we are %q", state(pid), state(us))
			}
			if shown := strings.Contains(s.output(), "^Z"); shown != (name != "SIGTSTP") {
				t.Errorf("the key is shown: %v", shown)
			}
			mode, err := unix.IoctlGetTermios(int(s.keys.Fd()), unix.TCGETS)
			if err != nil || mode.Lflag&unix.ICANON == 0 {
				t.Errorf("the shell gets the terminal in raw mode: %+v, %v", mode, err)
			}
			_, _ = s.keys.WriteString("\r")
			s.until("both go on", func() bool { return state(pid) != "T" && state(us) != "T" })
			tell()
			s.prints("went on")
			if got := s.number("end"); got != 4 {
				t.Errorf("the shell says %d of the end", got)
			}
			s.ends(0)
		})
	}
}

// A program in an orphaned process group can't be stopped: nobody would
// continue it.
func TestWhereNobodyWouldContinueUsNothingStays(t *testing.T) {
	cmd := self(t, "sh", "-c", untilTold)
	tell := fifo(t, cmd)
	s := startOnTerminal(t, cmd) // it leads a session of its own
	pid := s.number("pid")
	_, _ = s.keys.WriteString("\x1a")
	s.prints("^Z")
	tell()
	s.prints("went on")
	s.until("the child has ended", func() bool { return state(pid) == "" })
	s.ends(4)
}

func TestASignalThatKillsTheChildIsSaidAsAShellSaysIt(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGKILL, unix.SIGSEGV} {
		if signal.Ignored(sig) { // as SIGHUP under nohup: it kills nobody
			continue
		}
		cmd := self(t, "sh", "-c", fmt.Sprintf("kill -%d $$", sig))
		start(t, cmd).ends(128 + int(sig))
		if !cmd.ProcessState.Exited() {
			t.Errorf("signal %d ends us with %v", sig, cmd.ProcessState)
		}
	}
	s, _ := inAShell(t, "kill -TERM $$", ":")
	if got := s.number("status"); got != 143 {
		t.Errorf("a shell says %d of SIGTERM", got)
	}
	_, _ = s.keys.WriteString("\r")
	s.ends(0)
	// A Ctrl-C is meant for the whole script.
	s, _ = inAShell(t, "echo ready; read x", ":")
	s.prints("ready")
	_, _ = s.keys.WriteString("\x03")
	s.ends(128 + int(unix.SIGINT))
	if strings.Contains(s.output(), "status") {
		t.Errorf("the script goes on: %q", s.output())
	}
}

func TestAChildStoppedByAnotherIsThatOnesBusiness(t *testing.T) {
	cmd := self(t, "sh", "-c", untilTold)
	tell := fifo(t, cmd)
	s := start(t, cmd)
	pid := s.number("pid")
	_ = unix.Kill(pid, unix.SIGSTOP)
	s.until("the child stops", func() bool { return state(pid) == "T" })
	if got := state(s.cmd.Process.Pid); got == "T" {
		t.Error("we have stopped, too")
	}
	_ = unix.Kill(pid, unix.SIGCONT)
	tell()
	s.ends(4)
}

func TestInTheBackgroundATerminalIsLeftAlone(t *testing.T) {
	path := self(t).Path
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -m; "+asProgram+"=1 "+path+" sh -c 'sleep 0.5; echo ran' & wait $!; echo status $?")
	s := startOnTerminal(t, cmd)
	if got := s.number("status"); got != 0 || !strings.Contains(s.output(), "ran") {
		t.Errorf("status %d, output %q", got, s.output())
	}
	s.ends(0)
}

func TestIgnoredSignalsStayIgnored(t *testing.T) {
	path := self(t).Path
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "trap '' HUP; exec "+path+" sh -c 'kill -HUP $$; kill -HUP $PPID; sleep 0.3; echo alive; kill -PIPE $$; echo never'")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	s := start(t, cmd)
	s.ends(128 + int(syscall.SIGPIPE))
	if got := s.output(); got != "alive\n" {
		t.Errorf("%q", got)
	}
}

func TestWhatIsTypedShowsWhereOnlyTheInputIsATerminal(t *testing.T) {
	path := self(t).Path
	out := t.TempDir() + "/out"
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "exec "+path+" sh -c 'echo asked >/dev/tty; read x; echo \"got $x\"' >"+out+" 2>&1")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	s := startOnTerminal(t, cmd)
	s.prints("asked\r\n")
	_, _ = s.keys.WriteString("word\r")
	s.ends(0)
	<-s.done
	if got := s.output(); got != "asked\r\nword\r\n" {
		t.Errorf("the terminal shows %q", got)
	}
	if got, _ := os.ReadFile(out); string(got) != "got word\n" {
		t.Errorf("the file holds %q", got)
	}
}

func TestTheLastLinesAreShownAsTheFirst(t *testing.T) {
	const lines, plays = 5000, 20 // what is on its way at the end isn't always the same
	for range plays {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			s := startOnTerminal(t, self(t, "seq", strconv.Itoa(lines)))
			s.ends(0)
			<-s.done
			shown := s.output()
			if ends := strings.Count(shown, "\r\n"); ends != lines || strings.Contains(shown, "\r\r") {
				t.Errorf("%d lines, %d of them with two \\r", ends, strings.Count(shown, "\r\r"))
			}
		})
	}
}
