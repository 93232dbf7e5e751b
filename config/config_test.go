package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// environ is a getenv for tests.
type environ map[string]string

func (e environ) get(name string) string { return e[name] }

var withHome = environ{"HOME": "/home/ada"}

func mustParse(t *testing.T, text string) Config {
	t.Helper()
	cfg, err := parse("config.toml", []byte(text), withHome.get)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "\ufeff# nothing\r\n", "[log]\n[hub]\n", "log = {}"} {
		if got := mustParse(t, text); !reflect.DeepEqual(got, Default()) {
			t.Errorf("%q gives %+v, want %+v", text, got, Default())
		}
	}
}

func TestEveryKeyIsTaken(t *testing.T) {
	got := mustParse(t, `
roots = ["/srv/models", "~/hub/../hub2", "/home/*/.cache/huggingface/hub", "~", "/a~"]
poll_interval = "1.5s"
keepalive_interval = "2m"
step = "1.5GB"
log.dir = "/var/log/x/"
log.timestamps = "rfc3339"
log.style = "detailed"
[journal]
enabled = false
[console]
format = "json"
[state]
dir = "~/state"
[hub]
enabled = true
endpoint = "http://localhost:8080/mirror/"
token_file = "~/.cache/huggingface/token"
[download]
stall_after = "20m"
interrupt_after = "10s"
quiet_after = "100ms"
[diagnostics]
level = "debug"
`)
	want := Config{
		Roots:             []string{"/srv/models", "/home/ada/hub2", "/home/*/.cache/huggingface/hub", "/home/ada", "/a~"},
		PollInterval:      Duration(1500 * time.Millisecond),
		KeepaliveInterval: Duration(2 * time.Minute),
		Step:              1_500_000_000,
		Log:               Log{Dir: "/var/log/x", Timestamps: RFC3339, Style: Detailed},
		Console:           Console{Format: JSON},
		State:             State{Dir: "/home/ada/state"},
		Hub:               Hub{Enabled: true, Endpoint: "http://localhost:8080/mirror", TokenFile: "/home/ada/.cache/huggingface/token"},
		Download: Download{
			StallAfter:     Duration(20 * time.Minute),
			InterruptAfter: Duration(10 * time.Second),
			QuietAfter:     Duration(100 * time.Millisecond),
		},
		Diagnostics: Diagnostics{Level: Debug},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestStepMayBeAuto(t *testing.T) {
	if got := mustParse(t, `step = "auto"`).Step; got != AutoStep {
		t.Errorf("step is %v, want auto", got)
	}
}

func TestHomeInAPatternIsMeantAsItIs(t *testing.T) {
	home := filepath.Join(t.TempDir(), "a[b]*")
	want := filepath.Join(home, "hub")
	if err := os.MkdirAll(want, 0o755); err != nil {
		t.Fatal(err)
	}
	env := environ{"HOME": home}
	cfg, err := parse("f", []byte(`roots = ["~/h*"]`), env.get)
	if err != nil {
		t.Fatal(err)
	}
	env["HF_HUB_CACHE"] = want
	for _, patterns := range [][]string{cfg.Roots, DefaultRoots(env.get)} {
		found, err := filepath.Glob(patterns[0])
		if err != nil || len(found) != 1 || found[0] != want {
			t.Errorf("%q matches %q, %v, want %q", patterns[0], found, err, want)
		}
	}
}

// The example is what people start from: it has to hold every key, and to
// change nothing.
func TestExampleEqualsTheDefaults(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	const example = "../config.example.toml"
	cfg, err := Load(example)
	if err != nil {
		t.Fatal(err)
	}
	if want := DefaultRoots(withHome.get); !slices.Equal(cfg.Roots, want) {
		t.Errorf("roots are %q, want those without configuration, %q", cfg.Roots, want)
	}
	cfg.Roots = nil
	if want := Default(); !reflect.DeepEqual(cfg, want) {
		t.Errorf("example gives %+v, want %+v", cfg, want)
	}

	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	table := ""
	var keys []string
	for line := range strings.Lines(string(data)) {
		if header := regexp.MustCompile(`^\[(\w+)\]`).FindStringSubmatch(line); header != nil {
			table = header[1] + "."
		}
		if key := regexp.MustCompile(`^(\w+) = `).FindStringSubmatch(line); key != nil {
			keys = append(keys, table+key[1])
		}
	}
	var want []string
	for _, s := range settings(&Config{}, withHome.get) {
		want = append(want, s.key)
	}
	if !slices.Equal(keys, want) {
		t.Errorf("example has keys %q, want %q", keys, want)
	}
}

func TestLoadRefusesWhatIsNoSmallRegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("#", maxFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                           "not a regular file",
		fifo:                          "not a regular file",
		"/dev/null":                   "not a regular file",
		large:                         "larger than 1048576 bytes",
		filepath.Join(dir, "missing"): "no such file or directory",
	} {
		_, err := Load(path)
		if err == nil || !strings.HasPrefix(err.Error(), `cannot read configuration "`+path+`": `) || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q) gives %v, want %q", path, err, want)
		}
	}
	if _, err := Load(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v, want one that is os.ErrNotExist", err)
	}
	if err := os.WriteFile(large, []byte(strings.Repeat("#", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err != nil {
		t.Errorf("a file of just the limit gives %v", err)
	}
}
