package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"progressd/internal/client"
	"progressd/internal/hub"
)

// A launch is progressctl exec between files.
type launch struct {
	*service
	out, err *os.File
	signals  chan os.Signal
	environ  []string
}

func newLaunch(t *testing.T) *launch {
	t.Helper()
	l := &launch{service: newService(t), signals: make(chan os.Signal, 8)}
	l.environ = append(os.Environ(), "HOME="+l.dir, "HF_HUB_CACHE="+l.path("hub"), "JOURNAL_STREAM=", "XDG_RUNTIME_DIR=")
	l.out, l.err = l.file("out"), l.file("err")
	return l
}

func (l *launch) getenv(name string) string {
	for _, entry := range slices.Backward(l.environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func (l *launch) file(name string) *os.File {
	l.t.Helper()
	f, err := os.Create(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = f.Close() })
	return f
}

// exec runs progressctl exec with the configuration of the test.
func (l *launch) exec(args ...string) int {
	l.t.Helper()
	return l.bare(append([]string{"--config", l.path("config.toml")}, args...)...)
}

func (l *launch) bare(args ...string) int {
	l.t.Helper()
	return l.call(append([]string{execName}, args...)...)
}

// call runs progressctl.
func (l *launch) call(args ...string) int {
	l.t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		l.t.Fatal(err)
	}
	defer null.Close()
	return run(args, world{
		stdin: null, stdout: l.out, stderr: l.err, getenv: l.getenv, environ: l.environ, comeBack: 3 * time.Second,
		signals: func() <-chan os.Signal { return l.signals },
	}).Status
}

func (l *launch) read(f *os.File) string {
	l.t.Helper()
	text, err := os.ReadFile(f.Name())
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// downloader is the command line of a client that is told the rest by the
// environment.
func (l *launch) downloader(h *hub.Hub, gen client.Generation, args ...string) []string {
	l.t.Helper()
	hh := client.HH{Endpoint: h.URL(), Root: l.path("hub"), Generation: gen, Chunk: mb / 2, Workers: 1}
	cmd, err := client.Command(context.Background(), l.dir, hh, append([]string{demo.ID}, args...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	l.environ = append(l.environ, cmd.Env[len(os.Environ()):]...)
	return append([]string{cmd.Path}, cmd.Args[1:]...)
}

// told are the lines of the log, without those of the program's output.
func (l *launch) told() string {
	l.t.Helper()
	var kept []string
	for line := range strings.Lines(l.log("org--demo.log")) {
		if !strings.Contains(line, "] hf: ") && !strings.Contains(line, "] huggingface-cli: ") && !strings.Contains(line, "] sh: ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func (l *launch) wantTold(lines ...string) {
	l.t.Helper()
	if got, want := l.told(), strings.Join(lines, "\n")+"\n"; got != want {
		l.t.Errorf("told\n%s\nwant\n%s\nstderr\n%s", got, want, l.read(l.err))
	}
}

const (
	prepares  = "[INFO] Preparing to download model: org/demo"
	succeeds  = "[SUCCESS] Model downloaded successfully"
	fails     = "[ERROR] Model download failed: "
	downloads = "[INFO] Downloading model: 5.0MB in 2 files"
)

func TestExecCommandLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, args string
		status     int
		says       string
	}{
		{"no program", "", 125, "no program is named"},
		{"unknown flag", "--frobnicate -- true", 125, "unknown flag: --frobnicate"},
		{"bad model", "--model a--b true", 125, `--model "a--b"`},
		{"no configuration", "--config /nowhere/x.toml true", 125, "/nowhere/x.toml"},
		{"no such program", "-- no-such-program-here", 127, "no-such-program-here"},
		{"no program file", "/", 126, `"/"`},
		{"its options are the program's", "sh -c exit\t7", 7, ""},
		{"unknown model, and nothing to say about it", "true", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLaunch(t)
			args := strings.Split(c.args, " ")
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "\t", " ")
			}
			if c.args == "" {
				args = nil
			}
			if got := l.bare(args...); got != c.status {
				t.Errorf("exit status %d, want %d", got, c.status)
			}
			if said := l.read(l.err); !strings.Contains(said, c.says) || c.says == "" && said != "" {
				t.Errorf("stderr %q", said)
			}
		})
	}
}

