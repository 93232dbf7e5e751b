// Package daemon assembles the parts in the order of the flow: watcher, sizer,
// tracker, state, sinks. What stands here is what ships: cmd/progressd and the
// simulation run the same pipeline.
package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"progressd/account"
	"progressd/config"
	"progressd/downloader"
	"progressd/hfcache"
	"progressd/hublist"
	"progressd/kubepod"
	"progressd/recording"
	"progressd/sink"
	"progressd/sizer"
	"progressd/socket"
	"progressd/state"
	"progressd/stream"
	"progressd/tracker"
	"progressd/untrusted"
	"progressd/watcher"
)

// Active is how often a download under way is looked at, steady how often
// while nothing but the sizes of its files changes: often enough that a step is
// told within a second, seldom enough to cost nothing.
const (
	Active = 500 * time.Millisecond
	steady = 900 * time.Millisecond
)

// Patience is how long the parts may take to stop. What hangs then, on a file
// system that doesn't answer, is left behind: all that counts is on disk.
const Patience = 1800 * time.Millisecond

// procDir is where procfs is mounted.
const procDir = downloader.ProcDir("/proc")

// queueLength is how many lines a sink may be behind before some are dropped.
var queueLength = int(account.Waiting.Limit().All)

// Options say what a Pipeline works with. All fields are needed where nothing
// else is said.
type Options struct {
	Settings config.Settings
	// Store outlives the Pipeline: over a reload the next one goes on with it.
	Store *state.Store
	// Accounts are those that everything is charged to; nil: nothing has a
	// bound. They outlive the Pipeline as well.
	Accounts *account.Book
	// Probes outlive it, too: the next one doesn't ask where a file system
	// hangs. nil is none.
	Probes *watcher.Probes
	// Systemd is told how the service is; nil: there is no systemd.
	Systemd *Systemd
	// Listeners are where reports of runs come in; they stay open.
	Listeners []*net.UnixListener
	// Console gets the lines where standard output is not the journal; nil is
	// none.
	Console io.Writer
	// Outlets are further ways out for what is said.
	Outlets []state.Outlet
	Getenv  func(string) string
	// Shown is given how a download stands, for NewJudge; nil: nobody asks.
	Shown func(tracker.Standing)
	// Version of the program, for the first line.
	Version string
	// Opener opens what this process may not; nil: it may.
	Opener Opener
	// Hub is how the hub is reached.
	Hub Way
	// Machine stands in for the one that the daemon runs on, which is nil.
	Machine *Machine
	Log     *slog.Logger
}

// A Pipeline is the parts in the order of the flow,
// watcher -> sizer -> tracker -> ledger -> sinks,
// under one configuration.
type Pipeline struct {
	opts    Options
	set     config.Settings
	form    sink.Form
	watcher *watcher.Watcher // nil where a lookout looks
	tracker *tracker.Tracker
	// attended is what the tracker says of how closely to look.
	attended *Attendance
	ledger   *state.Ledger
	hub      *hublist.Hub // nil if it is switched off
	board    *stream.Board
	// recording is of what the tracker is given; nil: nothing is kept.
	recording *recording.Recording
	pods      *podNames
	queues    map[string]*sink.Queue
	looks     chan sizer.Look
	roots     chan tracker.RootChange
	// reports are those of runs. The daemon gets them from progressctl exec,
	// by server, which serves the listeners.
	reports chan tracker.Report
	server  *socket.Server
	sd      *Systemd
	log     *slog.Logger

	mu   sync.Mutex
	said string // by the tracker
}

