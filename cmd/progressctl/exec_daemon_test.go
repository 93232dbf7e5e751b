package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/socket"
)

// beside starts a daemon that progressctl exec finds.
func beside(t *testing.T) *launch {
	t.Helper()
	l := newLaunch(t)
	run, err := os.MkdirTemp("", "pd") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	l.runtime = run
	l.environ = append(l.environ, "XDG_RUNTIME_DIR="+run)
	mkdir(t, l.path("hub"))
	return l
}

func (l *launch) daemon() {
	l.t.Helper()
	l.start()
	l.until(l.errout, "watching")
}

// alone reports whether the exec has told by itself.
func (l *launch) alone() bool {
	_, err := os.Stat(l.path("log", "exec"))
	return err == nil
}

// wantOnce stops the daemon, and holds its log, its console and what exec has
// printed against each other.
func (l *launch) wantOnce() {
	l.t.Helper()
	l.stop()
	if l.alone() {
		l.t.Error("exec has told by itself")
	}
	log := l.log("org--demo.log")
	var console, printed strings.Builder
	for line := range strings.Lines(clock.ReplaceAllString(l.out0(), "")) {
		console.WriteString(strings.Replace(line, "] org/demo: ", "] ", 1))
	}
	for line := range strings.Lines(clock.ReplaceAllString(l.read(l.err), "")) {
		if strings.Contains(line, "] org/demo: ") {
			printed.WriteString(strings.Replace(line, "] org/demo: ", "] ", 1))
		}
	}
	if log != console.String() || log != printed.String() {
		l.t.Errorf("log\n%s\nconsole\n%s\nprinted by exec\n%s\ndaemon\n%s", log, console.String(), printed.String(), l.errout)
	}
}

// out0 is the daemon's console.
func (l *launch) out0() string { return l.service.out.String() }

func TestExecBesideADaemonIsToldOnce(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	argv := l.downloader(l.slowHub(), client.Trees)
	if status := l.exec(argv...); status != 0 {
		t.Fatalf("exit status %d\n%s", status, l.read(l.err))
	}
	// Once more: it is cached.
	if status := l.exec(argv...); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	l.wantOnce()
	told := l.told()
	cached := succeeds + "\n" + prepares + "\n" + succeeds + "\n"
	if !strings.HasPrefix(told, prepares+"\n"+downloads+"\n") || !strings.HasSuffix(told, cached) || strings.Count(told, "Preparing") != 2 {
		t.Errorf("told\n%s", told)
	}
}

func TestExecBesideADaemonNamesACauseAndHidesSecrets(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	const secret = "hf_abcdefghijklmnopqrstuvwxyz01234567"
	script := "echo 'Downloading with " + secret + "' >&2; echo \"Error: Access denied. Model 'org/demo' requires approval.\" >&2; sleep 0.2; exit 3"
	for range 2 {
		if status := l.exec("--model", "org/demo", "--", "sh", "-c", script); status != 3 {
			t.Errorf("exit status %d", status)
		}
	}
	failed := fails + "access to org/demo is gated; accept its terms on the hub and pass a token (HF_TOKEN)"
	l.wantOnce()
	l.wantTold(prepares, failed, prepares, failed)
	log := l.log("org--demo.log")
	if strings.Count(log, "[INFO] sh: Downloading with ***\n") != 2 || strings.Contains(log, secret) {
		t.Errorf("log\n%s", log)
	}
}

func TestExecBesideADaemonSaysWhatAProgramDiedOf(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	l.exec(l.asHF("sleep 0.2; echo the last word >&2; exit 1")...)
	l.wantOnce()
	l.wantTold(prepares, fails+"hf ended with exit status 1: the last word")
}

// A daemon that is reloaded or started again goes on where it was.
func TestExecOutlivesItsDaemon(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(*launch){
		"restarted": func(l *launch) { l.stop(); l.daemon() },
		"reloaded":  func(l *launch) { l.send(syscall.SIGHUP); l.until(l.errout, "configuration reloaded") },
	} {
		t.Run(name, func(t *testing.T) {
			l := beside(t)
			l.daemon()
			h, gate := serveHub(t), hub.NewGate()
			h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
			argv := l.downloader(h, client.Trees)
			go func() {
				defer gate.Open()
				if l.awaitText(l.err, "2.0MB/5.0MB") {
					disturb(l)
				}
			}()
			if status := l.exec(argv...); status != 0 {
				t.Fatalf("exit status %d", status)
			}
			l.stop()
			told := l.told()
			for _, once := range []string{"Preparing", "Downloading model", "2.0MB/5.0MB", "successfully"} {
				if strings.Count(told, once) != 1 {
					t.Errorf("%q is not there once:\n%s", once, told)
				}
			}
			if l.alone() {
				t.Error("exec has told by itself")
			}
			if printed := l.read(l.err); strings.Count(printed, "org/demo: Model downloaded successfully") != 1 {
				t.Errorf("printed\n%s", printed)
			}
		})
	}
}

