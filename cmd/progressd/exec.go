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
	"sync"
	"sync/atomic"
	"time"

	"progressd/child"
	"progressd/config"
	"progressd/daemon"
	"progressd/hfcache"
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
	environ               []string // the program's
	signals               <-chan os.Signal
	// runDir is where the system's daemon has its socket, empty in tests.
	runDir string
	// comeBack is how long a daemon that was lost is waited for.
	comeBack time.Duration
}

type execOptions struct {
	model  hfcache.Repo // zero if it wasn't named
	config string
	help   bool
	argv   []string
}

// execute is progressd exec: it returns how that ends.
func execute(args []string, w execWorld) child.Result {
	opts, err := parseExec(args)
	if err != nil {
		fmt.Fprintf(w.stderr, "progressd exec: %v\nTry \"progressd exec --help\".\n", err)
		return child.Result{Status: exitExec}
	}
	if opts.help {
		fmt.Fprint(w.stdout, execUsage)
		return child.Result{Status: exitOK}
	}
	set, err := config.Resolve(opts.config, w.getenv)
	if err == nil {
		err = set.Homeless
	}
	if err != nil {
		fmt.Fprintf(w.stderr, "progressd exec: %v\n", err)
		return child.Result{Status: exitExec}
	}
	x := newExecution(opts, set, w)
	x.start()
	result, err := x.child()
	x.finish(result, err)
	if startError := new(child.StartError); errors.As(err, &startError) {
		fmt.Fprintf(w.stderr, "progressd exec: %v\n", err)
		return child.Result{Status: startError.Status}
	}
	if err != nil {
		fmt.Fprintf(w.stderr, "progressd exec: %v\n", err)
		return child.Result{Status: exitExec}
	}
	return result
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

// An execution is one program under progressd exec. Where no daemon tells of
// its one download, a pipeline of its own does.
type execution struct {
	w    execWorld
	out  world
	argv []string
	set  config.Settings
	run  *hearing
	tell *teller
	look *lookout
	log  *slog.Logger
	stop context.CancelFunc
	// working are all that was started.
	working sync.WaitGroup
	oom     int // kills before the program was started
}

func newExecution(opts execOptions, set config.Settings, w execWorld) *execution {
	screen := newScreen(w.stderr)
	log := slog.New(slog.DiscardHandler)
	out := world{getenv: w.getenv}
	if !screen.terminal { // there, the program's bars stay as they are
		log = slog.New(slog.NewTextHandler(screen, &slog.HandlerOptions{ReplaceAttr: brief, Level: slog.LevelWarn}))
		out.stdout, out.stderr = screen, screen
	}
	x := &execution{w: w, out: out, argv: opts.argv, set: set, log: log, oom: oomKills()}
	x.tell = &teller{
		paths: sockets(w.getenv, w.runDir), comeBack: w.comeBack, screen: screen, log: log,
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	x.run = newHearing(aimOf(opts, set, w.getenv), screen, x.tell.put)
	x.tell.over = x.run.over
	x.look = newLookout(x.run, daemon.HubOf(set, w.getenv, log), log)
	x.tell.look = x.look.now
	x.tell.rest = func(root string, repo hfcache.Repo, abort <-chan struct{}) *sizer.Look {
		return daemon.Rest(x.look.options, root, repo.Folder(), abort)
	}
	return x
}

// start sets those to work who find the download and tell of it.
func (x *execution) start() {
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	looking := daemon.Start(ctx, "lookout", x.look.Run, x.log)
	x.tell.carry = func() chan<- tracker.Report { return x.carry(ctx, looking) }
	telling := daemon.Start(ctx, "telling", x.tell.Run, x.log)
	x.working.Go(func() { <-telling; <-looking })
}

// carry sets a pipeline of its own to work, and returns where its tracker
// hears reports.
func (x *execution) carry(ctx context.Context, looking <-chan struct{}) chan<- tracker.Report {
	names, store := newNames(&x.set), state.Volatile(x.log)
	t := x.run.target()
	store.NameLog(t.root, t.repo, names.of(t))
	p := daemon.NewJudge(daemon.Options{
		Settings: x.set, Store: store, Console: x.out.stdout, Getenv: x.w.getenv, Log: x.log,
	}, x.look.looks, x.look.attended, x.look.hub, x.run.concluded)
	x.working.Go(func() { p.Carry(ctx, looking) })
	x.look.wanted.Store(true)
	return p.Reports()
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
		Argv: x.argv, Env: x.w.environ, Stdin: x.w.stdin, Stdout: x.w.stdout, Stderr: x.w.stderr, Signals: signals,
		Started: x.run.started, Printed: x.run.printed, Paused: x.run.paused, Closed: x.run.closed,
	})
}

const (
	// verdictPatience is how long the verdict on a program that has ended is
	// waited for: a little longer than the tracker waits for looks.
	verdictPatience = 6 * time.Second
	// lookAgain is how often is looked meanwhile.
	lookAgain = 150 * time.Millisecond
	// longestEnd bounds all waiting, also for a daemon that is lost just then.
	longestEnd = usualComeBack + 3*verdictPatience
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
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		x.working.Wait()
	}()
	select {
	case <-stopped:
	case <-time.After(daemon.Patience):
	case <-abort:
	}
}

// conclude reports the end and waits for the verdict.
func (x *execution) conclude(result child.Result, abort <-chan struct{}) {
	exit := x.exit(result)
	if !x.run.settle() {
		if x.run.heardErrors() {
			x.log.Warn("it could not be told which model this was, so nothing was said about it: name it by --model")
		}
		return
	}
	x.run.ended(exit)
	select {
	case <-x.tell.done:
	case <-time.After(longestEnd):
	case <-abort:
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