// New assembles the parts of the daemon. It starts nothing; ctx is that of Run.
func New(ctx context.Context, opts Options) *Pipeline {
	p := newPipeline(opts, NewAttendance())
	p.looks, p.roots = make(chan sizer.Look), make(chan tracker.RootChange)
	set, store := p.set, opts.Store
	p.board = p.newBoard()
	p.server = p.newServer(store)
	p.ledger = state.NewLedger(store, append(p.outlets(), state.Outlet{Queue: p.server}, state.Outlet{Queue: p.board}), p.log)
	hooks := tracker.Hooks{
		Status: p.status, Alive: p.sd.alive, AliveEvery: p.sd.watchdog, RunOver: p.runOver, Attend: p.attend,
		Shown: p.shown, Watched: func() bool { return p.board.Watched() || p.server.Watched() },
	}
	now := time.Now()
	if p.recording = p.record(now); p.recording != nil {
		hooks.Given = p.recording.Given
	}
	p.tracker = tracker.New(limits(set), podRecorder{p.ledger, p.pods}, opts.Machine.hooked(hooks), p.log)
	p.tracker.Hear(p.reports)
	p.tracker.Restore(store.Episodes(), now)
	p.tracker.Remember(store.Reported())
	p.hub = HubOf(set, opts.Getenv, opts.Hub, p.log)
	p.watcher = watcher.New(opts.Machine.onto(p.watches(ctx, &scannerFactory{
		store: store, accounts: opts.Accounts, looks: p.looks, attended: p.attended, opened: now, log: p.log,
		procs: downloader.NewShared(opts.processes()), listing: listingOf(p.hub), files: opts.filesFor, machine: opts.Machine,
	})))
	return p
}

// watches says what to watch, and who looks.
func (p *Pipeline) watches(ctx context.Context, scanners *scannerFactory) watcher.Options {
	return watcher.Options{
		FS: p.opts.files(), Roots: p.set.Roots, Probes: p.opts.Probes, Poll: time.Duration(p.set.PollInterval), Active: Active, Steady: steady, Notify: true,
		IsRepo: IsRepo, IsLocal: IsLocal, Log: p.log, AfterCostly: p.shed,
		Changed: func(ctx context.Context, c watcher.RootChange) {
			if c.Kind == watcher.Gone {
				scanners.take(c.Root.Path, nil)
			}
			p.changed(ctx, c)
		},
		NewLooker: func(root watcher.Root) watcher.Looker { return scanners.scanner(ctx, root) },
		Accounts:  p.opts.Accounts,
	}
}

// NewJudge assembles the parts from the tracker on, for looks that somebody
// else takes, who goes by what is attended. runOver is called when all is said
// of a run whose end was reported.
func NewJudge(opts Options, looks chan sizer.Look, attended *Attendance, hub *hublist.Hub, runOver func(root string, repo hfcache.Repo)) *Pipeline {
	p := newPipeline(opts, attended)
	p.looks, p.hub = looks, hub
	p.ledger = state.NewLedger(opts.Store, p.outlets(), p.log)
	hooks := tracker.Hooks{RunOver: runOver, Attend: p.attend, Shown: opts.Shown, Watched: func() bool { return true }}
	p.tracker = tracker.New(limits(p.set), p.ledger, hooks, p.log)
	p.tracker.Hear(p.reports)
	return p
}

func newPipeline(opts Options, attended *Attendance) *Pipeline {
	if opts.Systemd == nil {
		opts.Systemd = &Systemd{}
	}
	return &Pipeline{
		opts: opts, set: opts.Settings, form: form(opts.Settings), attended: attended, sd: opts.Systemd, log: opts.Log,
		pods: newPodNames(kubepod.Logs, opts.raise), queues: make(map[string]*sink.Queue), reports: make(chan tracker.Report),
	}
}

// Reports is where the tracker hears of runs. Whoever sends must not wait for
// anything that waits for the tracker.
func (p *Pipeline) Reports() chan<- tracker.Report { return p.reports }

// limits are those by which downloads are judged.
func limits(s config.Settings) tracker.Settings {
	return tracker.Settings{
		Step: int64(s.Step), Keepalive: time.Duration(s.KeepaliveInterval),
		StallAfter:     time.Duration(s.Download.StallAfter),
		InterruptAfter: time.Duration(s.Download.InterruptAfter),
		QuietAfter:     time.Duration(s.Download.QuietAfter),
	}
}

// IsRepo reports whether a directory of a cache is a repository, by its name.
func IsRepo(folder string) bool {
	_, ok := hfcache.ParseFolder(folder)
	return ok
}

// IsLocal reports whether a directory at that path below a root may be one that
// a client fills by --local-dir.
func IsLocal(rel string) bool {
	_, ok := hfcache.LocalRepo(rel)
	return ok
}

