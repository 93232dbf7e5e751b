// Package runner runs a downloader and reports what is heard of it: to a
// daemon that watches its cache, else to a tracker of its own.
package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"progressd/child"
	"progressd/config"
	"progressd/daemon"
	"progressd/hfcache"
	"progressd/record"
	"progressd/sizer"
	"progressd/state"
	"progressd/tracker"
)

// exitFailed is the status where this fails itself: as of env, timeout and
// nohup, so that it isn't taken for the program's.
const exitFailed = 125

// exitStalled is the status of a program that was stopped because its download
// stood still: as of timeout.
const exitStalled = 124

// A World is what running a downloader touches of its surroundings.
type World struct {
	Stdin, Stdout, Stderr *os.File
	Getenv                func(string) string
	Environ               []string // the program's
	Signals               <-chan os.Signal
	// Sockets are where a daemon is looked for, in that order.
	Sockets []string
	// ComeBack is how long a daemon that was lost is waited for; 0 is as long
	// as systemd takes to start one again.
	ComeBack time.Duration
}

// Options are what to run.
type Options struct {
	Argv   []string
	Model  hfcache.Repo // zero if it wasn't named
	Config string       // file; empty: the one that is there, if any
	// StallTimeout is how long the download may be stalled before the program
	// is stopped; 0: for ever.
	StallTimeout time.Duration
}

// Run runs the program: it returns how that ends.
func Run(opts Options, w World) child.Result {
	if w.ComeBack == 0 {
		w.ComeBack = usualComeBack
	}
	set, err := config.Resolve(opts.Config, w.Getenv, config.OpenFile)
	if err == nil {
		err = set.Homeless
	}
	if err != nil {
		fmt.Fprintf(w.Stderr, "progressctl exec: %v\n", err)
		return child.Result{Status: exitFailed}
	}
	x := newExecution(opts, set, w)
	x.start()
	result, err := x.child()
	x.finish(result, err)
	if startError := new(child.StartError); errors.As(err, &startError) {
		fmt.Fprintf(w.Stderr, "progressctl exec: %v\n", err)
		return child.Result{Status: startError.Status}
	}
	if err != nil {
		fmt.Fprintf(w.Stderr, "progressctl exec: %v\n", err)
		return child.Result{Status: exitFailed}
	}
	if x.gaveUp.Load() {
		return child.Result{Status: exitStalled}
	}
	return result
}

// An execution is one program under progressctl exec. Where no daemon tells of
// its one download, a pipeline of its own does.
type execution struct {
	w World
	// console gets the lines of a pipeline of its own; nil: nobody looks there.
	console io.Writer
	argv    []string
	set     config.Settings
	run     *hearing
	tell    *teller
	look    *lookout
	log     *slog.Logger
	stop    context.CancelFunc
	// steward looks after the program, and has it stopped by stops.
	steward *steward
	stops   chan os.Signal
	gaveUp  atomic.Bool
	// working are all that was started.
	working sync.WaitGroup
	oom     int // kills before the program was started
}

func newExecution(opts Options, set config.Settings, w World) *execution {
	screen := newScreen(w.Stderr)
	x := &execution{w: w, argv: opts.Argv, set: set, log: slog.New(slog.DiscardHandler), oom: oomKills()}
	if !screen.terminal { // there, the program's bars stay as they are
		x.log = slog.New(slog.NewTextHandler(screen, &slog.HandlerOptions{ReplaceAttr: withoutTime, Level: slog.LevelWarn}))
		x.console = screen
	}
	x.tell = &teller{
		paths: w.Sockets, comeBack: w.ComeBack, screen: screen, log: x.log,
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	x.stops = make(chan os.Signal, 4)
	x.steward = newSteward(notifier(w.Getenv("NOTIFY_SOCKET")), time.Duration(set.Download.StallAfter), opts.StallTimeout,
		x.signal, x.giveUp)
	if x.steward.wanted() {
		x.tell.stands, x.tell.lost = x.steward.stands, x.steward.lost
	}
	x.run = newHearing(aimOf(opts, set, w.Getenv), screen, x.tell.put)
	x.tell.over = x.run.over
	x.look = newLookout(x.run, daemon.HubOf(set, w.Getenv, daemon.Way{}, x.log), x.log)
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
	looksAfter := daemon.Start(ctx, "steward", x.steward.Run, x.log)
	x.working.Go(func() { <-telling; <-looking; <-looksAfter })
}

// signal has a signal passed on to the program.
func (x *execution) signal(sig syscall.Signal) {
	select {
	case x.stops <- sig:
	default: // it has ended
	}
}

// giveUp notes that the program is stopped because its download stands still.
func (x *execution) giveUp() {
	x.gaveUp.Store(true)
	x.log.Warn("the download stands still for too long: its program is stopped", "stall_timeout", x.steward.patience)
}

// carry sets a pipeline of its own to work, and returns where its tracker
// hears reports.
func (x *execution) carry(ctx context.Context, looking <-chan struct{}) chan<- tracker.Report {
	names, store := newNames(&x.set), state.Volatile(x.log)
	t := x.run.target()
	store.NameLog(t.Root, t.Repo, names.of(t))
	p := daemon.NewJudge(daemon.Options{
		Settings: x.set, Store: store, Console: x.console, Getenv: x.w.Getenv, Log: x.log, Shown: x.shown(),
	}, x.look.looks, x.look.attended, x.look.hub, x.run.concluded)
	x.working.Go(func() { p.Carry(ctx, looking) })
	x.look.wanted.Store(true)
	return p.Reports()
}

// shown is the hook for how the download stands, nil if nobody wants to know.
func (x *execution) shown() func(tracker.Standing) {
	if !x.steward.wanted() {
		return nil
	}
	return func(s tracker.Standing) { x.steward.stands(record.StandingOf(s, nil)) }
}

// child runs the program to its end.
func (x *execution) child() (child.Result, error) {
	signals := make(chan os.Signal, 8)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case sig := <-x.w.Signals:
				x.run.signalled(sig)
				select {
				case signals <- sig:
				case <-done:
				}
			case sig := <-x.stops:
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
		Argv: x.argv, Env: x.w.Environ, Stdin: x.w.Stdin, Stdout: x.w.Stdout, Stderr: x.w.Stderr, Signals: signals,
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
			case sig := <-x.w.Signals:
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
	if x.gaveUp.Load() { // however it took that
		exit.Cause = tracker.CauseStall
		exit.Status = cmp.Or(exit.Status, exitStalled)
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

// withoutTime leaves the time to whoever keeps the diagnostics.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
