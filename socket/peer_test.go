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
		o.Find = func(run Run) (Place, error) { return Place{Root: run.Root, Repo: run.Repo, Owner: os.Getuid()}, nil }
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

func TestPIDsOfOtherNamespacesAreLookedUp(t *testing.T) {
	proc := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// 100 is on this machine itself; 200 in a container, with two threads that
	// have started 301 and 302, and 303, which has made a namespace once more.
	write("100/status", "Name:\texec\nNSpid:\t100\n")
	write("200/status", "Name:\texec\nNSpid:\t200\t1\n")
	write("200/task/200/children", "301 303 ")
	write("200/task/201/children", "302 nonsense 304")
	write("301/status", "NSpid:\t301\t7\n")
	write("302/status", "NSpid:\t302\t8\n")
	write("303/status", "NSpid:\t303\t9\t8\n")
	write("304/status", "NSpid:\t304\t10\n")
	write("400/status", "Name:\told kernel\n")
	for _, test := range []struct {
		name                string
		reporter, pid, want int
	}{
		{"of this namespace", 100, 7, 7},
		{"of a container", 200, 7, 301},
		{"by another thread", 200, 8, 302},
		{"in a namespace once more", 200, 9, 0},
		{"has ended, or is another's child", 200, 100, 0},
		{"behind what isn't understood", 200, 10, 0},
		{"a reporter that can't be seen", 0, 7, 0},
		{"a kernel that doesn't say", 400, 7, 7},
		{"a reporter that has ended", 500, 7, 7},
	} {
		if got := pidHere(proc, test.reporter, test.pid); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}
