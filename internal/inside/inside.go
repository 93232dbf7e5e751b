// Package inside runs a test again in namespaces of its own, where it may mount
// what it likes.
package inside

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// insideEnv is set in the process that a test was started in again.
const insideEnv = "PROGRESSD_TEST_INSIDE"

// Namespace runs the rest of the calling test in a process of its own, in a
// user and a mount namespace: as root there, or with another uid as a user
// without capabilities. It reports whether this is that process. The caller
// returns where it isn't; such tests run at the same time.
func Namespace(t *testing.T, uid int) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		return true
	}
	t.Parallel()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil || cmd.ProcessState == nil {
		t.Skipf("user namespaces are refused here: %v", err)
	}
	if err != nil {
		t.Fatalf("in a namespace: %v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skipf("skipped in a namespace:\n%s", out)
	}
	if !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("the test did not run in the namespace:\n%s", out)
	}
	return false
}
