package main

import (
	"errors"
	"strings"
	"testing"

	"progressd/config"
)

// A reload can't give back what was given up: what needs that is refused, and the
// rest is taken up.
func TestWhatAConfinedDaemonTakesUpByAReload(t *testing.T) {
	first := config.Settings{Config: config.Default()}
	first.Log.Dir, first.LogDir, first.StateDir = "/l", "/l", "/s"
	for _, c := range []struct {
		name   string
		change func(*config.Settings)
		says   string
	}{
		{"nothing", func(*config.Settings) {}, ""},
		{"roots", func(s *config.Settings) { s.Roots = []string{"/srv/other/hub"} }, ""},
		{"logs elsewhere", func(s *config.Settings) { s.LogDir = "/m" }, `log.dir = "/m"`},
		{"state elsewhere", func(s *config.Settings) { s.StateDir = "/m" }, `state.dir = "/m"`},
		{"the hub", func(s *config.Settings) { s.Hub.Enabled = true }, "hub.enabled"},
		{"a token, and no hub", func(s *config.Settings) { s.Hub.TokenFile = "/x" }, ""},
	} {
		next := first
		c.change(&next)
		load := func(config.Open) (config.Settings, error) { return next, nil }
		_, err := (&apart{first: first}).covering(load)()
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "systemctl restart")) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := (*apart)(nil).covering(load)(); err != nil {
			t.Errorf("%s, of one that has given up nothing: %v", c.name, err)
		}
	}
	bad := errors.New("bad")
	if _, err := (&apart{first: first}).covering(func(config.Open) (config.Settings, error) { return config.Settings{}, bad })(); !errors.Is(err, bad) {
		t.Errorf("of a bad file: %v", err)
	}
}
