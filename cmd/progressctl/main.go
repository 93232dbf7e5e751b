// Command progressctl is everybody's client of progressd: it needs no
// privilege. It shows how downloads stand, waits for them, and runs a
// downloader so that what that prints is heard, too.
package main

import (
	"os"
	"runtime/debug"
	"time"

	"progressd/child"
	"progressd/socket"
)

// The exit statuses that every subcommand but exec shares, as the manual page
// documents them.
const (
	exitOK    = 0
	exitUsage = 2 // the command line is wrong; nothing was done
)

// version is set by the linker; see the Makefile.
var version = ""

func main() {
	result := run(os.Args[1:], world{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, environ: os.Environ(), signals: catch,
		runDir: socket.SystemDir,
	})
	result.EndByKey()
	os.Exit(result.Status)
}

// world is what the program touches of its surroundings.
type world struct {
	// ends, where it is done, the waiting of a subcommand; nil never is. The
	// signals that end a program do so without it.
	ends                  <-chan struct{}
	stdin, stdout, stderr *os.File
	getenv                func(string) string
	environ               []string // for the program that exec runs
	// signals begins to catch those that exec passes on.
	signals func() <-chan os.Signal
	// runDir is where the system's daemon has its socket, empty in tests.
	runDir string
	// comeBack is how long exec waits for a daemon that was lost; 0 is as usual.
	comeBack time.Duration
}

func catch() <-chan os.Signal {
	signals, _ := child.Notify()
	return signals
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown version)"
}
