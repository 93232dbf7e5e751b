package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDefaultRootsAreThoseOfADownloader(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	env := environ{}
	// Each variable stands above those set before it.
	for _, step := range []struct{ name, value, want string }{
		{"TERM", "dumb", ""},
		{"HOME", "relative", ""},
		{"HOME", "/home/ada/", "/home/ada/.cache/huggingface/hub"},
		{"XDG_CACHE_HOME", "/cache", "/cache/huggingface/hub"},
		{"HF_HOME", "~/hf", "/home/ada/hf/hub"},
		{"HF_HOME", "/hf/", "/hf/hub"},
		{"HUGGINGFACE_HUB_CACHE", "/old", "/old"},
		{"HF_HUB_CACHE", "hub", filepath.Join(cwd, "hub")},
		{"HF_HUB_CACHE", "/new/./hub", "/new/hub"},
		{"HF_HUB_CACHE", "/new/hub[1]", `/new/hub\[1]`},
		{"HF_HUB_CACHE", "", "/old"},
	} {
		env[step.name] = step.value
		var want []string
		if step.want != "" {
			want = []string{step.want}
		}
		if got := DefaultRoots(env.get); !slices.Equal(got, want) {
			t.Errorf("with %s=%q the roots are %q, want %q", step.name, step.value, got, want)
		}
	}
}

func TestRootsAsConfiguredElseDefault(t *testing.T) {
	got, err := Roots(Config{Roots: []string{"/a"}}, environ{}.get)
	if err != nil || !slices.Equal(got, []string{"/a"}) {
		t.Errorf("got %q, %v, want those configured", got, err)
	}
	got, err = Roots(Default(), withHome.get)
	if err != nil || !slices.Equal(got, DefaultRoots(withHome.get)) {
		t.Errorf("got %q, %v, want the default", got, err)
	}
	if got, err = Roots(Default(), environ{}.get); err == nil {
		t.Errorf("without a home got %q, want an error", got)
	}
}

func TestDirectoriesAsConfiguredElseSystemdElseXDG(t *testing.T) {
	configured := Default()
	configured.Log.Dir, configured.State.Dir = "/my/log", "/my/state"
	systemd := environ{"HOME": "/home/ada", "LOGS_DIRECTORY": "/var/log/a/:/var/log/b", "STATE_DIRECTORY": "/var/lib/a"}
	for _, test := range []struct {
		name       string
		cfg        Config
		env        environ
		log, state string
	}{
		{"configured", configured, systemd, "/my/log", "/my/state"},
		{"systemd", Default(), systemd, "/var/log/a", "/var/lib/a"},
		{"XDG", Default(), environ{"XDG_STATE_HOME": "/xdg"}, "/xdg/progressd/log", "/xdg/progressd/state"},
		{"relative", Default(), environ{"HOME": "/h", "XDG_STATE_HOME": "xdg", "LOGS_DIRECTORY": "x"}, "/h/.local/state/progressd/log", "/h/.local/state/progressd/state"},
		{"home", Default(), withHome, "/home/ada/.local/state/progressd/log", "/home/ada/.local/state/progressd/state"},
		{"nothing", Default(), environ{}, "", ""},
	} {
		log, logErr := LogDir(test.cfg, test.env.get)
		state, stateErr := StateDir(test.cfg, test.env.get)
		if log != test.log || state != test.state || (logErr == nil) != (log != "") || (stateErr == nil) != (state != "") {
			t.Errorf("%s: log %q, %v, state %q, %v, want %q and %q", test.name, log, logErr, state, stateErr, test.log, test.state)
		}
	}
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	beneathXDG := filepath.Join(dir, "progressd", "config.toml")
	beneathHome := filepath.Join(dir, ".config", "progressd", "config.toml")
	for _, path := range []string{beneathXDG, beneathHome} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, flag string
		env        environ
		want       string
	}{
		{"flag", "some.toml", environ{"XDG_CONFIG_HOME": dir}, "some.toml"},
		{"XDG", "", environ{"XDG_CONFIG_HOME": dir, "HOME": "/nowhere"}, beneathXDG},
		{"home", "", environ{"HOME": dir}, beneathHome},
		{"XDG relative", "", environ{"XDG_CONFIG_HOME": "x", "HOME": dir}, beneathHome},
		{"none there", "", environ{"XDG_CONFIG_HOME": filepath.Join(dir, "none"), "HOME": dir}, ""},
		{"no home", "", environ{}, ""},
		// What is behind a file is no directory: loading will say so.
		{"not to be looked at", "", environ{"XDG_CONFIG_HOME": beneathXDG}, filepath.Join(beneathXDG, "progressd", "config.toml")},
	} {
		got, found := Locate(test.flag, test.env.get)
		if got != test.want || found != (test.want != "") {
			t.Errorf("%s: got %q, %t, want %q", test.name, got, found, test.want)
		}
	}
}
