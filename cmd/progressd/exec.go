package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"progressd/child"
	"progressd/hfcache"
	"progressd/sink"
	"progressd/sizer"
	"progressd/state"
	"progressd/tracker"
)

// exitExec is the status of progressd exec where it fails itself: as of env,
// timeout and nohup, so that it isn't taken for the program's.
const exitExec = 125

const execUsage = `Usage: progressd exec [--model ID] [--config FILE] [--] PROGRAM [ARGUMENT...]

Runs a downloader as if it had been started without it, and tells how its download
goes: from what the program prints, what it writes to the cache, and how it ends.

  --model ID     what is downloaded: org/name, datasets/org/name, spaces/org/name;
                 else as the program's command line says, or the locks that it takes
  --config FILE  configuration; else $XDG_CONFIG_HOME/progressd/config.toml if it is there
  --help         print this and exit

Exit status: that of the program, 128 + n if signal n killed it; 125 if progressd fails
itself, 126 if the program can't be run, 127 if there is none.
`

// execWorld is what progressd exec touches of its surroundings.
type execWorld struct {
	stdin, stdout, stderr *os.File
	getenv                func(string) string
	signals               <-chan os.Signal
}

type execOptions struct {
	model  hfcache.Repo // zero if it wasn't named
	config string
	help   bool
	argv   []string
}

// execute is progressd exec: it returns the exit status.
func execute(args []string, w execWorld) int {
	opts, err := parseExec(args)
	if err != nil {
		fmt.Fprintf(w.stderr, "progressd exec: %v\nTry \"progressd exec --help\".\n", err)
		return exitExec
	}
	if opts.help {
		fmt.Fprint(w.stdout, execUsage)
		return exitOK
	}
	set, err := resolve(opts.config, w.getenv)
	if err == nil {
		err = set.homeless
	}
	if err != nil {
		fmt.Fprintf(w.stderr, "progressd exec: %v\n", err)
		return exitExec
	}
	x := newExecution(opts, set, w)
	x.start()
	result, err := x.child()
	x.finish(result, err)
	if startError := new(child.StartError); errors.As(err, &startError) {
		fmt.Fprintf(w.stderr, "progressd exec: %v\n", err)
		return startError.Status
	}
	if err != nil {
		fmt.Fprintf(w.stderr, "progressd exec: %v\n", err)
		return exitExec
	}
	return result.Status
}

func parseExec(args []string) (execOptions, error) {
	var opts execOptions
	var model string
	flags := flag.NewFlagSet("progressd exec", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&model, "model", "", "")
	flags.StringVar(&opts.config, "config", "", "")
	flags.BoolVar(&opts.help, "help", false, "")
	flags.BoolVar(&opts.help, "h", false, "")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	opts.argv = flags.Args()
	if opts.help {
		return opts, nil
	}
	if len(opts.argv) == 0 {
		return opts, errors.New("no program is named")
	}
	if model != "" {
		var ok bool
		if opts.model, ok = parseModel(model); !ok {
			return opts, fmt.Errorf("--model %q: expected org/name, or datasets/org/name for a dataset", model)
		}
	}
	return opts, nil
}

// parseModel knows the ids of models, and those of others as the hub's URLs
// have them.
func parseModel(id string) (hfcache.Repo, bool) {
	for _, t := range []hfcache.RepoType{hfcache.Dataset, hfcache.Space, hfcache.Kernel} {
		if rest, ok := strings.CutPrefix(id, string(t)+"s/"); ok {
			return hfcache.NewRepo(t, rest)
		}
	}
	return hfcache.NewRepo(hfcache.Model, id)
}

// An execution is one program under progressd exec, with a pipeline of its own
// for its one download.
type execution struct {
	w     execWorld
	argv  []string
	parts *pipeline
	store *state.Store
	run   *hearing
	look  *lookout
	log   *slog.Logger
	stop  context.CancelFunc
	// stopped is closed when the pipeline has ended.
	stopped chan struct{}
	oom     int // kills before the program was started
}