func TestExecTellsOfADownload(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	argv := l.downloader(serveHub(t), client.Trees)
	if status := l.exec(append([]string{"--"}, argv...)...); status != 0 {
		t.Fatalf("exit status %d\n%s", status, l.read(l.err))
	}
	lines := strings.Split(l.told(), "\n")
	if lines[0] != prepares || lines[1] != downloads || lines[len(lines)-2] != succeeds {
		t.Errorf("told\n%s", strings.Join(lines, "\n"))
	}
	if text := l.read(l.out); strings.Contains(text, "[INFO]") {
		t.Errorf("on standard output:\n%s", text)
	}
	if text := l.read(l.err); !strings.Contains(text, "[SUCCESS] org/demo: Model downloaded successfully\n") {
		t.Errorf("on standard error:\n%s", text)
	}
	// Once more: it is cached, and nothing is told in between.
	if err := os.Remove(l.path("log", "org--demo.log")); err != nil {
		t.Fatal(err)
	}
	if status := l.exec(argv...); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	l.wantTold(prepares, succeeds)
}

func TestExecProvesByTheExitStatusWhereThereIsNoListing(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	if status := l.exec(l.downloader(serveHub(t), client.HH023)...); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	if told := l.told(); !strings.HasSuffix(told, "[INFO] No listing to check against: 5.0MB in 2 files on disk\n"+succeeds+"\n") {
		t.Errorf("told\n%s", told)
	}
}

// slowHub holds the model's weights back until the lines say that it is downloading.
func (l *launch) slowHub() *hub.Hub {
	l.t.Helper()
	h, gate := serveHub(l.t), hub.NewGate()
	h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: 2 * mb, Gate: gate})
	go func() {
		defer gate.Open()
		l.awaitText(l.err, "Downloading model: ")
	}()
	return h
}

// awaitText waits until something was printed, and reports whether it was.
func (l *launch) awaitText(f *os.File, text string) bool {
	return l.awaitIn(f.Name(), text)
}

// awaitIn is awaitText for a file that need not be there yet.
func (l *launch) awaitIn(path, text string) bool {
	for end := time.Now().Add(patient); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if printed, _ := os.ReadFile(path); bytes.Contains(printed, []byte(text)) {
			return true
		}
	}
	return false
}

func TestExecFindsTheModelByTheLocksOfTheProgram(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	argv := l.downloader(l.slowHub(), client.Trees)
	if status := l.exec("sh", "-c", strings.Join(argv, " ")+"; true"); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	if told := l.told(); !strings.HasPrefix(told, prepares+"\n"+downloads+"\n") || !strings.HasSuffix(told, succeeds+"\n") {
		t.Errorf("told\n%s", told)
	}
}

func TestExecFollowsALocalDirectory(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	argv := l.downloader(l.slowHub(), client.Trees, "--local-dir", l.path("here"))
	if status := l.exec(argv...); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	logs, _ := filepath.Glob(l.path("log", "*"))
	if len(logs) != 1 {
		t.Fatalf("%q", logs)
	}
	told := l.log(filepath.Base(logs[0]))
	if !strings.HasPrefix(told, prepares+"\n"+downloads+"\n") || !strings.HasSuffix(told, succeeds+"\n") {
		t.Errorf("told\n%s", told)
	}
}

// A download that is over before anybody has looked, and one of what is there.
func TestExecFollowsALocalDirectoryThatIsFilledAtOnce(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	argv := l.downloader(serveHub(t), client.Trees, "--local-dir", l.path("here"))
	for range 2 {
		if status := l.exec(argv...); status != 0 {
			t.Fatalf("exit status %d", status)
		}
	}
	logs, _ := filepath.Glob(l.path("log", "*"))
	if len(logs) != 1 {
		t.Fatalf("%q", logs)
	}
	told := l.log(filepath.Base(logs[0]))
	if strings.Count(told, prepares+"\n") != 2 || strings.Count(told, succeeds+"\n") != 2 || strings.Contains(told, "failed") {
		t.Errorf("told\n%s", told)
	}
}

