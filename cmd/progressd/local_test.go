package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"progressd/internal/client"
	"progressd/internal/hub"
)

// newLocalService watches roots below its directory beside the cache.
func newLocalService(t *testing.T, roots ...string) *service {
	d := newService(t)
	list := d.path("hub") + `"`
	for _, root := range roots {
		list += `, "` + d.path(root) + `"`
	}
	d.write("config.toml", strings.Replace(d.config(), d.path("hub")+`"`, list, 1))
	return d
}

const weights = "sub/model.safetensors"

func TestADownloadIntoADirectoryOfItsOwnIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gen    client.Generation
		listed bool
	}{{client.Trees, true}, {client.HH118, false}, {client.HH036, false}, {client.HH023, false}} {
		t.Run(string(c.gen), func(t *testing.T) {
			t.Parallel()
			d := newLocalService(t, "models")
			mkdir(t, d.path("models", "org"))
			d.start()
			d.until(d.errout, "watching")
			h := serveHub(t)
			gate := hub.NewGate()
			h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
			d.download(h, c.gen, "--local-dir", d.path("models", "org", "demo"))
			middle, end := "org/demo: Downloaded 2.0MB...", "[INFO] No listing to check against: 5.0MB in 2 files on disk\n"
			if c.listed {
				middle, end = "org/demo: Download progress: 2.0MB/5.0MB ~ 40.0%", ""
			}
			d.until(d.out, middle)
			gate.Open()
			d.until(d.out, "[SUCCESS] org/demo: Model downloaded successfully\n")
			d.stop(exitOK)
			log := d.log("demo@local.log")
			if !strings.HasPrefix(log, "[INFO] Preparing to download model: org/demo\n") ||
				!strings.HasSuffix(log, end+"[SUCCESS] Model downloaded successfully\n") {
				t.Errorf("log:\n%s", log)
			}
			// What such a download leaves in the cache, a ref, is none.
			if logs, err := os.ReadDir(d.path("log")); err != nil || len(logs) != 1 {
				t.Errorf("logs %v (%v)", logs, err)
			}
		})
	}
}

// The root is the directory itself, and made by its first download.
func TestWhatALocalDirectoryWasAskedForProvesIt(t *testing.T) {
	t.Parallel()
	d := newLocalService(t, "models")
	d.start()
	d.until(d.errout, "watching")
	h := serveHub(t)
	gate := hub.NewGate()
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: gate})
	d.download(h, client.Trees, "--local-dir", d.path("models"), "--include", "*.safetensors")
	d.until(d.out, "Downloading model: 5.0MB in 1 file\n")
	gate.Open()
	d.until(d.out, "[SUCCESS] org/demo: Model downloaded successfully\n")
	d.stop(exitOK)
	d.log("models@local.log")
}

func TestALocalDownloadKilledAndResumedOverARestartIsToldOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		gen  client.Generation
		// missed: the daemon is there again before the next attempt is.
		missed bool
	}{
		{"with a listing, missed", client.Trees, true},
		{"with a listing, at once", client.Trees, false},
		// Missed, and complete without a listing: interrupted and quiet take 90 s
		// one after the other.
		{"without a listing, at once", client.HH023, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newLocalService(t, "models")
			mkdir(t, d.path("models"))
			h := serveHub(t)
			h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: hub.NewGate(), Times: 1})
			d.start()
			d.until(d.errout, "watching")
			cmd := d.download(h, c.gen, "--local-dir", d.path("models", "demo"))
			d.until(d.out, "2.0MB")
			d.stop(exitOK)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if c.missed {
				d.start()
				d.until(d.out, fmt.Sprintf("downloader (pid %d, ", cmd.Process.Pid))
				d.stop(exitOK)
			}
			wait(t, d.download(h, c.gen, "--local-dir", d.path("models", "demo")))
			d.start()
			d.until(d.out, "[SUCCESS] org/demo: Model downloaded successfully\n")
			d.stop(exitOK)
			d.start()
			d.until(d.errout, "watching")
			d.stop(exitOK)
			if d.out.String() != "" {
				t.Errorf("told again:\n%s", d.out)
			}
			log := d.log("demo@local.log")
			for line, want := range map[string]bool{"Preparing": true, "is gone": c.missed, "successfully": true} {
				if n := strings.Count(log, line); n > 1 || n == 1 != want {
					t.Errorf("%q: log:\n%s", line, log)
				}
			}
		})
	}
}