func newExecution(opts execOptions, set settings, w execWorld) *execution {
	screen := newScreen(w.stderr)
	log := slog.New(slog.DiscardHandler)
	out := world{getenv: w.getenv}
	if !screen.terminal { // there, the program's bars stay as they are
		log = slog.New(slog.NewTextHandler(screen, &slog.HandlerOptions{ReplaceAttr: brief, Level: slog.LevelWarn}))
		out.stdout, out.stderr = screen, screen
	}
	names := newNames(&set)
	x := &execution{
		w: w, argv: opts.argv, store: state.Volatile(log), log: log, stopped: make(chan struct{}),
		oom: oomKills(),
	}
	p := &pipeline{
		set: set, sd: &systemd{}, log: log, queues: make(map[string]*sink.Queue),
		looks: make(chan sizer.Look), hub: hubOf(set, out, log),
	}
	p.ledger = state.NewLedger(x.store, p.outlets(x.store, out), log)
	x.run = newHearing(aimOf(opts, set, w.getenv), screen, func(k target) { x.store.NameLog(k.root, k.repo, names.of(k)) })
	p.tracker = tracker.New(set.limits(), p.ledger, tracker.Hooks{RunOver: x.run.concluded}, log)
	p.tracker.Hear(x.run.reports)
	x.look = newLookout(x.run, p)
	x.parts = p
	return x
}

// start sets the pipeline to work.
func (x *execution) start() {
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	x.run.ctx = ctx
	looking := start(ctx, "lookout", x.look.Run, x.log)
	go func() {
		defer close(x.stopped)
		x.parts.carry(ctx, looking)
	}()
}

// child runs the program to its end.
func (x *execution) child() (child.Result, error) {
	signals := make(chan os.Signal, 8)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case sig := <-x.w.signals:
				x.run.signalled(sig)
				select {
				case signals <- sig:
				case <-done:
				}
			case <-done:
				return
			}
		}
	}()
	return child.Run(child.Options{
		Argv: x.argv, Stdin: x.w.stdin, Stdout: x.w.stdout, Stderr: x.w.stderr, Signals: signals,
		Started: x.run.started, Printed: x.run.printed, Paused: x.run.paused, Closed: x.run.closed,
	})
}

const (
	// verdictPatience is how long the verdict on a program that has ended is
	// waited for: a little longer than the tracker waits for looks.
	verdictPatience = 6 * time.Second
	// lookAgain is how often is looked meanwhile.
	lookAgain = 150 * time.Millisecond
)

// finish has the verdict told, and stops the pipeline. What hangs is not
// waited for, and a signal ends all waiting.
func (x *execution) finish(result child.Result, err error) {
	abort := make(chan struct{})
	done := make(chan struct{})
	defer close(done)
	go func() {
		defer close(abort)
		for {
			select {
			case sig := <-x.w.signals:
				if asksToEnd(sig) {
					return
				}
			case <-done:
				return
			}
		}
	}()
	if err == nil {
		x.conclude(result, abort)
	}
	x.stop()
	select {
	case <-x.stopped:
	case <-time.After(patience):
	case <-abort:
	}
}

// conclude reports the end and waits for the verdict.
func (x *execution) conclude(result child.Result, abort <-chan struct{}) {
	exit := x.exit(result)
	t, known := x.run.settle()
	if !known {
		if x.run.heardErrors() {
			x.log.Warn("it could not be told which model this was, so nothing was said about it: name it by --model")
		}
		return
	}
	x.run.ended(exit, x.look.rest(t, abort))
	x.await(abort)
}

// await has looks made until the verdict is told.
func (x *execution) await(abort <-chan struct{}) {
	timeout := time.After(verdictPatience)
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		x.look.now()
		select {
		case <-again.C:
		case <-x.run.over:
			return
		case <-timeout:
			return
		case <-abort:
			return
		}
	}
}

// exit is what is known of how the program ended.
func (x *execution) exit(result child.Result) tracker.Exit {
	exit := tracker.Exit{Status: result.Status, OutOfMemory: oomKills() > x.oom}
	if result.Signal != 0 {
		exit.Signal = signalName(result.Signal)
	}
	return exit
}

// A screen is our standard error, which is the program's as well: a line of
// ours begins where one of the program's has ended.
type screen struct {
	file     *os.File
	terminal bool
	// torn: the program has not ended its line.
	torn atomic.Bool
}

func newScreen(stderr *os.File) *screen {
	return &screen{file: stderr, terminal: child.IsTerminal(stderr)}
}

func (s *screen) Write(p []byte) (int, error) {
	if s.torn.Swap(false) {
		if _, err := s.file.WriteString("\n"); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}
