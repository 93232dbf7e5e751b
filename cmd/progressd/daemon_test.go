package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/internal/client"
	"progressd/packaging"
)

func TestMain(m *testing.M) {
	client.RunIfCalled() // a downloader of ours is this test binary again
	runIfLibrary()
	// Nearly all tests here wait, most of the time: for a poll, a client, a
	// verdict. All of them wait at the same time.
	_ = flag.Set("test.parallel", "100")
	goleak.VerifyTestMain(m)
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

// A service is the program running in this process, with signals by channel.
type service struct {
	t           *testing.T
	dir         string
	out, errout *output
	signals     chan os.Signal
	toggles     chan os.Signal
	exited      chan int
	aborted     chan int
	runtime     string // XDG_RUNTIME_DIR; empty: no socket
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
// test's directory. Nothing in it is quicker than what users get: a test waits as
// long as they do, beside all others. Only the steps are smaller, as the models
// are: how often progress is told is no timing.
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

func (d *service) start(args ...string) {
	d.t.Helper()
	if len(args) == 0 {
		args = []string{"--config", d.path("config.toml")}
	}
	d.out, d.errout = &output{news: make(chan struct{}, 1)}, &output{news: make(chan struct{}, 1)}
	d.signals, d.exited, d.aborted = make(chan os.Signal, 8), make(chan int, 1), make(chan int, 1)
	d.toggles = make(chan os.Signal, 1)
	exited := d.exited
	w := world{
		stdout: d.out, stderr: d.errout, signals: d.signals, toggles: d.toggles,
		getenv: func(name string) string { return map[string]string{"HOME": d.dir, "XDG_RUNTIME_DIR": d.runtime}[name] },
		exit:   func(status int) { d.aborted <- status },
	}
	go func() { exited <- run(args, w) }()
	d.t.Cleanup(func() {
		select {
		case d.signals <- syscall.SIGTERM:
		default:
		}
		select {
		case status := <-exited:
			exited <- status
		case <-time.After(patient):
			d.t.Error("the daemon doesn't stop")
		}
	})
}

func (d *service) stop(want int) {
	d.t.Helper()
	d.signals <- syscall.SIGTERM
	d.ended(want)
}

func (d *service) ended(want int) {
	d.t.Helper()
	select {
	case got := <-d.exited:
		d.exited <- got
		if got != want {
			d.t.Fatalf("exit status %d, want %d\n%s", got, want, d.errout)
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