// form is how lines look.
func form(s config.Settings) sink.Form {
	form := sink.Form{Text: sink.Message, Stamp: sink.Clock, Zone: sink.LocalZone()}
	if s.Log.Style == config.Detailed {
		form.Text = sink.Detailed
	}
	if s.Log.Timestamps == config.RFC3339 {
		form.Stamp = sink.RFC3339
	}
	return form
}

// consoleLine is how a line of the console is rendered.
func consoleLine(s config.Settings, form sink.Form) func(tracker.Event) string {
	if s.Console.Format == config.JSON {
		return form.JSON
	}
	return form.Line
}

// outlets makes the sinks. Under systemd standard output is the journal, so
// the lines go there once, with their fields; elsewhere they go to the
// console as well.
func (p *Pipeline) outlets() []state.Outlet {
	form, store := p.form, p.opts.Store
	accounts := p.opts.Accounts
	outlets := []state.Outlet{p.outlet(sink.NewModelLog(p.set.LogDir, form, store, p.log), accounts)}
	if p.set.Journal.Enabled && journalRuns() {
		outlets = append(outlets, p.outlet(sink.NewJournal(form.Text, store), accounts))
	}
	if p.opts.Console != nil && p.opts.Getenv("JOURNAL_STREAM") == "" {
		console := p.outlet(sink.NewConsole(p.opts.Console, consoleLine(p.set, form), p.log), nil)
		console.Name = "" // nobody waits for a terminal
		outlets = append(outlets, console)
	}
	return append(outlets, p.opts.Outlets...)
}

func (p *Pipeline) outlet(s sink.Sink, accounts *account.Book) state.Outlet {
	q := sink.NewQueue(s, queueLength, accounts, p.log)
	p.queues[s.Name()] = q
	return state.Outlet{Name: s.Name(), Queue: q}
}

// journalRuns reports whether this machine has a journal at all. One that is
// down for a moment is waited for.
func journalRuns() bool {
	_, err := os.Stat("/run/systemd/journal")
	return err == nil
}

// Run works until ctx is done.
func (p *Pipeline) Run(ctx context.Context) {
	if p.sd.listens {
		Start(ctx, "status", p.refresh, p.log)
	}
	if p.opts.Machine == nil { // else the process is a simulation's, and isn't ours to make small
		Start(ctx, "slim", p.slim, p.log)
		Start(ctx, "pods", p.pods.run, p.log)
	}
	hearing := Start(ctx, "socket", p.hear, p.log)
	p.Carry(ctx, Start(ctx, "watcher", p.watcher.Run, p.log))
	<-hearing
}

// Carry runs the parts behind the one that looks, until ctx is done; then it
// stops them in the order of the flow, so that each still takes what the one
// before it gives.
func (p *Pipeline) Carry(ctx context.Context, looking <-chan struct{}) {
	judging, stopJudging := startAfter(ctx, "tracker", func(ctx context.Context) error {
		return p.tracker.Run(ctx, p.looks, p.roots)
	}, p.log)
	keeping, stopKeeping := p.keep(ctx)
	asking := p.ask(ctx)
	noting, stopNoting := startAfter(ctx, "ledger", p.ledger.Run, p.log)
	var writing []<-chan struct{}
	var stopWriting []func()
	for name, q := range p.queues {
		done, stop := startAfter(ctx, name, q.Run, p.log)
		writing, stopWriting = append(writing, done), append(stopWriting, stop)
	}
	<-ctx.Done()
	select {
	case <-looking:
	case <-time.After(Patience / 4): // a file system hangs: it isn't waited for
	}
	<-asking
	stopJudging()
	<-judging
	stopKeeping()
	<-keeping
	stopNoting()
	<-noting
	for _, stop := range stopWriting {
		stop()
	}
	for _, done := range writing {
		<-done
	}
}

// Start runs a part until ctx is done; then what it returns is closed.
func Start(ctx context.Context, name string, run func(context.Context) error, log *slog.Logger) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			log.Error("a part of the daemon has failed", "part", name, "err", err)
		}
	}()
	return done
}

