package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"progressd/internal/client"
	"progressd/internal/hub"
)

// beside starts a daemon that progressd exec finds.
func beside(t *testing.T) *launch {
	t.Helper()
	l := newLaunch(t)
	run, err := os.MkdirTemp("", "pd") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	l.runtime = run
	t.Setenv("XDG_RUNTIME_DIR", run)
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
	l.stop(exitOK)
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
	l := beside(t)
	l.daemon()
	l.exec(l.asHF("sleep 0.2; echo the last word >&2; exit 1")...)
	l.wantOnce()
	l.wantTold(prepares, fails+"hf ended with exit status 1: the last word")
}

// A daemon that is reloaded or started again goes on where it was.
func TestExecOutlivesItsDaemon(t *testing.T) {
	for name, disturb := range map[string]func(*launch){
		"restarted": func(l *launch) { l.stop(exitOK); l.daemon() },
		"reloaded":  func(l *launch) { l.service.signals <- syscall.SIGHUP; l.until(l.errout, "configuration reloaded") },
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
			l.stop(exitOK)
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
