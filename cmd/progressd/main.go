// Command progressd watches Hugging Face caches and tells how far every
// download has come: in the journal, and in a log file for each model.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"progressd/config"
	"progressd/dialer"
	"progressd/opener"
	"progressd/socket"
	"progressd/state"
)

// The exit statuses, as the manual page documents them.
const (
	exitOK     = 0
	exitFailed = 1 // something failed at run time
	exitUsage  = 2 // the command line or the configuration is wrong; nothing was started
	exitInUse  = 3 // another progressd uses the state directory
)

// version is set by the linker; see the Makefile.
var version = ""

const usage = `Usage: progressd [--config FILE] [--check]
       progressd --replay FILE | --hash-names FILE

Watches Hugging Face caches and tells how far every download has come.
Runs in the foreground until SIGTERM or SIGINT; SIGHUP reloads the configuration,
SIGUSR1 switches the debug level on and off.

  --config FILE      configuration; else $XDG_CONFIG_HOME/progressd/config.toml if it is there
  --check            validate the configuration, print what would be watched, and exit
  --replay FILE      print the lines that come of a recording; see progressd(8)
  --hash-names FILE  print a recording with a hash in place of every name in it
  --version          print the version and exit
  --help             print this and exit

Without any configuration it watches the cache of the user who starts it.
progressctl(1) shows how downloads stand, and runs downloaders.
Exit status: 0 stopped as asked, 1 failed at run time, or --check has found a root that can't be one,
2 wrong usage or configuration, 3 another progressd uses the same state directory.
`

func main() {
	if len(os.Args) >= 2 && os.Args[1] == opener.Argument {
		os.Exit(opener.Main(os.Args[2:]))
	}
	if len(os.Args) == 2 && os.Args[1] == dialer.Argument {
		os.Exit(dialer.Main())
	}
	// A reader of our output that goes away must not take us with it.
	signal.Ignore(syscall.SIGPIPE)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(20) // it allocates little and lives beside model servers
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// There is seldom more than one thing to do, and the runtime wakes a
		// second core for each to see whether there is: a quarter of all that
		// a download cost. What waits for a disk holds up nothing.
		runtime.GOMAXPROCS(1)
	}
	signals, toggles := make(chan os.Signal, 8), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	signal.Notify(toggles, syscall.SIGUSR1)
	os.Exit(run(os.Args[1:], world{
		stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, signals: signals, toggles: toggles, exit: os.Exit,
		runDir: socket.SystemDir,
	}))
}

// world is what the program touches of its surroundings.
type world struct {
	stdout, stderr io.Writer
	getenv         func(string) string
	signals        <-chan os.Signal
	// toggles are the signals that switch the debug level.
	toggles <-chan os.Signal
	exit    func(status int)
	// runDir is where the system's daemon has its socket; empty in tests,
	// which take nothing over from systemd either.
	runDir string
}

type options struct {
	config, replay, hashNames string
	check, version, help      bool
}

// run is the program: it returns the exit status.
func run(args []string, w world) int {
	opts, err := parse(args)
	if err != nil {
		fmt.Fprintf(w.stderr, "progressd: %v\nTry \"progressd --help\".\n", err)
		return exitUsage
	}
	switch {
	case opts.help:
		fmt.Fprint(w.stdout, usage)
		return exitOK
	case opts.version:
		fmt.Fprintln(w.stdout, "progressd", buildVersion())
		return exitOK
	}
	diag := newDiagnostics(w.stderr)
	switch {
	case opts.replay != "":
		return status(replay(opts.replay, w.stdout, diag.log), w.stderr)
	case opts.hashNames != "":
		return status(hashNames(opts.hashNames, w.stdout), w.stderr)
	}
	load := func(open config.Open) (config.Settings, error) { return config.Resolve(opts.config, w.getenv, open) }
	set, err := load(config.OpenFile)
	if err != nil {
		fmt.Fprintf(w.stderr, "progressd: %v\n", err)
		return exitUsage
	}
	if opts.check {
		return thisHost.check(set, w.stdout)
	}
	if set.Homeless != nil {
		fmt.Fprintf(w.stderr, "progressd: %v\n", set.Homeless)
		return exitUsage
	}
	return status(serve(context.Background(), set, load, w, diag), w.stderr)
}

func parse(args []string) (options, error) {
	var opts options
	flags := flag.NewFlagSet("progressd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opts.config, "config", "", "")
	flags.StringVar(&opts.replay, "replay", "", "")
	flags.StringVar(&opts.hashNames, "hash-names", "", "")
	flags.BoolVar(&opts.check, "check", false, "")
	flags.BoolVar(&opts.version, "version", false, "")
	flags.BoolVar(&opts.help, "help", false, "")
	flags.BoolVar(&opts.help, "h", false, "")
	if len(args) == 1 && (args[0] == "help" || args[0] == "version") {
		args = []string{"--" + args[0]} // as other programs with subcommands have it
	}
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return opts, nil
}

// status maps how serving ended to the exit status.
func status(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, state.ErrLocked):
		fmt.Fprintf(stderr, "progressd: %v\n", err)
		return exitInUse
	default:
		fmt.Fprintf(stderr, "progressd: %v\n", err)
		return exitFailed
	}
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
