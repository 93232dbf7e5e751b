package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"progressd/config"
	"progressd/daemon"
	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/record"
)

var demo = hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}

const mb = 1_000_000

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
		hub.File{Path: "sub/model.safetensors", Size: 5*mb - 1000, Storage: hub.LFS})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// download starts a downloader in a process of its own.
func (d *service) download(h *hub.Hub, gen client.Generation, args ...string) *exec.Cmd {
	d.t.Helper()
	hh := client.HH{Endpoint: h.URL(), Root: d.path("hub"), Generation: gen, Chunk: mb / 2, Workers: 1}
	cmd, err := client.Command(context.Background(), d.t.TempDir(), hh, append([]string{demo.ID}, args...)...)
	if err != nil {
		d.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		name, args   string
		status       int
		stdout, says string
	}{
		{"version", "--version", 0, "progressd ", ""},
		{"help", "--help", 0, "Usage: progressd", ""},
		{"help, short", "-h", 0, "Usage: progressd", ""},
		{"help, a word", "help", 0, "Usage: progressd", ""},
		{"version, a word", "version", 0, "progressd ", ""},
		{"help, one of two words", "help exec", 2, "", `unexpected argument "help"`},
		{"unknown flag", "--frobnicate", 2, "", "flag provided but not defined: -frobnicate"},
		{"argument", "org/model", 2, "", `unexpected argument "org/model"`},
		{"no such file", "--config /nowhere/x.toml", 2, "", "/nowhere/x.toml"},
		{"no such file, checked", "--check --config /nowhere/x.toml", 2, "", "/nowhere/x.toml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &service{t: t, dir: t.TempDir()}
			d.start(strings.Fields(c.args)...)
			d.ended(c.status)
			if !strings.HasPrefix(d.out.String(), c.stdout) || !strings.Contains(d.errout.String(), c.says) {
				t.Fatalf("stdout %q, stderr %q", d.out, d.errout)
			}
		})
	}
}

func TestABadConfigurationStartsNothing(t *testing.T) {
	t.Parallel()
	d := newService(t)
	d.write("config.toml", "poll_interval = \"5s\"\n\nstep = \"0MB\"\n")
	d.start()
	d.ended(exitUsage)
	if !strings.Contains(d.errout.String(), "config.toml:3: step: ") {
		t.Fatalf("no file, line and key: %s", d.errout)
	}
	if _, err := os.Stat(d.path(".local")); err == nil {
		t.Fatal("something was made")
	}
}

