package watcher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"progressd/fsys"
	"progressd/untrusted"
)

// New makes a Watcher. It touches nothing until Run.
func New(opts Options) *Watcher {
	if opts.FS == nil {
		opts.FS = fsys.Real{}
	}
	if opts.Probes == nil {
		opts.Probes = new(Probes)
	}
	if opts.OpenNotify == nil {
		opts.OpenNotify = openNotify
	}
	if opts.ProcessorTime == nil {
		opts.ProcessorTime = processorTime
	}
	w := &Watcher{
		opts: opts, ready: make(chan struct{}), began: time.Now(),
		runners: make(map[string]*runner), orders: make(map[string]*orders),
	}
	if w.opts.Changed == nil {
		w.opts.Changed = func(context.Context, RootChange) {}
	}
	if opts.Notify {
		w.notify = newNotifier(opts.FS, opts.OpenNotify, opts.Accounts, opts.Log)
	}
	return w
}

// Run watches until ctx is done, then returns nil. A file system that hangs
// then holds it up for a second only; the goroutine that hangs there ends by
// itself when the file system answers, and calls nobody but its Looker with
// an ended ctx. The error is that of a bad pattern; then nothing was started.
func (w *Watcher) Run(ctx context.Context) error {
	for _, pattern := range w.opts.Roots {
		if err := CheckPattern(pattern); err != nil {
			return fmt.Errorf("cannot watch %+q: %w", pattern, err)
		}
	}
	w.opts.Steady = dividing(w.opts.Poll, w.opts.Steady)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	if w.notify != nil {
		all.Go(func() { w.notify.run(ctx) })
	}
	c := newCrew(w, &all)
	c.run(ctx)
	return w.stop(&all)
}

func (w *Watcher) stop(all *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		all.Wait()
	}()
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		w.opts.Log.Warn("stopping without waiting any longer for a file system that hangs")
	}
	return nil
}

// A crew starts and ends the goroutines of the roots. It does no I/O and
// calls nobody, so nothing can hold it up.
type crew struct {
	w       *Watcher
	all     *sync.WaitGroup
	reports chan report
	ended   chan *member
	listed  chan struct{}

	latest   map[string]report // by pattern
	finders  map[string]*finder
	members  map[string]*member // by path of the root
	had      map[string]bool    // paths that were watched before
	aliases  map[string]bool    // said
	settled  bool
	unlisted int
}

// A member is one root that is looked after.
type member struct {
	sighting
	stop context.CancelFunc
	// unwanted: no pattern leads there any more.
	unwanted bool
}

func newCrew(w *Watcher, all *sync.WaitGroup) *crew {
	return &crew{
		w: w, all: all,
		reports: make(chan report), ended: make(chan *member), listed: make(chan struct{}),
		latest: make(map[string]report), finders: make(map[string]*finder),
		members: make(map[string]*member), had: make(map[string]bool), aliases: make(map[string]bool),
	}
}

func (c *crew) run(ctx context.Context) {
	c.start(ctx)
	first := time.NewTimer(firstPatience)
	defer first.Stop()
	last := time.NewTimer(readyPatience)
	defer last.Stop()
	for ctx.Err() == nil {
		settled, news := c.settled, true
		select {
		case <-ctx.Done():
			return
		case <-first.C:
			c.settled = true
		case <-last.C:
			c.unlisted, news = 0, false
		case r := <-c.reports:
			news = !r.same(c.latest[r.pattern])
			c.latest[r.pattern] = r
			c.settled = c.settled || len(c.latest) == len(c.finders)
		case m := <-c.ended:
			c.lose(m)
		case <-c.listed:
			c.unlisted, news = c.unlisted-1, false
		}
		// With hundreds of roots it costs more than to have looked for them.
		if c.settled && (news || !settled) {
			c.reconcile(ctx)
		}
		if c.settled {
			c.sayReady()
		}
	}
}

