package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestResolveReadsTheFileAndFindsThePlaces(t *testing.T) {
	home := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	usual := write(".config/progressd/config.toml", "roots = ['/usual']")
	given := write("given.toml", "roots = ['/given']\nlog.dir = '/log'\nstate.dir = '/state'")
	system := environ{"HOME": home, "LOGS_DIRECTORY": "/var/log/x", "STATE_DIRECTORY": "/var/lib/x"}
	for _, test := range []struct {
		name, file       string
		env              environ
		from, root       string
		logDir, stateDir string
		homeless         bool
	}{
		{name: "the usual file", env: system, from: usual, root: "/usual", logDir: "/var/log/x", stateDir: "/var/lib/x"},
		{name: "the one that is given", file: given, env: system, from: given, root: "/given", logDir: "/log", stateDir: "/state"},
		{name: "none", env: environ{"HOME": "/home/ada"}, root: "/home/ada/.cache/huggingface/hub",
			logDir: "/home/ada/.local/state/progressd/log", stateDir: "/home/ada/.local/state/progressd/state"},
		{name: "no home", file: usual, from: usual, root: "/usual", homeless: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, err := Resolve(test.file, test.env.get, OpenFile)
			if err != nil {
				t.Fatal(err)
			}
			if set.File != test.from || !slices.Equal(set.Roots, []string{test.root}) {
				t.Errorf("file %q, roots %q, want %q, %q", set.File, set.Roots, test.from, test.root)
			}
			if set.LogDir != test.logDir || set.StateDir != test.stateDir || (set.Homeless != nil) != test.homeless {
				t.Errorf("logs in %q, state in %q, homeless: %v", set.LogDir, set.StateDir, set.Homeless)
			}
		})
	}
}

func TestResolveSaysWhatIsWrong(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("\nstep = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(bad, withHome.get, OpenFile); err == nil || !strings.Contains(err.Error(), "bad.toml:2: step: ") {
		t.Errorf("a bad file gives %v", err)
	}
	if _, err := Resolve("", environ{}.get, OpenFile); !errors.Is(err, errNoHome) {
		t.Errorf("without a root and a home it gives %v", err)
	}
}