// One that doesn't come back is replaced by a pipeline of exec's own.
func TestExecGoesOnAloneWithoutItsDaemon(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	h, gate := serveHub(t), hub.NewGate()
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
	argv := l.downloader(h, client.Trees)
	go func() {
		defer gate.Open()
		if l.awaitText(l.err, "2.0MB/5.0MB") {
			l.stop()
		}
	}()
	if status := l.exec(argv...); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	told := l.told()
	if strings.Count(told, "successfully") != 1 || !strings.HasSuffix(told, succeeds+"\n") {
		t.Errorf("told\n%s", told)
	}
	if printed := l.read(l.err); strings.Count(printed, "org/demo: Model downloaded successfully") != 1 {
		t.Errorf("printed\n%s", printed)
	}
}

// The cache is made by the download: the daemon takes it when it has found it.
func TestExecBesideADaemonMakesTheCache(t *testing.T) {
	t.Parallel()
	l := beside(t)
	if err := os.Remove(l.path("hub")); err != nil {
		t.Fatal(err)
	}
	l.start()
	l.until(l.errout, "no cache found")
	h, gate := serveHub(t), hub.NewGate()
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
	argv := l.downloader(h, client.Trees)
	told := make(chan struct{})
	go func() {
		defer close(told)
		defer gate.Open()
		l.until(l.service.out, "2.0MB/5.0MB")
	}()
	status := l.exec(argv...)
	<-told
	if status != 0 {
		t.Fatalf("exit status %d", status)
	}
	l.until(l.service.out, "Model downloaded successfully")
	l.stop()
	if told := l.told(); strings.Count(told, "Preparing") != 1 || !strings.HasSuffix(told, succeeds+"\n") || l.alone() {
		t.Errorf("told\n%s", told)
	}
}

// What fails before the cache is made is nobody else's to tell.
func TestExecBesideADaemonTellsByItselfWhereNoCacheCame(t *testing.T) {
	t.Parallel()
	l := beside(t)
	if err := os.Remove(l.path("hub")); err != nil {
		t.Fatal(err)
	}
	l.start()
	l.until(l.errout, "no cache found")
	l.exec(l.asHF("sleep 0.2; echo the last word >&2; exit 1")...)
	l.stop()
	if printed := l.read(l.err); !strings.Contains(printed, "[ERROR] org/demo: Model download failed: hf ended with exit status 1: the last word") {
		t.Errorf("printed\n%s", printed)
	}
	if out := l.service.out.String(); out != "" {
		t.Errorf("the daemon has told\n%s", out)
	}
}

// A daemon that hangs holds up nobody: the program runs on, and ends when it ends.
func TestExecIsNotHeldUpByADaemonThatHangs(t *testing.T) {
	t.Parallel()
	l := beside(t)
	hangs, err := socket.Listen(filepath.Join(l.runtime, "progressd"), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.awaitText(l.out, "the program has ended")
	}()
	began := time.Now()
	done := make(chan int, 1)
	go func() {
		done <- l.exec("--model", "org/demo", "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo \"Error: line $i\"; i=$((i+1)); done >&2; echo the program has ended; exit 4")
	}()
	<-ended
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	if status := <-done; status != 4 {
		t.Errorf("exit status %d", status)
	}
	if printed := l.read(l.err); !strings.Contains(printed, "] org/demo: sh ended with exit status 4: Error: line 2999\n") {
		t.Errorf("printed\n%s", printed[max(0, len(printed)-2000):])
	}
}

// Into a directory beneath a root: it is the root's owner's to tell of.
func TestExecBesideADaemonFollowsALocalDirectory(t *testing.T) {
	t.Parallel()
	l := beside(t)
	mkdir(t, l.path("models"))
	l.write("config.toml", strings.Replace(l.config(), l.path("hub")+`"`, l.path("hub")+`", "`+l.path("models")+`"`, 1))
	l.daemon()
	argv := l.downloader(l.slowHub(), client.Trees, "--local-dir", l.path("models", "demo"))
	if status := l.exec(argv...); status != 0 {
		t.Fatalf("exit status %d\n%s", status, l.read(l.err))
	}
	l.stop()
	told := l.log("demo@local.log")
	if !strings.HasPrefix(told, prepares+"\n"+downloads+"\n") || !strings.HasSuffix(told, succeeds+"\n") || strings.Count(told, "Preparing") != 1 || l.alone() {
		t.Errorf("told\n%s", told)
	}
}
