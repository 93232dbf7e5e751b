package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// confinedEnv names the directory for which this test program is to be confined.
const confinedEnv = "PROGRESSD_TEST_CONFINED"

func TestMain(m *testing.M) {
	switch dir := os.Getenv(confinedEnv); {
	case os.Getenv(grandchildEnv) != "":
		c := now()
		fmt.Println("a child has capabilities:", c[0].Permitted|c[0].Effective|c[0].Inheritable != 0)
		return
	case os.Getenv(reservedEnv) != "":
		reserved(os.Getenv(reservedEnv))
		return
	case dir != "":
		confined(dir)
		return
	}
	os.Exit(m.Run())
}

// confined says what a confined process can do, each on a line.
func confined(dir string) {
	in := func(elements ...string) string { return filepath.Join(append([]string{dir}, elements...)...) }
	waiting, may := new(sync.WaitGroup), make(chan struct{})
	for range 3 { // threads that there are before
		waiting.Go(func() {
			runtime.LockOSThread()
			<-may
			tell("another thread reads a secret", try(in("secret", "key")))
		})
	}
	err := Restrict(Rules{Read: []string{in("read"), in("file"), in("none")}, Write: []string{in("write")}})
	if err != nil {
		tell("refused", err)
		return
	}
	close(may)
	waiting.Wait()
	_, err = os.ReadDir(in("secret"))
	tell("lists", err)
	_, err = os.Stat(in("secret", "key"))
	tell("stats", err)
	tell("reads what it may", try(in("read", "sub", "x")))
	tell("reads a file that it may", try(in("file")))
	tell("reads a secret", try(in("secret", "key")))
	tell("reads a secret by a link", try(in("read", "link")))
	tell("writes", os.WriteFile(in("write", "new"), []byte("x"), 0o600))
	tell("renames", os.Rename(in("write", "new"), in("write", "sub", "newer")))
	tell("reads its own", try(in("write", "sub", "newer")))
	tell("truncates its own", os.Truncate(in("write", "sub", "newer"), 0))
	tell("writes where it reads", os.WriteFile(in("read", "new"), nil, 0o600))
	tell("writes elsewhere", os.WriteFile(in("secret", "new"), nil, 0o600))
	tell("removes elsewhere", os.Remove(in("secret", "key")))
	tell("runs a program", exec.Command("/proc/self/exe").Run())
	tell("widens it", Restrict(Rules{Read: []string{"/"}}))
	tell("reads a secret after that", try(in("secret", "key")))
}

var telling sync.Mutex

func tell(what string, err error) {
	telling.Lock()
	defer telling.Unlock()
	says := "yes"
	switch {
	case errors.Is(err, unix.EACCES):
		says = "no"
	case err != nil:
		says = err.Error()
	}
	fmt.Printf("%s: %s\n", what, says)
}

func try(path string) error {
	_, err := os.ReadFile(path)
	return err
}

func TestWhatAConfinedProcessCanDo(t *testing.T) {
	if Version() == 0 {
		t.Skip("this kernel has no Landlock")
	}
	dir := t.TempDir()
	for _, sub := range []string{"read/sub", "write/sub", "secret"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"read/sub/x", "file", "secret/key"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret/key", filepath.Join(dir, "read", "link")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(plainly(t))
	cmd.Env = append(os.Environ(), confinedEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	renames := "yes"
	if Version() < knowsRefer {
		renames = "rename"
	}
	want := strings.ReplaceAll(`another thread reads a secret: no
another thread reads a secret: no
another thread reads a secret: no
lists: yes
stats: yes
reads what it may: yes
reads a file that it may: yes
reads a secret: no
reads a secret by a link: no
writes: yes
renames: RENAMES
reads its own: yes
truncates its own: yes
writes where it reads: no
writes elsewhere: no
removes elsewhere: no
runs a program: no
widens it: yes
reads a secret after that: no
`, "RENAMES", renames)
	if string(out) != want {
		t.Errorf("%s\nexpected\n%s", out, want)
	}
}