func (c *crew) start(ctx context.Context) {
	for _, pattern := range c.w.opts.Roots {
		if c.finders[pattern] != nil {
			continue
		}
		f := newFinder(c.w, pattern)
		c.finders[pattern] = f
		c.all.Go(func() {
			f.run(ctx, func(r report) { send(ctx, c.reports, r) })
		})
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, pattern := range c.w.opts.Roots {
		c.w.finders = append(c.w.finders, c.finders[pattern])
	}
	if len(c.finders) == 0 {
		c.settled = true
		close(c.w.ready)
	}
}

func send[T any](ctx context.Context, to chan<- T, v T) {
	select {
	case to <- v:
	case <-ctx.Done():
	}
}

// sayReady closes Ready when all roots of the first settlement are listed.
func (c *crew) sayReady() {
	if c.unlisted > 0 {
		return
	}
	select {
	case <-c.w.ready:
	default:
		close(c.w.ready)
	}
}

// lose forgets a root that has ended, and what was seen of it: its finder is
// asked what is there now.
func (c *crew) lose(m *member) {
	delete(c.members, m.root.Path)
	c.w.mu.Lock()
	delete(c.w.runners, m.root.Path)
	c.w.mu.Unlock()
	if m.unwanted {
		return
	}
	for pattern, r := range c.latest {
		kept := slices.DeleteFunc(slices.Clone(r.seen), func(s sighting) bool { return s.root.Path == m.root.Path })
		if len(kept) < len(r.seen) {
			r.seen = kept
			c.latest[pattern] = r
			c.finders[pattern].box.rouse()
		}
	}
}

// reconcile starts and ends what has to be, by what the finders saw last. Of
// several paths to one directory, one is watched: the one that is already,
// else the one configured first (R5).
func (c *crew) reconcile(ctx context.Context) {
	type identity struct{ dev, inode uint64 }
	var order []sighting
	wanted := make(map[string]bool)
	for _, pattern := range c.w.opts.Roots {
		order = append(order, c.latest[pattern].seen...)
	}
	for _, s := range order {
		wanted[s.root.Path] = true
	}
	holder := make(map[identity]string)
	for path, m := range c.members {
		// One that can't be seen now finds out itself what is there.
		if !wanted[path] && !m.unwanted && !c.latest[m.root.Pattern].survey.hides(m.via) {
			m.unwanted = true
			m.stop()
		}
		holder[identity{m.root.Dev, m.root.Inode}] = path
	}
	for _, s := range order {
		id := identity{s.root.Dev, s.root.Inode}
		path, taken := holder[id]
		if c.members[s.root.Path] != nil {
			path, taken = s.root.Path, true
		}
		if taken {
			c.sayAlias(s, path)
			continue
		}
		holder[id] = s.root.Path
		c.hire(ctx, s)
	}
}

// sayAlias says once that two patterns, or two paths, lead to one directory.
func (c *crew) sayAlias(s sighting, path string) {
	m := c.members[path]
	key := s.root.Pattern + "\x00" + s.root.Path
	if m.root.Pattern == s.root.Pattern && path == s.root.Path || c.aliases[key] {
		return
	}
	c.aliases[key] = true
	c.w.opts.Log.Info("two roots are one directory: it is watched once",
		keyRoot, untrusted.Path(path), "also", untrusted.Path(s.root.Path), keyPattern, untrusted.Path(s.root.Pattern))
}

// hire starts the goroutine of a root.
func (c *crew) hire(ctx context.Context, s sighting) {
	own, stop := context.WithCancel(ctx)
	m := &member{sighting: s, stop: stop}
	r := &runner{
		opts: &c.w.opts, root: s.root, remote: s.root.Remote, owner: -1,
		claimed: c.w.isRoot, orders: c.w.ordersOf(s.root.Path), watcherBegan: c.w.began, rests: &c.finders[s.root.Pattern].rests,
	}
	if s.root.Remote == "" {
		r.notify = c.w.notify
	}
	if !c.isReady() {
		c.unlisted++
		r.onListed = func() { send(ctx, c.listed, struct{}{}) }
	}
	r.publish()
	c.members[s.root.Path] = m
	c.w.mu.Lock()
	c.w.runners[s.root.Path] = r
	c.w.mu.Unlock()
	kind := Found
	if c.had[s.root.Path] {
		kind = Back
	}
	c.had[s.root.Path] = true
	c.all.Go(func() {
		defer stop()
		c.attend(ctx, own, r, kind)
		send(ctx, c.ended, m)
	})
}

func (c *crew) isReady() bool {
	select {
	case <-c.w.ready:
		return true
	default:
		return false
	}
}

// attend looks after a root from its coming to its going.
func (c *crew) attend(ctx, own context.Context, r *runner, kind ChangeKind) {
	log := c.w.opts.Log
	how := "events and poll"
	switch {
	case r.remote != "":
		how = "poll only: there are no events on " + r.remote
	case r.notify == nil:
		how = "poll only"
	}
	//nolint:sloglint // one of the five words of ChangeKind
	log.Info("cache "+kind.String(), keyRoot, untrusted.Path(r.root.Path), "watched_by", how)
	c.w.opts.Changed(ctx, RootChange{Kind: kind, Root: r.root})
	err := r.run(own)
	r.listedOnce()
	if ctx.Err() != nil {
		return
	}
	if own.Err() != nil {
		err = errUnwanted
	}
	log.Info("cache gone", keyRoot, untrusted.Path(r.root.Path), keyErr, reason(err))
	c.w.opts.Changed(ctx, RootChange{Kind: Gone, Root: r.root})
}
