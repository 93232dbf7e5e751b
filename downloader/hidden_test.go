package downloader

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestHidden(t *testing.T) {
	if ProcDir(fakeProc(t, 1, map[string]string{"stat": statLine("systemd", "S", "1")})).Hidden() {
		t.Error("the first process is there, and others are hidden")
	}
	if !ProcDir(fakeProc(t, 4242, map[string]string{"stat": statLine("hf", "S", "777")})).Hidden() {
		t.Error("there is no first process, and none is hidden")
	}
}

const hiddenEnv = "DOWNLOADER_TEST_HIDDEN"

// TestHiddenByTheKernel asks as a user without rights, with each way to mount a
// real /proc.
func TestHiddenByTheKernel(t *testing.T) {
	if dir := os.Getenv(hiddenEnv); dir != "" {
		if ProcDir(dir).Hidden() {
			os.Exit(3)
		}
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a /proc")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for options, hidden := range map[string]bool{"hidepid=0": false, "hidepid=1": true, "hidepid=2": true, "hidepid=2,gid=1000": false} {
		t.Run(options, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "proc")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("proc", dir, "proc", 0, options); err != nil {
				t.Skipf("cannot mount a /proc: %v", err)
			}
			defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
			enterable(t, filepath.Dir(dir))
			program := filepath.Join(t.TempDir(), "test")
			copyFile(t, exe, program)
			cmd := exec.Command(program, "-test.run=^TestHiddenByTheKernel$")
			cmd.Env = append(os.Environ(), hiddenEnv+"="+dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != 0 && code != 3 {
				t.Fatalf("%v\n%s", err, out)
			}
			if got := cmd.ProcessState.ExitCode() == 3; got != hidden {
				t.Errorf("hidden is %v", got)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
	enterable(t, filepath.Dir(to))
}

// enterable lets other users into a test's directory, which is its user's alone.
func enterable(t *testing.T, dir string) {
	t.Helper()
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
