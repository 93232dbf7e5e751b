package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"progressd/config"
	"progressd/hfcache"
)

func TestAims(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hubDir, other := filepath.Join(dir, "hub"), filepath.Join(dir, "other")
	for _, d := range []string{hubDir, other} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	getenv := func(name string) string { return map[string]string{"HOME": dir, "HF_HUB_CACHE": hubDir}[name] }
	model := hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}
	local, _ := hfcache.LocalRepo(".")
	with := func(roots ...string) config.Settings {
		return config.Settings{Config: config.Config{Roots: roots}, Roots: roots}
	}
	for _, c := range []struct {
		name, argv string
		opts       Options
		set        config.Settings
		want       hfcache.Place
		only       bool
	}{
		{"hf download", "hf download org/demo", Options{}, config.Settings{}, hfcache.Place{Root: hubDir, Repo: model}, true},
		{"of a dataset", "hf download org/demo --repo-type dataset", Options{}, config.Settings{}, hfcache.Place{Root: hubDir, Repo: hfcache.Repo{Type: hfcache.Dataset, ID: "org/demo"}}, true},
		{"that isn't understood", "hf download --new-option org/demo", Options{}, config.Settings{}, hfcache.Place{Root: hubDir}, true},
		{"another cache", "hf download org/demo --cache-dir " + other, Options{}, config.Settings{}, hfcache.Place{Root: other, Repo: model}, true},
		{"another cache, relative", "hf download org/demo --cache-dir=/tmp/../" + other, Options{}, config.Settings{}, hfcache.Place{Root: other, Repo: model}, true},
		{"a directory", "hf download org/demo --local-dir " + other, Options{}, config.Settings{}, hfcache.Place{Root: other, Repo: local}, true},
		{"vllm", "vllm serve org/demo --download-dir " + other, Options{}, config.Settings{}, hfcache.Place{Root: other, Repo: model}, false},
		{"unknown", "python3 fetch.py", Options{}, config.Settings{}, hfcache.Place{Root: hubDir}, false},
		{"unknown, named", "python3 fetch.py", Options{Model: model}, config.Settings{}, hfcache.Place{Root: hubDir, Repo: model}, false},
		{"one root of a configuration", "hf download org/demo", Options{Config: "x"}, with(other), hfcache.Place{Root: other, Repo: model}, true},
		{"its own root is configured", "hf download org/demo", Options{Config: "x"}, with(other, dir+"/h*"), hfcache.Place{Root: hubDir, Repo: model}, true},
		{"several others are configured", "hf download org/demo", Options{Config: "x"}, with(dir + "/o*"), hfcache.Place{Root: "", Repo: model}, true},
		{"a configuration that is there by itself", "hf download org/demo", Options{}, with(other), hfcache.Place{Root: hubDir, Repo: model}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.Argv = strings.Fields(c.argv)
			got := aimOf(c.opts, c.set, getenv)
			if got.Place != c.want || got.only != c.only {
				t.Errorf("%+v, only %v, want %+v", got.Place, got.only, c.want)
			}
		})
	}
}

func TestCountOfEvents(t *testing.T) {
	t.Parallel()
	const events = "low 0\noom 9\noom_kill 7\noom_group_kill 1\n"
	if got := eventCount(events, "oom_kill"); got != 7 {
		t.Errorf("%d", got)
	}
	if got := eventCount("", "oom_kill"); got != 0 {
		t.Errorf("%d", got)
	}
}
