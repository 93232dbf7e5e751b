package socket

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"progressd/hfcache"
	"progressd/tracker"
)

// What the test binary does instead of testing: report a child of its own at
// the socket that reporterEnv names, or be that child.
const (
	reporterEnv   = "SOCKET_TEST_REPORTS_AT"
	downloaderEnv = "SOCKET_TEST_DOWNLOADS"
)

func reportIfCalled() {
	switch path := os.Getenv(reporterEnv); {
	case os.Getenv(downloaderEnv) != "":
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case path != "":
		os.Exit(reportChild(path))
	}
}

// reportChild reports a child until its own standard input ends.
func reportChild(path string) int {
	child := exec.Command("/proc/self/exe")
	child.Env, child.Stdin = []string{downloaderEnv + "=1"}, os.Stdin
	if err := child.Start(); err != nil {
		return 1
	}
	r := run()
	r.PID = child.Process.Pid
	c, err := Dial(context.Background(), path, r)
	if err != nil {
		return 1
	}
	defer c.Close()
	_ = child.Wait()
	return 0
}

func TestAReporterOfAnotherPIDNamespaceIsUnderstood(t *testing.T) {
	g := newRig(t, func(o *Options) {
		o.Peer, o.Proc = nil, ""
		o.Find = func(run Run) (Watched, error) {
			return Watched{Place: hfcache.Place{Root: run.Root, Repo: run.Repo}, Owner: os.Getuid()}, nil
		}
	})
	reporter := exec.Command("/proc/self/exe")
	reporter.Env, reporter.Stderr = []string{reporterEnv + "=" + g.path}, os.Stderr
	reporter.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Getuid() != 0 {
		reporter.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	}
	hold, err := reporter.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reporter.Start(); err != nil {
		t.Skipf("no namespace can be made here: %v", err)
	}
	t.Cleanup(func() { _ = hold.Close(); _ = reporter.Wait() })
	process := g.hears(tracker.RunBegan).Process
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(process.PID), "environ"))
	if process.Started == 0 || err != nil || !strings.Contains(string(environ), downloaderEnv) {
		t.Errorf("it is taken for %+v (%v), whose environment is %q", process, err, environ)
	}
}
