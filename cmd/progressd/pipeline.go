package main

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"progressd/config"
	"progressd/hfcache"
	"progressd/hublist"
	"progressd/sink"
	"progressd/sizer"
	"progressd/socket"
	"progressd/state"
	"progressd/tracker"
	"progressd/watcher"
)

// active is how often a download under way is looked at, steady how often
// while nothing but the sizes of its files changes: often enough that a step is
// told within a second, seldom enough to cost nothing.
const (
	active = 500 * time.Millisecond
	steady = 900 * time.Millisecond
)

// queueLength is how many lines a sink may be behind before some are dropped.
const queueLength = 4096

// A pipeline is the parts in the order of the flow,
// watcher -> sizer -> tracker -> ledger -> sinks,
// under one configuration.
type pipeline struct {
	set     settings
	watcher *watcher.Watcher // nil where a lookout looks
	tracker *tracker.Tracker
	// attended is what the tracker says of how closely to look.
	attended *attendance
	ledger   *state.Ledger
	hub      *hublist.Hub // nil if it is switched off
	queues   map[string]*sink.Queue
	looks    chan sizer.Look
	roots    chan tracker.Event
	// reports are those of runs. The daemon gets them from progressd exec,
	// by server, which serves the listeners.
	reports   chan tracker.Report
	server    *socket.Server
	listeners []*net.UnixListener
	sd        *systemd
	log       *slog.Logger

	mu   sync.Mutex
	said string // by the tracker
}

func assemble(ctx context.Context, set settings, store *state.Store, sd *systemd, w world, log *slog.Logger) *pipeline {
	p := &pipeline{
		set: set, sd: sd, log: log, queues: make(map[string]*sink.Queue), attended: newAttendance(),
		looks: make(chan sizer.Look), roots: make(chan tracker.Event), reports: make(chan tracker.Report),
	}
	p.server = p.newServer(ctx, store, set.form())
	p.ledger = state.NewLedger(store, append(p.outlets(store, w), state.Outlet{Queue: p.server}), log)
	p.tracker = tracker.New(set.limits(), p.ledger,
		tracker.Hooks{Status: p.status, Alive: sd.alive, AliveEvery: sd.watchdog, RunOver: p.runOver, Attend: p.attend}, log)
	p.tracker.Hear(p.reports)
	now := time.Now()
	p.tracker.Restore(store.Episodes(), now)
	p.tracker.Remember(store.Reported())
	sight := &sight{
		store: store, looks: p.looks, attended: p.attended, opened: now, log: log,
		procs: sizer.NewProcs("/proc"),
	}
	if p.hub = hubOf(set, w, log); p.hub != nil {
		sight.listing = p.hub.Listing
	}
	p.watcher = watcher.New(p.watches(ctx, sight))
	return p
}

// watches says what to watch, and with whose eyes.
func (p *pipeline) watches(ctx context.Context, sight *sight) watcher.Options {
	return watcher.Options{
		Roots: p.set.roots, Poll: time.Duration(p.set.PollInterval), Active: active, Steady: steady, Notify: true,
		IsRepo: isRepo, IsLocal: isLocal, Log: p.log, Changed: p.changed, AfterCostly: p.shed,
		NewLooker: func(root watcher.Root) watcher.Looker { return sight.looker(ctx, root) },
	}
}

// limits are those by which downloads are judged.
func (s settings) limits() tracker.Settings {
	return tracker.Settings{
		Step: int64(s.Step), Keepalive: time.Duration(s.KeepaliveInterval),
		StallAfter:     time.Duration(s.Download.StallAfter),
		InterruptAfter: time.Duration(s.Download.InterruptAfter),
		QuietAfter:     time.Duration(s.Download.QuietAfter),
	}
}

func isRepo(folder string) bool {
	_, ok := hfcache.ParseFolder(folder)
	return ok
}

func isLocal(rel string) bool {
	_, ok := hfcache.LocalRepo(rel)
	return ok
}

// form is how lines look.
func (s settings) form() sink.Form {
	form := sink.Form{Text: sink.Message, Stamp: sink.Clock}
	if s.Log.Style == config.Detailed {
		form.Text = sink.Detailed
	}
	if s.Log.Timestamps == config.RFC3339 {
		form.Stamp = sink.RFC3339
	}
	return form
}

// outlets makes the sinks. Under systemd standard output is the journal, so
// the lines go there once, with their fields; elsewhere they go to the
// console as well.
func (p *pipeline) outlets(store *state.Store, w world) []state.Outlet {
	form := p.set.form()
	outlets := []state.Outlet{p.outlet(sink.LogName, sink.NewModelLog(p.set.logDir, form, store, p.log))}
	if p.set.Journal.Enabled && journalRuns() {
		outlets = append(outlets, p.outlet(sink.JournalName, sink.NewJournal(form.Text, store)))
	}
	if w.stdout != nil && w.getenv("JOURNAL_STREAM") == "" {
		console := p.outlet(sink.ConsoleName, sink.NewConsole(w.stdout, form, p.log))
		console.Name = "" // nobody waits for a terminal
		outlets = append(outlets, console)
	}
	return outlets
}

