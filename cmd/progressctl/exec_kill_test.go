package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/socket"
)

// spawn starts the daemon and waits until it watches. What it returns sends it
// a signal to end, and waits for that.
func (l *launch) spawn() (end func(os.Signal)) {
	l.t.Helper()
	l.daemon()
	cmd, exited := l.cmd, l.exited
	return func(sig os.Signal) {
		_ = cmd.Process.Signal(sig)
		<-exited
	}
}

// wantEach holds what was told against once for each of these texts.
func (l *launch) wantEach(where, told string, texts ...string) {
	l.t.Helper()
	for _, once := range texts {
		if n := strings.Count(told, once); n != 1 {
			l.t.Errorf("%s: %q is there %d times:\n%s", where, once, n, told)
		}
	}
}

// A daemon that is killed with all that it knew is started again by its
// supervisor, and goes on; or it isn't, and exec goes on without it.
func TestExecOutlivesADaemonThatIsKilled(t *testing.T) {
	t.Parallel()
	for name, comesBack := range map[string]bool{"and comes back": true, "for good": false} {
		t.Run(name, func(t *testing.T) {
			l := beside(t)
			end := l.spawn()
			h, gate := serveHub(t), hub.NewGate()
			h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
			argv := l.downloader(h, client.Trees)
			go func() {
				defer gate.Open()
				l.awaitText(l.err, "2.0MB/5.0MB")
				// A line that is no verdict would be lost with the daemon before.
				l.awaitIn(l.path("log", "org--demo.log"), "2.0MB/5.0MB")
				end(syscall.SIGKILL)
				if comesBack {
					end = l.spawn()
				}
			}()
			if status := l.exec(argv...); status != 0 {
				t.Fatalf("exit status %d", status)
			}
			end(syscall.SIGTERM)
			printed := l.read(l.err)
			l.wantEach("standard error", printed, "2.0MB/5.0MB", "org/demo: Model downloaded successfully")
			if comesBack {
				l.wantEach("the log", l.told(), "Preparing", "Downloading model", "2.0MB/5.0MB", "successfully")
			}
			if told := l.told(); !strings.HasSuffix(told, succeeds+"\n") {
				t.Errorf("the log\n%s", told)
			}
			if l.alone() {
				t.Error("exec has kept a log apart from that of a daemon that is gone")
			}
		})
	}
}

// What fails while nobody hears it is told all the same.
func TestExecTellsOfAFailureThatItsDaemonDidNotLiveToHear(t *testing.T) {
	t.Parallel()
	l := beside(t)
	end := l.spawn()
	go func() {
		l.awaitText(l.err, "Preparing to download model")
		end(syscall.SIGKILL)
		l.write("go on", "")
	}()
	script := "while ! test -e '" + l.path("go on") + "'; do sleep 0.02; done; echo \"Error: Access denied. Model 'org/demo' requires approval.\" >&2; exit 3"
	if status := l.exec("--model", "org/demo", "--", "sh", "-c", script); status != 3 {
		t.Errorf("exit status %d", status)
	}
	failed := "access to org/demo is gated"
	l.wantEach("standard error", l.read(l.err), "Model download failed: "+failed)
	l.wantEach("the log", l.told(), fails+failed)
}

// An exec that starts while the daemon does, or reloads, is heard by it.
func TestExecWaitsForADaemonThatIsNotReadyYet(t *testing.T) {
	t.Parallel()
	t.Run("reloading", func(t *testing.T) {
		l := beside(t)
		l.daemon()
		stop, reloads := make(chan struct{}), sync.WaitGroup{}
		reloads.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
					l.send(syscall.SIGHUP)
				}
			}
		})
		failed := "Model download failed: hf ended with exit status 1: the last word"
		l.exec(l.asHF("echo the last word >&2; exit 1")...)
		close(stop)
		reloads.Wait()
		l.stop()
		l.wantEach("the log", l.told(), failed)
		l.wantEach("standard error", l.read(l.err), failed)
		if l.alone() {
			t.Error("exec has told by itself")
		}
	})
	t.Run("starting", func(t *testing.T) {
		l := beside(t)
		started := make(chan struct{})
		go func() {
			defer close(started)
			l.daemon()
		}()
		for { // from the moment on at which there is somebody to wait for
			if _, err := os.Stat(filepath.Join(l.runtime, "progressd", socket.Name)); err == nil {
				break
			}
			<-time.After(time.Millisecond)
		}
		l.exec(l.asHF("sleep 0.1; echo the last word >&2; exit 1")...)
		<-started
		l.wantOnce()
		l.wantTold(prepares, fails+"hf ended with exit status 1: the last word")
	})
}