func TestALocalDirectoryRemovedWhileDownloadingIsOneLine(t *testing.T) {
	t.Parallel()
	d := newLocalService(t, "models")
	mkdir(t, d.path("models"))
	h := serveHub(t)
	h.Break(demo, weights, hub.Fault{GateAt: 2 * mb, Gate: hub.NewGate()})
	d.start()
	d.until(d.errout, "watching")
	cmd := d.download(h, client.Trees, "--local-dir", d.path("models", "demo"))
	d.until(d.out, "2.0MB/5.0MB")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	// At once, so that no look falls between its files.
	if err := os.Rename(d.path("models", "demo"), d.path("bin")); err != nil {
		t.Fatal(err)
	}
	d.until(d.out, "Download removed at 2.0MB/5.0MB")
	d.stop(exitOK)
	if n := strings.Count(d.log("demo@local.log"), "removed"); n != 1 {
		t.Errorf("%d lines", n)
	}
}

// One directory may be reached by two roots, and two may have one name.
func TestLocalDirectoriesAreToldOnceAndEachInALogOfItsOwn(t *testing.T) {
	t.Parallel()
	d := newLocalService(t, "models", "models/a")
	mkdir(t, d.path("models", "a"))
	mkdir(t, d.path("models", "b"))
	h := serveHub(t)
	d.start()
	d.until(d.errout, "watching")
	for _, dir := range []string{"a", "b"} {
		wait(t, d.download(h, client.Trees, "--local-dir", d.path("models", dir, "demo")))
	}
	for strings.Count(d.out.String(), "successfully") < 2 {
		<-d.out.news
	}
	d.stop(exitOK)
	logs, err := os.ReadDir(d.path("log"))
	if err != nil || len(logs) != 2 || strings.Count(d.out.String(), "Preparing") != 2 {
		t.Fatalf("logs %v (%v)\n%s", logs, err, d.out)
	}
	for _, log := range logs {
		text := d.log(log.Name())
		if !strings.HasPrefix(log.Name(), "demo@local") || strings.Count(text, "Preparing") != 1 || strings.Count(text, "successfully") != 1 {
			t.Errorf("%s:\n%s", log.Name(), text)
		}
	}
}

func TestLocalDirectoriesThatAreCompleteAtTheFirstStartAreSilent(t *testing.T) {
	t.Parallel()
	d := newLocalService(t, "models")
	h := serveHub(t)
	wait(t, d.download(h, client.Trees, "--local-dir", d.path("models", "demo")))
	for range 2 {
		d.start()
		d.until(d.errout, "watching")
		d.stop(exitOK)
		if d.out.String() != "" {
			t.Fatalf("it spoke:\n%s", d.out)
		}
	}
}

func TestCheckCountsLocalDirectories(t *testing.T) {
	t.Parallel()
	d := newLocalService(t, "models")
	for _, dir := range []string{".", "llama", "org/llama", "org/models--a--b", ".hidden", "a/b/too-deep"} {
		mkdir(t, d.path("models", dir, ".cache/huggingface/download"))
	}
	mkdir(t, d.path("models", "models--org--demo"))
	d.start("--check", "--config", d.path("config.toml"))
	d.ended(exitOK)
	if want := d.path("models") + "  1 repositories, 3 filled by --local-dir\n"; !strings.Contains(d.out.String(), want) {
		t.Errorf("%q is missing:\n%s", want, d.out)
	}
}