// startAfter runs a part until it is told to stop, also after ctx is done.
func startAfter(ctx context.Context, name string, run func(context.Context) error, log *slog.Logger) (<-chan struct{}, func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	return Start(ctx, name, run, log), stop
}

// Ready is closed when the roots are watched; see watcher.Watcher.Ready.
func (p *Pipeline) Ready() <-chan struct{} { return p.watcher.Ready() }

// Greet says that it is ready, and what to do where there is nothing to watch.
// That a pattern matches nothing yet is as it should be; a single place that
// isn't there may be a slip.
func (p *Pipeline) Greet() {
	log := p.log
	caches := 0
	var missing, silent []string
	for _, root := range p.watcher.Status() {
		switch {
		case root.Present:
			caches++
		case !root.BusySince.IsZero() && time.Since(root.BusySince) > momentary:
			silent = append(silent, untrusted.Name(root.Path))
		case !strings.ContainsAny(root.Pattern, `*?[`):
			missing = append(missing, root.Pattern)
		}
	}
	switch {
	case len(silent) > 0:
		log.Warn("not all places where a cache may be can be seen yet: no answer, which is waited for", "waited_for", few(silent))
	case caches == 0:
		log.Warn("no cache found: waiting for one to appear; to watch another place, name it in the configuration: roots = [\"/path/to/hub\"]",
			"looked_at", strings.Join(p.set.Roots, " "))
	case len(missing) > 0:
		log.Warn("not all caches are there: waiting for them to appear", "missing", strings.Join(missing, " "))
	}
	log.Info("watching", "caches", caches, "logs", p.set.LogDir, "version", p.opts.Version)
}

// few names some of many.
func few(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// momentary is how long a look for a cache may take that doesn't hang.
const momentary = 250 * time.Millisecond

// status is called by the tracker when what it says of itself changes.
func (p *Pipeline) status(text string) {
	p.mu.Lock()
	p.said = text
	p.mu.Unlock()
	p.publish()
}

// refreshEvery is how soon a sink that fails or a file system that hangs
// shows in the status of an engine that has nothing to say itself.
const refreshEvery = 10 * time.Second

func (p *Pipeline) refresh(ctx context.Context) error {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.publish()
		case <-ctx.Done():
			return nil
		}
	}
}

// publish tells systemd how the engine, the sinks and the roots stand.
func (p *Pipeline) publish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := []string{p.said}
	for _, name := range slices.Sorted(maps.Keys(p.queues)) {
		if _, _, failing := p.queues[name].Status(); failing != nil {
			parts = append(parts, "cannot write to the "+name+": "+untrusted.Name(failing.Error()))
		}
	}
	var still []string
	for _, root := range p.watcher.Status() {
		if !root.BusySince.IsZero() && time.Since(root.BusySince) > refreshEvery {
			still = append(still, untrusted.Name(root.Path)+" stands still since "+p.form.Zone.Local(root.BusySince).Format(time.TimeOnly))
		}
	}
	if len(still) > 0 {
		parts = append(parts, few(still))
	}
	if over := p.opts.Accounts.Over(); len(over) > 0 {
		parts = append(parts, "over budget: "+strings.Join(over, ", "))
	}
	p.sd.status(strings.Join(parts, "; "))
}

// attend is called by the tracker when it says how closely to look.
func (p *Pipeline) attend(a tracker.Attention) {
	p.attended.note(a)
	if p.watcher != nil {
		p.watcher.Attend(a.Root, a.Repo.Folder(), a.By)
	}
}

// changed is called by the watcher when a root is found, goes or comes back.
func (p *Pipeline) changed(ctx context.Context, c watcher.RootChange) {
	change := tracker.RootChange{Root: c.Root.Path, At: time.Now(), Home: c.Root.Home}
	switch c.Kind {
	case watcher.Found, watcher.Back:
		p.pods.of(c.Root.Path) // it will be asked for: its name is read meanwhile
	case watcher.Gone:
		change.Gone = true
	default: // of interest to diagnostics only, and the watcher has said it
		return
	}
	select {
	case p.roots <- change:
	case <-ctx.Done():
	}
}