func TestCheckTellsWhatWouldBeWatched(t *testing.T) {
	t.Parallel()
	d := newService(t)
	for _, folder := range []string{"models--org--demo", "datasets--org--data", "version.txt", ".locks"} {
		if err := os.MkdirAll(d.path("hub", folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.start("--check", "--config", d.path("config.toml"))
	d.ended(exitOK)
	for _, want := range []string{d.path("config.toml"), d.path("log"), d.path("state"), d.path("hub") + "  2 repositories"} {
		if !strings.Contains(d.out.String(), want) {
			t.Errorf("%q is missing:\n%s", want, d.out)
		}
	}
	if _, err := os.Stat(d.path("state")); err == nil {
		t.Error("the check made a state directory")
	}
}

func TestWithoutAnyCacheItSaysWhereItLookedAndWaits(t *testing.T) {
	t.Parallel()
	d := newService(t)
	d.start()
	d.until(d.errout, "no cache found")
	d.until(d.errout, d.path("hub"))
	h := serveHub(t)
	d.download(h, client.Trees)
	d.until(d.out, "Preparing to download model: org/demo")
	d.until(d.out, "Model downloaded successfully")
	d.stop(exitOK)
}

func TestADownloadIsToldInConsoleAndLog(t *testing.T) {
	t.Parallel()
	d := newService(t)
	mkdir(t, d.path("hub"))
	d.start()
	d.until(d.errout, "watching")
	h := serveHub(t)
	gate := hub.NewGate()
	h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: 2 * mb, Gate: gate})
	d.download(h, client.Trees)
	d.until(d.out, "Download progress: 2.0MB/5.0MB ~ 40.0%")
	gate.Open()
	d.until(d.out, "[SUCCESS] org/demo: Model downloaded successfully\n")
	d.stop(exitOK)
	log := d.log("org--demo.log")
	want := "[INFO] Preparing to download model: org/demo\n[INFO] Downloading model: 5.0MB in 2 files\n"
	if !strings.HasPrefix(log, want) || strings.Count(log, "\n[SUCCESS] Model downloaded successfully\n") != 1 {
		t.Fatalf("log:\n%s", log)
	}
}

// The same as records, for a collector of logs.
func TestADownloadIsToldAsJSON(t *testing.T) {
	t.Parallel()
	d := newService(t)
	d.write("config.toml", d.config()+"[console]\nformat = \"json\"\n")
	mkdir(t, d.path("hub"))
	d.start()
	d.until(d.errout, "watching")
	h, gate := serveHub(t), hub.NewGate()
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
	cmd := d.download(h, client.Trees)
	d.until(d.out, `"event":"progress"`) // so it was seen who downloads
	gate.Open()
	wait(t, cmd)
	d.until(d.out, `"event":"completed"`)
	d.stop(exitOK)
	var events []string
	for line := range strings.Lines(d.out.String()) {
		var r record.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Model != "org/demo" || r.ID == "" || r.Root != d.path("hub") || r.Time.IsZero() || r.PID == 0 && r.Event == "progress" {
			t.Errorf("%s", line)
		}
		events = append(events, r.Event)
	}
	if len(events) < 3 || events[0] != "preparing" || events[1] != "started" || events[len(events)-1] != "completed" {
		t.Errorf("%q", events)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	t.Run("D3 leftovers are told once a day", faultD3)
	t.Run("D10 a model that is there at the first start is silent", faultD10)
	t.Run("D14 finished while the daemon was down: completed once", faultD14)
	t.Run("D9 removed while the daemon was down: told once", faultD9)
	t.Run("D11 killed, then resumed", faultD11)
	t.Run("D19 a disk that is too small is told ahead, a full one named by the verdict", faultD19)
	t.Run("P1 a bad reload keeps the old configuration, a good one is taken up", faultP1)
	t.Run("P2 the second signal is obeyed at once", faultP2)
	t.Run("P3 a second daemon on the same state harms nothing", faultP3)
}

func faultD10(t *testing.T) {
	t.Parallel()
	d := newService(t)
	h := serveHub(t)
	wait(t, d.download(h, client.Trees))
	for range 2 {
		d.start()
		d.until(d.errout, "watching")
		other := hfcache.Repo{Type: hfcache.Model, ID: "org/other"}
		if _, _, err := h.Publish(other, "main", hub.File{Path: "a.bin", Size: 10}); err != nil {
			t.Fatal(err)
		}
		d.stop(exitOK)
		if strings.Contains(d.out.String(), "org/demo") {
			t.Fatalf("it spoke of a model that was there:\n%s", d.out)
		}
	}
}

func faultD14(t *testing.T) {
	t.Parallel()
	d := newService(t)
	mkdir(t, d.path("hub"))
	h := serveHub(t)
	gate := hub.NewGate()
	h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: 2 * mb, Gate: gate})
	d.start()
	d.until(d.errout, "watching")
	cmd := d.download(h, client.Trees)
	d.until(d.out, "2.0MB/5.0MB")
	d.stop(exitOK)
	gate.Open()
	wait(t, cmd)
	d.start()
	d.until(d.out, "Model downloaded successfully")
	d.stop(exitOK)
	d.start()
	d.until(d.errout, "watching")
	d.stop(exitOK)
	log := d.log("org--demo.log")
	for _, once := range []string{"Preparing", "Downloading model: 5.0MB in 2 files", "2.0MB/5.0MB", "downloaded successfully"} {
		if strings.Count(log, once) != 1 {
			t.Errorf("%q stands %d times:\n%s", once, strings.Count(log, once), log)
		}
	}
}

func faultD9(t *testing.T) {
	t.Parallel()
	d := newService(t)
	mkdir(t, d.path("hub"))
	h := serveHub(t)
	h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: 2 * mb, Gate: hub.NewGate()})
	d.start()
	d.until(d.errout, "watching")
	cmd := d.download(h, client.Trees)
	d.until(d.out, "2.0MB/5.0MB")
	d.stop(exitOK)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := os.RemoveAll(d.path("hub", "models--org--demo")); err != nil {
		t.Fatal(err)
	}
	d.start()
	d.until(d.out, "the model was deleted from disk")
	d.stop(exitOK)
	d.start()
	d.until(d.errout, "watching")
	d.stop(exitOK)
	if d.out.String() != "" {
		t.Fatalf("told again:\n%s", d.out)
	}
}

