package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/internal/manager"
	"progressd/packaging"
)

func TestMain(m *testing.M) {
	runIfShell()
	client.RunIfCalled() // a downloader of ours is this test binary again
	// Nearly all tests here wait, most of the time: for a poll, a client, a verdict.
	_ = flag.Set("test.parallel", "8")
	dir, err := os.MkdirTemp("", "progressd")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	progressd = filepath.Join(dir, "progressd")
	// As "make build" does: what is compiled for the one serves the other.
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", progressd, "progressd/cmd/progressd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("cannot build the daemon: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(dir)
		os.Exit(status)
	}))
}

// progressd is the daemon, built from this tree.
var progressd string

var demo = hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}

const (
	mb      = 1_000_000
	weights = "sub/model.safetensors"
)

// serveHub starts a hub with one model of two files, 5 MB in all.
func serveHub(t *testing.T) *hub.Hub {
	t.Helper()
	h := hub.New(hub.Options{})
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	_, _, err := h.Publish(demo, "main",
		hub.File{Path: "config.json", Size: 1000},
		hub.File{Path: weights, Size: 5*mb - 1000, Storage: hub.LFS})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// output is what a stream has printed so far; tests wait for it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	select {
	case o.news <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// A service is a daemon in a process of its own, one after the other.
type service struct {
	t           *testing.T
	dir         string
	out, errout *output
	cmd         *exec.Cmd
	exited      chan struct{}
	runtime     string // XDG_RUNTIME_DIR; empty: its socket is found by nobody
}

// patient is how long a test waits for something that must come: for longer
// than the longest verdict, interrupted, takes.
const patient = 2 * time.Minute

func newService(t *testing.T) *service {
	t.Helper()
	d := &service{t: t, dir: t.TempDir()}
	d.write("config.toml", d.config())
	return d
}

// config is that of the packaged service, and touches nothing outside of the
// test's directory. Only the steps are smaller, as the models are: how often
// progress is told is no timing.
func (d *service) config() string {
	paths := packaging.Paths{Roots: []string{d.path("hub")}, Logs: d.path("log"), State: d.path("state")}
	return "step = \"1MB\"\n" + packaging.Config(paths) + "[journal]\nenabled = false\n"
}

func (d *service) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

func (d *service) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *service) start() {
	d.t.Helper()
	d.out, d.errout = &output{news: make(chan struct{}, 1)}, &output{news: make(chan struct{}, 1)}
	cmd, exited := exec.Command(progressd, "--config", d.path("config.toml")), make(chan struct{})
	cmd.Env = append(manager.Environ(), "HOME="+d.dir, "XDG_RUNTIME_DIR="+d.runtime)
	if d.runtime == "" {
		cmd.Env = append(cmd.Env, "RUNTIME_DIRECTORY="+d.path("run")) // not the system's
	}
	cmd.Stdout, cmd.Stderr = d.out, d.errout
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.cmd, d.exited = cmd, exited
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	d.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
}

func (d *service) send(sig os.Signal) { _ = d.cmd.Process.Signal(sig) }

// hang stops the daemon, until the test ends: no thread of it does anything any more.
func (d *service) hang() {
	d.t.Helper()
	d.send(syscall.SIGSTOP)
	d.t.Cleanup(func() { d.send(syscall.SIGCONT) })
	threads := fmt.Sprintf("/proc/%d/task/*/stat", d.cmd.Process.Pid)
	for end := time.Now().Add(10 * time.Second); runs(d.t, threads); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatal("the daemon doesn't stand still")
		}
	}
}

// runs reports whether some thread isn't stopped.
func runs(t *testing.T, threads string) bool {
	t.Helper()
	paths, err := filepath.Glob(threads)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d, %v", threads, len(paths), err)
	}
	return slices.ContainsFunc(paths, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && !strings.Contains(string(text), ") T ")
	})
}

// stop has the daemon end, as one that was asked to does.
func (d *service) stop() {
	d.t.Helper()
	d.send(syscall.SIGTERM)
	select {
	case <-d.exited:
		if status := d.cmd.ProcessState.ExitCode(); status != 0 {
			d.t.Fatalf("exit status %d\n%s", status, d.errout)
		}
	case <-time.After(patient):
		d.t.Fatalf("still running\n%s%s", d.out, d.errout)
	}
}

// until waits for a text on a stream.
func (d *service) until(o *output, text string) {
	d.t.Helper()
	timeout := time.After(patient)
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.news:
		case <-timeout:
			d.t.Fatalf("%q did not come\nstdout:\n%s\nstderr:\n%s", text, d.out, d.errout)
		}
	}
}

var clock = regexp.MustCompile(`(?m)^\[\d\d:\d\d:\d\d [AP]M\] `)

// log reads a model's log without the times.
func (d *service) log(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(d.path("log", name))
	if err != nil {
		d.t.Fatal(err)
	}
	if lines, stamps := strings.Count(string(text), "\n"), len(clock.FindAll(text, -1)); lines != stamps {
		d.t.Errorf("%d lines, %d with a time:\n%s", lines, stamps, text)
	}
	return clock.ReplaceAllString(string(text), "")
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Clean(path), 0o755); err != nil {
		t.Fatal(err)
	}
}
