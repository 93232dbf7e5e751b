// Package config holds what an operator may choose: one TOML file in which
// every key is optional, and the places that follow from the environment
// where the file names none.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Config is a complete and valid configuration: what the file left out has
// its default.
type Config struct {
	// Roots are the caches as absolute patterns of filepath.Glob, with ~
	// expanded. Nil means that the file names none: see the function Roots.
	Roots []string
	// PollInterval is how often a repository at rest is looked at.
	PollInterval Duration
	// KeepaliveInterval is how long a log may stay without a line while its
	// download is active.
	KeepaliveInterval Duration
	// Step is how many bytes lie between two lines of progress.
	Step        Step
	Log         Log
	Journal     Journal
	Console     Console
	State       State
	Hub         Hub
	Download    Download
	Diagnostics Diagnostics
}

// Log is about the log file of each model.
type Log struct {
	// Dir is absolute; empty means as the environment says: see LogDir.
	Dir        string
	Timestamps Timestamps
	Style      Style
}

// Journal is about the systemd journal.
type Journal struct {
	Enabled bool
}

// Console is about standard output, where that isn't the journal.
type Console struct {
	Format Format
}

// State is about what has to survive a restart.
type State struct {
	// Dir is absolute; empty means as the environment says: see StateDir.
	Dir string
}

// Hub is about asking the hub for what the cache doesn't tell.
type Hub struct {
	Enabled bool
	// Endpoint is the hub's address, without a slash at its end: https, or
	// http on loopback.
	Endpoint string
	// TokenFile is as the file has it; empty means no token. See the
	// function TokenFile.
	TokenFile string
}

// Download says after how long a silence which verdict is due.
type Download struct {
	// StallAfter: the downloader runs, and no byte has come for so long.
	StallAfter Duration
	// InterruptAfter: it is known to be gone, and no byte has come since.
	InterruptAfter Duration
	// QuietAfter: no partial and no lock for so long, and no listing: what
	// is there is all.
	QuietAfter Duration
}

// Diagnostics is about what the daemon says of itself, on standard error.
type Diagnostics struct {
	// Level is the one at the start and after a reload; SIGUSR1 changes it
	// meanwhile.
	Level Level
	// Recording is how many bytes of what the daemon judges by are kept in the
	// state directory; 0: it isn't.
	Recording Size
}

// Default is the configuration where there is no file, or an empty one.
func Default() Config {
	return Config{
		PollInterval:      Duration(5 * time.Second),
		KeepaliveInterval: Duration(60 * time.Second),
		Step:              100_000_000,
		Log:               Log{Timestamps: Clock, Style: Plain},
		Journal:           Journal{Enabled: true},
		Console:           Console{Format: Text},
		Hub:               Hub{Endpoint: "https://huggingface.co"},
		Download: Download{
			StallAfter:     Duration(10 * time.Minute),
			InterruptAfter: Duration(60 * time.Second),
			QuietAfter:     Duration(30 * time.Second),
		},
		Diagnostics: Diagnostics{Level: Info},
	}
}

// maxFile is far more than anybody writes by hand: a file beyond it is
// another file, given by mistake.
const maxFile = 1 << 20

// Load reads and checks the file at path. A ~ in it is the home directory of
// the environment. What is wrong in the file comes as one *Error for each
// problem, joined.
func Load(path string) (Config, error) {
	return load(path, OpenFile)
}

// Open opens a file to be read.
type Open func(path string) (*os.File, error)

// OpenFile opens it as who may do so.
func OpenFile(path string) (*os.File, error) {
	// Without O_NONBLOCK a FIFO would hold the start up for ever.
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

func load(path string, open Open) (Config, error) {
	data, err := read(path, open)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read configuration %q: %w", path, err)
	}
	return parse(path, data, os.Getenv)
}

func read(path string, open Open) ([]byte, error) {
	file, err := open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file, expected a TOML file")
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes, expected a TOML file", maxFile)
	}
	return data, nil
}

// withoutPath drops the path that the caller gives anyway.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
