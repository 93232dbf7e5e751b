package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/internal/client"
	"progressd/internal/hub"
)

// Users of the machine that have no name: whom the daemon runs as, and whose the
// caches are.
const daemonUID, aliceUID = 64001, 64002

// asTheUnitDoes starts the daemon as the unit has it: built without cgo, as a user of
// its own with the one capability.
func (d *service) asTheUnitDoes() *exec.Cmd {
	d.t.Helper()
	for _, name := range []string{"log", "state", "run"} {
		mkdir(d.t, d.path(name))
		if err := os.Chown(d.path(name), daemonUID, daemonUID); err != nil {
			d.t.Fatal(err)
		}
	}
	for dir := d.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			d.t.Fatal(err)
		}
	}
	program := d.path("progressd")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		d.t.Fatalf("cannot build the daemon: %v\n%s", err, out)
	}
	d.out, d.errout = &output{news: make(chan struct{}, 1)}, &output{news: make(chan struct{}, 1)}
	cmd := exec.Command(program, "--config", d.path("config.toml"))
	cmd.Stdout, cmd.Stderr = d.out, d.errout
	cmd.Env = []string{"RUNTIME_DIRECTORY=" + d.path("run"), "GOTRACEBACK=crash"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: daemonUID, Gid: daemonUID, NoSetGroups: true},
		AmbientCaps: []uintptr{unix.CAP_DAC_READ_SEARCH},
		Pdeathsig:   syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// A thread is what the kernel tells of one.
type thread struct {
	id string
	// permitted and effective are its capabilities, ambient and inheritable those that
	// a program would get which it starts.
	permitted, effective, ambient, inheritable string
	// call is the number of the system call that it is in, or "running".
	call string
}

func threads(t *testing.T, pid int) (all []thread) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no thread of process %d: %v", pid, err)
	}
	for _, task := range tasks {
		th := thread{id: filepath.Base(task)}
		status, err := os.ReadFile(filepath.Join(task, "status"))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			for of, into := range map[string]*string{"CapPrm": &th.permitted, "CapEff": &th.effective, "CapAmb": &th.ambient, "CapInh": &th.inheritable} {
				if name == of {
					*into = strings.TrimLeft(value, "0")
				}
			}
		}
		call, _ := os.ReadFile(filepath.Join(task, "syscall"))
		th.call, _, _ = strings.Cut(strings.TrimSpace(string(call)), " ")
		all = append(all, th)
	}
	return all
}

const (
	// looksOnly is CAP_DAC_READ_SEARCH alone, as /proc/PID/status has it.
	looksOnly = "4"
	// settled is for how long a thread has to have the capability to count as one
	// that keeps it.
	settled = time.Second
)

// keepers are the threads that have the capability all the time for as long as it
// takes to see that.
func keepers(t *testing.T, pid int) (keep []thread) {
	t.Helper()
	first := true
	for end := time.Now().Add(settled); time.Now().Before(end); <-time.After(settled / 50) {
		now := threads(t, pid)
		for _, th := range now {
			if th.permitted != looksOnly || th.ambient+th.inheritable != "" || th.effective != "" && th.effective != looksOnly {
				t.Fatalf("thread %+v", th)
			}
		}
		has := slices.DeleteFunc(now, func(th thread) bool { return th.effective == "" })
		if first {
			keep, first = has, false
		}
		keep = slices.DeleteFunc(keep, func(th thread) bool {
			return !slices.ContainsFunc(has, func(other thread) bool { return other.id == th.id })
		})
	}
	return keep
}

// looking are the system calls by which a cache is looked at.
var looking = []string{
	strconv.Itoa(unix.SYS_OPENAT), strconv.Itoa(unix.SYS_NEWFSTATAT), strconv.Itoa(unix.SYS_FSTAT), strconv.Itoa(unix.SYS_GETDENTS64),
	strconv.Itoa(unix.SYS_STATX), strconv.Itoa(unix.SYS_FSTATFS), strconv.Itoa(unix.SYS_INOTIFY_ADD_WATCH),
}

// In private caches of another user, one of which hangs: who looks there has the
// capability, and nobody else, while downloads go on and the socket is served.
func TestOnlyThreadsThatLookHaveTheCapability(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a daemon of another user with a capability")
	}
	t.Parallel()
	d := newService(t)
	mkdir(t, d.path("home", "far", "hub"))
	mkdir(t, d.path("disk"))
	mkdir(t, d.path("home", "alice", "hub"))
	if err := os.Symlink(d.path("home", "alice", "hub"), d.path("hub")); err != nil { // where a client of the tests downloads to
		t.Fatal(err)
	}
	slow := &door{}
	behind(t, slow, d.path("disk"), d.path("home", "far", "hub"))
	for _, home := range []string{"far", "alice"} {
		private := d.path("home", home)
		if err := os.Chown(private, aliceUID, aliceUID); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(private, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d.write("config.toml", strings.Replace(d.config(), d.path("hub")+`"`, d.path("home", "*", "hub")+`"`, 1))
	daemon := d.asTheUnitDoes()
	d.until(d.errout, "msg=watching caches=")
	for _, home := range []string{"far", "alice"} { // on a busy machine one may be found a moment later
		d.until(d.errout, `msg="cache found" root=`+d.path("home", home, "hub"))
	}
	nobodyKeeps(t, daemon.Process.Pid, "what was found is looked at, for the first time") // some take long on a busy machine
	h := serveHub(t)
	gate := hub.NewGate()
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate, Times: 1})
	slow.close()
	d.download(h, client.Trees)
	d.until(d.out, "org/demo: Download progress: 2.0MB/5.0MB ~ 40.0%")
	served, err := net.Dial("unix", d.path("run", "progressd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	for end := time.Now().Add(patient); slow.waiting() == 0; <-time.After(settled / 50) {
		if time.Now().After(end) {
			t.Fatal("nothing hangs")
		}
	}
	kept := keepers(t, daemon.Process.Pid)
	if len(kept) == 0 || len(kept) >= len(threads(t, daemon.Process.Pid))/2 {
		t.Errorf("where one cache hangs: %+v", kept)
	}
	for _, th := range kept {
		if !slices.Contains(looking, th.call) {
			t.Errorf("a thread that doesn't look: %+v", th)
		}
	}
	gate.Open()
	d.until(d.out, "[SUCCESS] org/demo: Model downloaded successfully\n")
	slow.open()
	nobodyKeeps(t, daemon.Process.Pid, "nothing hangs any more")
	if opener := children(t, daemon.Process.Pid); len(opener) != 1 || len(keepers(t, opener[0])) != 0 {
		t.Errorf("the opener keeps it, or there is none: %v", opener)
	}
}

// nobodyKeeps waits until no thread of a process has the capability for long.
func nobodyKeeps(t *testing.T, pid int, when string) {
	t.Helper()
	for end := time.Now().Add(patient); ; {
		kept := keepers(t, pid)
		if len(kept) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("when %s: %+v", when, kept)
		}
	}
}

// children are the processes that a process has started.
func children(t *testing.T, pid int) (all []int) {
	t.Helper()
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
	}
	return all
}