func faultD11(t *testing.T) {
	t.Parallel()
	d := newService(t)
	mkdir(t, d.path("hub"))
	h := serveHub(t)
	h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: 2 * mb, Gate: hub.NewGate(), Times: 1})
	d.start()
	d.until(d.errout, "watching")
	cmd := d.download(h, client.Trees)
	d.until(d.out, "2.0MB/5.0MB")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	d.until(d.out, fmt.Sprintf("[WARNING] org/demo: Download interrupted at 2.0MB/5.0MB ~ 40.0%%: downloader (pid %d, hf) is gone\n", cmd.Process.Pid))
	wait(t, d.download(h, client.Trees))
	d.until(d.out, "Model downloaded successfully")
	d.stop(exitOK)
}

func faultP1(t *testing.T) {
	t.Parallel()
	d := newService(t)
	mkdir(t, d.path("hub"))
	d.start()
	d.until(d.errout, "watching")
	d.write("config.toml", d.config()+"frobnicate = 1\n")
	d.signals <- syscall.SIGHUP
	d.until(d.errout, "the old configuration stays")
	d.until(d.errout, "frobnicate")
	mkdir(t, d.path("second"))
	d.write("config.toml", strings.Replace(d.config(), d.path("hub")+`"`, d.path("hub")+`", "`+d.path("second")+`"`, 1))
	for range 3 {
		d.signals <- syscall.SIGHUP
	}
	d.until(d.errout, "configuration reloaded")
	d.until(d.errout, d.path("second"))
	h := serveHub(t)
	hh := &client.HH{Endpoint: h.URL(), Root: d.path("second")}
	if _, err := hh.Download(context.Background(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	d.until(d.out, "Model downloaded successfully")
	d.stop(exitOK)
	if n := strings.Count(d.errout.String(), "configuration reloaded"); n != 1 {
		t.Errorf("a burst of reloads made %d", n)
	}
}

func faultP2(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	signals := make(chan os.Signal) // taken before the end is seen
	exited := make(chan int, 1)
	go func() {
		signals <- syscall.SIGHUP
		signals <- syscall.SIGTERM
		close(ended)
	}()
	w := world{signals: signals, exit: func(status int) { exited <- status }}
	awaitEnd(ended, w, abort(w))
	if status := <-exited; status != exitFailed {
		t.Fatalf("exit status %d", status)
	}
}

func TestWhatComesDuringAReloadIsNotForgotten(t *testing.T) {
	t.Parallel()
	log, sd := slog.New(slog.DiscardHandler), &daemon.Systemd{}
	newer := func() (config.Settings, error) { return config.Settings{File: "newer"}, nil }
	for missed, want := range map[os.Signal]struct {
		file string
		on   bool
	}{
		nil:             {"new", true},
		syscall.SIGHUP:  {"newer", true},
		syscall.SIGTERM: {"new", false},
	} {
		set, on := afterReload(missed, config.Settings{File: "new"}, newer, sd, log)
		if set.File != want.file || on != want.on {
			t.Errorf("%v: %q %v", missed, set.File, on)
		}
	}
}

func faultP3(t *testing.T) {
	t.Parallel()
	d := newService(t)
	mkdir(t, d.path("hub"))
	d.start()
	d.until(d.errout, "watching")
	second := &service{t: t, dir: d.dir}
	second.start()
	second.ended(exitInUse)
	if !strings.Contains(second.errout.String(), "another progressd (pid ") || !strings.Contains(second.errout.String(), d.path("state")) {
		t.Fatalf("it doesn't say what to do: %s", second.errout)
	}
	d.stop(exitOK)
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Clean(path), 0o755); err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// What the daemon doesn't follow is said before it is started.
func TestCheckNamesABorrowedLink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	dir := t.TempDir()
	hub, link := filepath.Join(dir, "hub"), filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(hub, 0o755), os.Chown(hub, 1000, 1000), os.Symlink(hub, link), os.Lchown(link, 1001, 1001)); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	thisHost.check(config.Settings{Roots: []string{link, hub}}, &out)
	if text := out.String(); !strings.Contains(text, "belongs to uid 1001") || !strings.Contains(text, "0 repositories") {
		t.Error(text)
	}
}

func TestCheckNamesWhoHasMoreThanCanBeRemembered(t *testing.T) {
	if got := (shares{1000: 7, 1001: 60_000}).over(); len(got) != 1 || got[0] != "uid 1001: 60000 repositories, 50000 in all are remembered" {
		t.Errorf("%q", got)
	}
}

// endToEnd skips what takes minutes at the shipped timings, unless make
// e2e-daemon asks for it.
func endToEnd(t *testing.T) {
	t.Helper()
	if os.Getenv("PROGRESSD_E2E") == "" {
		t.Skip("takes minutes at the shipped timings: make e2e-daemon")
	}
}
