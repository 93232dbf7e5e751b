package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// errNoHome says what can't be done without a home directory, and the way
// around it.
var errNoHome = errors.New("the home directory is unknown: set HOME to an absolute path, or name every path in the configuration")

// Locate returns the configuration file to load: the one given by flag, else
// progressd/config.toml beneath $XDG_CONFIG_HOME (~/.config) if it is there.
// A file that may be there but can't be looked at counts as found, so that
// loading it says why.
func Locate(flag string, getenv func(string) string) (path string, found bool) {
	if flag != "" {
		return flag, true
	}
	dir, err := xdg("XDG_CONFIG_HOME", ".config", getenv)
	if err != nil {
		return "", false
	}
	path = filepath.Join(dir, "progressd", "config.toml")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	return path, true
}

// Roots returns the patterns of the caches to watch: those configured, else
// DefaultRoots.
func Roots(cfg Config, getenv func(string) string) ([]string, error) {
	if len(cfg.Roots) > 0 {
		return cfg.Roots, nil
	}
	if found := DefaultRoots(getenv); len(found) > 0 {
		return found, nil
	}
	return nil, errNoHome
}

// DefaultRoots returns DefaultCache as a pattern, none if that is unknown.
func DefaultRoots(getenv func(string) string) []string {
	dir, err := DefaultCache(getenv)
	if err != nil {
		return nil
	}
	return []string{escape(dir)}
}

// DefaultCache returns the cache that a downloader started in this
// environment uses: HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else hub beneath
// HF_HOME, else huggingface/hub beneath XDG_CACHE_HOME (~/.cache).
func DefaultCache(getenv func(string) string) (string, error) {
	for _, place := range []struct{ variable, beneath string }{
		{"HF_HUB_CACHE", ""},
		{"HUGGINGFACE_HUB_CACHE", ""},
		{"HF_HOME", "hub"},
		{"XDG_CACHE_HOME", "huggingface/hub"},
	} {
		if dir := getenv(place.variable); dir != "" {
			return Directory(filepath.Join(dir, place.beneath), getenv)
		}
	}
	return Directory("~/.cache/huggingface/hub", getenv)
}

// Directory makes a path absolute as huggingface_hub reads its variables and
// options: ~ is the home directory, and what is relative is so to the directory
// in which the program was started.
func Directory(path string, getenv func(string) string) (string, error) {
	path, err := expandHome(path, getenv)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// LogDir returns the directory of the models' logs: as configured, else as
// systemd says ($LOGS_DIRECTORY), else progressd/log beneath $XDG_STATE_HOME
// (~/.local/state).
func LogDir(cfg Config, getenv func(string) string) (string, error) {
	return ownDir(cfg.Log.Dir, "LOGS_DIRECTORY", "log", getenv)
}

// StateDir returns the directory of the state: as configured, else as systemd
// says ($STATE_DIRECTORY), else progressd/state beneath $XDG_STATE_HOME
// (~/.local/state).
func StateDir(cfg Config, getenv func(string) string) (string, error) {
	return ownDir(cfg.State.Dir, "STATE_DIRECTORY", "state", getenv)
}

func ownDir(configured, variable, name string, getenv func(string) string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	// systemd separates several directories by colons; ours is the first.
	first, _, _ := strings.Cut(getenv(variable), ":")
	if filepath.IsAbs(first) {
		return filepath.Clean(first), nil
	}
	dir, err := xdg("XDG_STATE_HOME", ".local/state", getenv)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "progressd", name), nil
}

// xdg returns a base directory of the XDG specification, which has a relative
// one ignored.
func xdg(variable, beneathHome string, getenv func(string) string) (string, error) {
	if dir := getenv(variable); filepath.IsAbs(dir) {
		return dir, nil
	}
	return expandHome("~/"+beneathHome, getenv)
}

// expandHome replaces a ~ that is all of a path, or its first part.
func expandHome(path string, getenv func(string) string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || (rest != "" && rest[0] != '/') {
		return path, nil
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errNoHome
	}
	return home + rest, nil
}

// expandHomePattern is expandHome for a pattern: the home directory is meant
// as it is, whatever characters it holds.
func expandHomePattern(pattern string, getenv func(string) string) (string, error) {
	return expandHome(pattern, func(name string) string { return escape(getenv(name)) })
}

var patternEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func escape(path string) string {
	return patternEscaper.Replace(path)
}