func (p *pipeline) outlet(name string, s sink.Sink) state.Outlet {
	q := sink.NewQueue(s, queueLength, p.log)
	p.queues[name] = q
	return state.Outlet{Name: name, Queue: q}
}

// journalRuns reports whether this machine has a journal at all. One that is
// down for a moment is waited for.
func journalRuns() bool {
	_, err := os.Stat("/run/systemd/journal")
	return err == nil
}

// run works until ctx is done.
func (p *pipeline) run(ctx context.Context) {
	if p.sd.listens {
		start(ctx, "status", p.refresh, p.log)
	}
	start(ctx, "slim", p.slim, p.log)
	hearing := start(ctx, "socket", p.hear, p.log)
	p.carry(ctx, start(ctx, "watcher", p.watcher.Run, p.log))
	<-hearing
}

// carry runs the parts behind the one that looks, until ctx is done; then it
// stops them in the order of the flow, so that each still takes what the one
// before it gives.
func (p *pipeline) carry(ctx context.Context, looking <-chan struct{}) {
	judging, stopJudging := startAfter(ctx, "tracker", func(ctx context.Context) error {
		return p.tracker.Run(ctx, p.looks, p.roots)
	}, p.log)
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
	case <-time.After(patience / 4): // a file system hangs: it isn't waited for
	}
	<-asking
	stopJudging()
	<-judging
	stopNoting()
	<-noting
	for _, stop := range stopWriting {
		stop()
	}
	for _, done := range writing {
		<-done
	}
}

// start runs a part until ctx is done.
func start(ctx context.Context, name string, run func(context.Context) error, log *slog.Logger) <-chan struct{} {
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
	return start(ctx, name, run, log), stop
}

func (p *pipeline) ready() <-chan struct{} { return p.watcher.Ready() }

// greet says that it is ready, and what to do where there is nothing to watch.
// That a pattern matches nothing yet is as it should be; a single place that
// isn't there may be a slip.
func (p *pipeline) greet(log *slog.Logger) {
	caches := 0
	var missing []string
	for _, root := range p.watcher.Status() {
		if root.Present {
			caches++
		} else if !strings.ContainsAny(root.Pattern, `*?[`) {
			missing = append(missing, root.Pattern)
		}
	}
	switch {
	case caches == 0:
		log.Warn("no cache found: waiting for one to appear; to watch another place, name it in the configuration: roots = [\"/path/to/hub\"]",
			"looked_at", strings.Join(p.set.roots, " "))
	case len(missing) > 0:
		log.Warn("not all caches are there: waiting for them to appear", "missing", strings.Join(missing, " "))
	}
	log.Info("watching", "caches", caches, "logs", p.set.logDir, "version", buildVersion())
}

// status is called by the tracker when what it says of itself changes.
func (p *pipeline) status(text string) {
	p.mu.Lock()
	p.said = text
	p.mu.Unlock()
	p.publish()
}

// refreshEvery is how soon a sink that fails or a file system that hangs
// shows in the status of an engine that has nothing to say itself.
const refreshEvery = 10 * time.Second

func (p *pipeline) refresh(ctx context.Context) error {
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
func (p *pipeline) publish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := []string{p.said}
	for _, name := range slices.Sorted(maps.Keys(p.queues)) {
		if _, _, failing := p.queues[name].Status(); failing != nil {
			parts = append(parts, "cannot write to the "+name+": "+sink.Clean(failing.Error()))
		}
	}
	for _, root := range p.watcher.Status() {
		if !root.BusySince.IsZero() && time.Since(root.BusySince) > refreshEvery {
			parts = append(parts, sink.Clean(root.Path)+" stands still since "+root.BusySince.Format(time.TimeOnly))
		}
	}
	p.sd.status(strings.Join(parts, "; "))
}

// attend is called by the tracker when it says how closely to look.
func (p *pipeline) attend(a tracker.Attention) {
	p.attended.note(a)
	if p.watcher != nil {
		p.watcher.Attend(a.Root, a.Repo.Folder(), a.By)
	}
}

// changed is called by the watcher when a root goes or comes back.
func (p *pipeline) changed(ctx context.Context, c watcher.RootChange) {
	e := tracker.Event{Root: c.Root.Path, At: time.Now()}
	switch c.Kind {
	case watcher.Gone:
		e.Kind = tracker.RootGone
	case watcher.Back:
		e.Kind = tracker.RootBack
	default: // of interest to diagnostics only, and the watcher has said it
		return
	}
	select {
	case p.roots <- e:
	case <-ctx.Done():
	}
}
