package confine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// reservedEnv names the directory, of another user, at which this test program is
	// to look; grandchildEnv has it say what it was started with.
	reservedEnv   = "PROGRESSD_TEST_RESERVED"
	grandchildEnv = "PROGRESSD_TEST_GRANDCHILD"
	// nobody is the user that it does so as.
	nobody = 65534
)

// reserved says what a process with a reserved capability can do, each on a line.
func reserved(dir string) {
	private := filepath.Join(dir, "private")
	list := func() error { _, err := os.ReadDir(private); return err }
	waiting, may := new(sync.WaitGroup), make(chan struct{})
	for range 3 { // threads that there are before
		waiting.Go(func() {
			runtime.LockOSThread()
			<-may
			tell("another thread lists", list())
		})
	}
	tell("lists before", list())
	looks, err := Reserve()
	if err != nil {
		tell("refused", err)
		return
	}
	close(may)
	waiting.Wait()
	tell("lists", list())
	lower := looks.Raise()
	tell("lists, raised", list())
	again := looks.Raise()
	again()
	tell("lists, raised twice and lowered once", list())
	child := exec.Command("/proc/self/exe")
	child.Env, child.Stdout = append(os.Environ(), grandchildEnv+"=1"), os.Stdout
	if err := child.Run(); err != nil {
		tell("child", err)
	}
	lower()
	tell("lists, lowered", list())
	(*Reserved)(nil).Raise()()
	manyLook(looks)
}

// manyLook says how many threads have the capability while many look, and others
// are made.
func manyLook(looks *Reserved) {
	const many = 20
	raised, done, end := new(sync.WaitGroup), new(sync.WaitGroup), make(chan struct{})
	wrong := make(chan string, 2*many)
	raised.Add(2 * many)
	for range many {
		done.Go(func() {
			defer looks.Raise()()
			done.Go(func() { // made by one that looks, on a thread of its own
				runtime.LockOSThread() // which ends with it
				if MayReadAll() {
					wrong <- "a thread has what nobody has raised"
				}
				raised.Done()
				<-end
			})
			raised.Done()
			<-end
			if !MayReadAll() {
				wrong <- "it was lowered by another"
			}
		})
	}
	raised.Wait()
	sum := map[string]int{}
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":\t"); strings.HasPrefix(name, "Cap") && strings.TrimLeft(value, "0") == "4\n" {
				sum[name]++
			}
		}
	}
	close(end)
	done.Wait()
	close(wrong)
	for what := range wrong {
		fmt.Println(what)
	}
	fmt.Printf("of at least %v threads inherit %d, ambient %d, effective %d, permitted all: %v\n",
		len(tasks) >= 2*many, sum["CapInh"], sum["CapAmb"], sum["CapEff"], sum["CapPrm"] == len(tasks))
}

// plainly is this test program, which may be copied to where others reach it. With
// cgo, as the race detector has it, Go changes no thread but one, so that it is built
// once more as the daemon is.
func plainly(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "confine.test")
	build := exec.Command("go", "test", "-c", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build it without cgo: %v\n%s", err, out)
	}
	for dir := path; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestOnlyWhoLooksHasTheCapability(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a process of another user a capability")
	}
	program, dir := plainly(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "private"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env, cmd.Stderr = append(os.Environ(), reservedEnv+"="+dir), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true},
		AmbientCaps: []uintptr{unix.CAP_DAC_READ_SEARCH},
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := `lists before: yes
another thread lists: no
another thread lists: no
another thread lists: no
lists: no
lists, raised: yes
lists, raised twice and lowered once: yes
a child has capabilities: false
lists, lowered: no
of at least true threads inherit 0, ambient 0, effective 20, permitted all: true
`
	if string(out) != want {
		t.Errorf("%s\nexpected\n%s", out, want)
	}
}

func BenchmarkRaise(b *testing.B) {
	looks, err := Reserve()
	if err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		looks.Raise()()
	}
}
