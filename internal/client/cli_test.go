package client

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"progressd/internal/hub"
)

func TestCommandLines(t *testing.T) {
	env := func(values map[string]string) func(string) string {
		return func(name string) string { return values[name] }
	}
	for _, c := range []struct {
		line string
		env  map[string]string
		want string // repo, revision, files, filter, root; or the error
	}{
		{"download o/m", map[string]string{"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}, "o/m main [] {[] []} /c"},
		{"download o/m --revision v1 --repo-type=dataset", map[string]string{"HF_HOME": "/h"}, "datasets/o/m v1 [] {[] []} /h/hub"},
		{"download --cache-dir /d o/m a.json b.json", nil, "o/m main [a.json b.json] {[a.json b.json] []} /d"},
		{"download o/m --include *.json --exclude x* --include y", map[string]string{"XDG_CACHE_HOME": "/x"}, "o/m main [] {[*.json y] [x*]} /x/huggingface/hub"},
		{"download o/m", map[string]string{"HOME": "/r"}, "o/m main [] {[] []} /r/.cache/huggingface/hub"},
		{"download", nil, "no repository named"},
		{"upload o/m", nil, "the only command is: download REPO [FILE ...]"},
		{"download o/m --nope", nil, "flag provided but not defined: -nope"},
	} {
		e := map[string]string{"HF_ENDPOINT": "http://hub"}
		for k, v := range c.env {
			e[k] = v
		}
		var stderr bytes.Buffer
		r, err := parse(strings.Fields(c.line), env(e), &stderr)
		got := fmt.Sprintf("%v %s %v %v %s", r.repo, r.revision, r.files, r.filter, r.hh.Root)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.line, got, c.want)
		}
	}
	if _, err := parse([]string{"download", "o/m"}, env(nil), &bytes.Buffer{}); err == nil {
		t.Error("no error without a hub")
	}
}

// process starts a downloader of the large file that stands still in its
// middle.
func (f *fixture) process(t *testing.T, args ...string) (*exec.Cmd, *hub.Gate) {
	t.Helper()
	gate := hub.NewGate()
	f.Break(demo, large, hub.Fault{Gate: gate, GateAt: chunk})
	cmd, err := Command(t.Context(), t.TempDir(), f.HH, args...)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-gate.Reached()
	return cmd, gate
}

func TestProcessLooksLikeTheRealOne(t *testing.T) {
	for g, name := range map[Generation]string{Trees: "hf", HH023: "huggingface-cli"} {
		f := setup(t, g, hub.Options{})
		cmd, gate := f.process(t, "org/demo", "--include", "*.safetensors")
		proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
		comm, err := os.ReadFile(proc + "comm")
		if err != nil || string(comm) != name+"\n" {
			t.Errorf("comm is %q (%v), want %s", comm, err, name)
		}
		line, err := os.ReadFile(proc + "cmdline")
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		if err != nil || filepath.Base(args[0]) != name || !slices.Equal(args[1:], []string{"download", "org/demo", "--include", "*.safetensors"}) {
			t.Errorf("cmdline is %q (%v)", args, err)
		}
		locks, err := os.ReadFile("/proc/locks")
		if want := fmt.Sprintf("FLOCK  ADVISORY  WRITE %d ", cmd.Process.Pid); err != nil || strings.Count(string(locks), want) != 1 {
			t.Errorf("not one lock of %d (%v) in\n%s", cmd.Process.Pid, err, locks)
		}
		gate.Open()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if got := size(t, f.blob(large)); got != f.entries[large].Size {
			t.Errorf("%d bytes", got)
		}
		if _, err := os.Stat(f.blob("config.json")); err == nil {
			t.Error("an excluded file was fetched")
		}
	}
}

func TestSignalsToTheProcess(t *testing.T) {
	for _, c := range []struct {
		signal   os.Signal
		exit     int // -1 is death by the signal
		partials int
	}{{syscall.SIGKILL, -1, 1}, {syscall.SIGTERM, -1, 1}, {syscall.SIGINT, 130, 0}} {
		t.Run(fmt.Sprint(c.signal), func(t *testing.T) {
			f := setup(t, Trees, hub.Options{})
			cmd, gate := f.process(t, "org/demo", "--max-workers", "1")
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			if c.signal == syscall.SIGINT {
				// What is in flight may come to its end.
				gate.Open()
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != c.exit {
				t.Errorf("got %v, want exit %d", err, c.exit)
			}
			if got := len(f.partials(t)); got != c.partials {
				t.Errorf("%d partials, want %d", got, c.partials)
			}
		})
	}
}

func TestMainTellsOfFailure(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	f.Break(demo, "", hub.Fault{Status: 403, ErrorCode: "GatedRepo"})
	var stdout, stderr bytes.Buffer
	env := map[string]string{"HF_ENDPOINT": f.URL(), "HF_HUB_CACHE": f.Root}
	status := Main(t.Context(), []string{"hf", "download", demo.ID}, func(k string) string { return env[k] }, &stdout, &stderr)
	if status != 1 || !strings.HasPrefix(stderr.String(), "Error: ") || stdout.Len() > 0 {
		t.Errorf("exit %d, stdout %q, stderr %q", status, stdout.String(), stderr.String())
	}
	f.Break(demo, "", hub.Fault{})
	status = Main(t.Context(), []string{"hf", "download", demo.ID, "config.json"}, func(k string) string { return env[k] }, &stdout, &stderr)
	if status != 0 || !strings.Contains(stdout.String(), "config.json") {
		t.Errorf("exit %d, stdout %q, stderr %q", status, stdout.String(), stderr.String())
	}
}

// What a client is told in its environment arrives as it was meant.
func TestCommandPassesTheWriterOn(t *testing.T) {
	for _, h := range []HH{
		{Endpoint: "http://hub", Root: "/c"},
		{Endpoint: "http://hub", Root: "/c", Generation: HH023, Chunk: 4096, RemoveLocks: true},
		{Endpoint: "http://hub", Root: "/c", Chunk: 1 << 20, SharedStore: true},
	} {
		cmd, err := Command(t.Context(), t.TempDir(), h, "o/m")
		if err != nil {
			t.Fatal(err)
		}
		// As the child sees it: the last value of a name counts.
		got := writer(func(name string) (value string) {
			for _, v := range cmd.Env {
				if rest, ok := strings.CutPrefix(v, name+"="); ok {
					value = rest
				}
			}
			return value
		})
		if fmt.Sprint(got.Endpoint, got.Root, got.Generation, got.Chunk, got.SharedStore, got.RemoveLocks) !=
			fmt.Sprint(h.Endpoint, h.Root, h.Generation, h.Chunk, h.SharedStore, h.RemoveLocks) {
			t.Errorf("%+v arrives as %+v", h, got)
		}
	}
}