func TestExecNamesACauseAndHidesSecrets(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	const secret = "hf_abcdefghijklmnopqrstuvwxyz01234567"
	script := "echo 'Downloading with " + secret + "' >&2; echo \"Error: Access denied. Model 'org/demo' requires approval.\" >&2; exit 3"
	if status := l.exec("--model", "org/demo", "--", "sh", "-c", script); status != 3 {
		t.Errorf("exit status %d", status)
	}
	l.wantTold(prepares, fails+"access to org/demo is gated; accept its terms on the hub and pass a token (HF_TOKEN)")
	log := l.log("org--demo.log")
	if !strings.Contains(log, "[INFO] sh: Downloading with ***\n") || strings.Contains(log, secret) {
		t.Errorf("log\n%s", log)
	}
	if passed := l.read(l.err); !strings.Contains(passed, "Downloading with "+secret+"\n") {
		t.Errorf("what is the program's own is changed:\n%s", passed)
	}
}

// asHF makes a shell script look like hf download, and returns how to call it.
func (l *launch) asHF(script string) []string {
	l.t.Helper()
	l.write("download", script)
	return []string{"--model", "org/demo", "--", l.shell("hf"), "download"}
}

// shellIn makes the test binary a shell that works in a directory: its value.
// A shell looks for its script where it works, and tests that run side by side
// work in one place.
const shellIn = "PROGRESSD_TEST_SHELL_IN"

// shell is a shell in the directory of the test, under a name below it.
func (l *launch) shell(name ...string) (path string) {
	l.t.Helper()
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	path = l.path(name...)
	// The kernel has a process go by the name of what it was made of last.
	as := l.path("shells", filepath.Base(path))
	if err := errors.Join(os.MkdirAll(filepath.Dir(as), 0o755), os.Symlink("/bin/sh", as), os.Symlink(self, path)); err != nil {
		l.t.Fatal(err)
	}
	l.environ = append(l.environ, shellIn+"="+l.dir)
	return path
}

func runIfShell() {
	dir := os.Getenv(shellIn)
	if dir == "" {
		return
	}
	err := errors.Join(os.Unsetenv(shellIn), os.Chdir(dir))
	if err == nil {
		err = syscall.Exec(filepath.Join(dir, "shells", filepath.Base(os.Args[0])), os.Args, os.Environ())
	}
	fmt.Fprintln(os.Stderr, "cannot be a shell:", err)
	os.Exit(1)
}

func TestExecSaysWhatAProgramDiedOf(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"kill -KILL $$":                     "hf was killed by SIGKILL",
		"echo the last word >&2; exit 1":    "hf ended with exit status 1: the last word",
		"echo 'MemoryError: x' >&2; exit 1": "there is not enough memory",
		"exit 130":                          "stopped by SIGINT",
		"exit 0":                            "hf ended with exit status 0, but nothing of the model is in the cache",
	} {
		l := newLaunch(t)
		l.exec(l.asHF(script)...)
		l.wantTold(prepares, fails+want)
	}
}

func TestExecBesideADaemonKeepsItsLogsApart(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	mkdir(t, l.path("hub"))
	l.start()
	l.until(l.errout, "watching")
	l.exec("--model", "org/demo", "true")
	if log := l.log("exec/org--demo.log"); !strings.Contains(log, "nothing of the model is in the cache") {
		t.Errorf("log\n%s", log)
	}
	if _, err := os.Stat(l.path("log", "org--demo.log")); err == nil {
		t.Error("two write to one log")
	}
	l.stop()
}

func TestExecsAtOnceDisturbNobody(t *testing.T) {
	t.Parallel()
	l := newLaunch(t)
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() { l.exec("--model", fmt.Sprintf("org/m%d", i), "true") })
	}
	all.Wait()
	for i := range 5 {
		name := fmt.Sprintf("org--m%d.log", i)
		if _, err := os.Stat(l.path("log", name)); err != nil {
			if _, err := os.Stat(l.path("log", "exec", name)); err != nil {
				t.Errorf("no log of org/m%d", i)
			}
		}
	}
}
