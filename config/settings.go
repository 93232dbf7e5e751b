package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// setting is one key that a file may hold.
type setting struct {
	key string
	// store checks a value as the TOML decoder gives it and keeps it. The
	// error says what is wrong with it and what was expected.
	store func(value any) error
}

// The bounds of every interval: below the shortest the daemon would only
// keep the machine busy, and beyond the longest somebody meant another unit.
// A poll is what finds a download on file systems without events, so it may
// not be put off for hours.
const (
	shortest    = 100 * time.Millisecond
	longest     = 24 * time.Hour
	longestPoll = time.Hour
)

// settings returns all keys, in the order in which the example has them.
func settings(cfg *Config, getenv func(string) string) []setting {
	return []setting{
		{"roots", roots(&cfg.Roots, getenv)},
		{"poll_interval", interval(&cfg.PollInterval, longestPoll)},
		{"keepalive_interval", interval(&cfg.KeepaliveInterval, longest)},
		{"step", text(&cfg.Step, "100MB", ParseStep)},
		{"log.dir", directory(&cfg.Log.Dir, getenv)},
		{"log.timestamps", oneOf(&cfg.Log.Timestamps, Clock, RFC3339)},
		{"log.style", oneOf(&cfg.Log.Style, Plain, Detailed)},
		{"journal.enabled", boolean(&cfg.Journal.Enabled)},
		{"console.format", oneOf(&cfg.Console.Format, Text, JSON)},
		{"state.dir", directory(&cfg.State.Dir, getenv)},
		{"hub.enabled", boolean(&cfg.Hub.Enabled)},
		{"hub.endpoint", address(&cfg.Hub.Endpoint)},
		{"hub.token_file", tokenFile(&cfg.Hub.TokenFile, getenv)},
		{"download.stall_after", interval(&cfg.Download.StallAfter, longest)},
		{"download.interrupt_after", interval(&cfg.Download.InterruptAfter, longest)},
		{"download.quiet_after", interval(&cfg.Download.QuietAfter, longest)},
		{"diagnostics.level", oneOf(&cfg.Diagnostics.Level, Info, Debug)},
		{"diagnostics.recording", text(&cfg.Diagnostics.Recording, "64MB", ParseSize)},
	}
}

// text stores a string that parse understands; example is one, for whoever
// gave something else.
func text[T any](to *T, example string, parse func(string) (T, error)) func(any) error {
	return func(value any) error {
		raw, ok := value.(string)
		if !ok {
			return errors.New(describe(value) + ", expected a string such as " + quote(example))
		}
		parsed, err := parse(raw)
		if err != nil {
			return fmt.Errorf("%s is %w", quote(raw), err)
		}
		*to = parsed
		return nil
	}
}

func interval(to *Duration, most time.Duration) func(any) error {
	return text(to, "5s", func(raw string) (Duration, error) {
		d, err := ParseDuration(raw)
		if err == nil && (time.Duration(d) < shortest || time.Duration(d) > most) {
			err = fmt.Errorf("out of bounds, expected %s to %s", Duration(shortest), Duration(most))
		}
		return d, err
	})
}

// oneOf stores one of the choices, of which there is at least one.
func oneOf[T ~string](to *T, choices ...T) func(any) error {
	return text(to, string(choices[0]), func(raw string) (T, error) {
		var names []string
		for _, choice := range choices {
			if raw == string(choice) {
				return choice, nil
			}
			names = append(names, quote(string(choice)))
		}
		return "", errors.New("unknown, expected " + strings.Join(names, " or "))
	})
}

// directory stores an absolute path; an empty one says that the environment
// decides.
func directory(to *string, getenv func(string) string) func(any) error {
	return text(to, "/var/log/progressd", func(raw string) (string, error) {
		if raw == "" {
			return "", nil
		}
		return absolute(raw, expandHome, getenv)
	})
}

func boolean(to *bool) func(any) error {
	return func(value any) error {
		b, ok := value.(bool)
		if !ok {
			return errors.New(describe(value) + ", expected true or false")
		}
		*to = b
		return nil
	}
}

func roots(to *[]string, getenv func(string) string) func(any) error {
	return func(value any) error {
		entries, ok := value.([]any)
		if !ok {
			return errors.New(describe(value) + `, expected a list of paths such as ["~/.cache/huggingface/hub"]`)
		}
		if len(entries) == 0 {
			return errors.New("names no root, expected at least one, or the key left out for the caches of the user")
		}
		patterns := make([]string, 0, len(entries))
		seen := map[string]int{}
		for i, entry := range entries {
			pattern, err := root(entry, getenv)
			if err == nil && seen[pattern] > 0 {
				err = fmt.Errorf("%s is given twice, expected each root once (see entry %d)", quote(pattern), seen[pattern])
			}
			if err != nil {
				return fmt.Errorf("entry %d: %w", i+1, err)
			}
			seen[pattern] = i + 1
			patterns = append(patterns, pattern)
		}
		*to = patterns
		return nil
	}
}

func root(entry any, getenv func(string) string) (pattern string, err error) {
	err = text(&pattern, "~/.cache/huggingface/hub", func(raw string) (string, error) {
		if raw == "" {
			return "", errors.New("empty, expected a path")
		}
		return absolute(raw, expandHomePattern, getenv)
	})(entry)
	if err != nil {
		return "", err
	}
	// Glob matches each part by itself, so each has to be valid by itself.
	for part := range strings.SplitSeq(pattern, "/") {
		if _, err := filepath.Match(part, ""); err != nil {
			return "", fmt.Errorf(`%s is no valid pattern, expected every [ to be closed, and a \ before a [ * ? or \ that is meant as it is`, quote(pattern))
		}
	}
	return pattern, nil
}

// absolute expands ~ at the start of a path and cleans it.
func absolute(raw string, expand func(string, func(string) string) (string, error), getenv func(string) string) (string, error) {
	if strings.ContainsRune(raw, 0) {
		return "", errors.New("no path, expected one without a NUL")
	}
	path, err := expand(raw, getenv)
	if err != nil {
		return "", fmt.Errorf("nowhere, since %w", err)
	}
	if !filepath.IsAbs(path) {
		return "", errors.New("relative, expected a path that begins with / or ~/ (no ~user, no $VARIABLE)")
	}
	return filepath.Clean(path), nil
}

// describe says what kind of value the file has where another is expected.
func describe(value any) string {
	switch value.(type) {
	case string:
		return "found a string"
	case bool:
		return "found true or false"
	case int64, float64:
		return "found a number"
	case []any:
		return "found a list"
	case map[string]any:
		return "found a table"
	case []map[string]any:
		return "found a list of tables"
	case time.Time:
		return "found a date or time"
	default:
		return "found something of another type"
	}
}
