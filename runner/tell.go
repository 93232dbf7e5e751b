package runner

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"progressd/daemon"
	"progressd/hfcache"
	"progressd/record"
	"progressd/sizer"
	"progressd/socket"
	"progressd/tracker"
	"progressd/untrusted"
)

const (
	// usualComeBack is how long a daemon that was lost is waited for: systemd
	// starts one that was killed after 5 s.
	usualComeBack = 12 * time.Second
	// firstAgain and lastAgain bound the pauses between two tries.
	firstAgain = 100 * time.Millisecond
	lastAgain  = time.Second
	// seldom is how often a daemon is asked again that tells of another run
	// of the same download, or waits for its cache to appear.
	seldom = 2 * time.Second
	// maxReports is how many reports may wait, while nobody takes them.
	maxReports = 256
)

// A teller hands what is heard of the program to a daemon that watches its
// cache, so that one judges and one writes; where there is none, to the
// pipeline of its own. Whoever reports never waits.
type teller struct {
	paths    []string
	comeBack time.Duration
	screen   *screen
	log      *slog.Logger
	// carry sets the pipeline of its own to work, and gives where its
	// tracker hears reports. look has it look now.
	carry func() chan<- tracker.Report
	look  func()
	// rest looks at what there is at the end.
	rest func(root string, repo hfcache.Repo, abort <-chan struct{}) *sizer.Look
	// stands takes how the download stands, as a daemon sees it; lost is told
	// that none does any more. Nil: nobody wants to know.
	stands func(record.Download)
	lost   func()
	// over is closed when all is said by that one.
	over <-chan struct{}
	// done is closed when all is said, or nothing more can be expected.
	done chan struct{}
	wake chan struct{}

	mu      sync.Mutex
	waiting []tracker.Report
	name    hfcache.Repo
	// began and ended are the reports of that, nil before. failed is the
	// last error that was heard.
	began, ended *tracker.Report
	failed       tracker.Words
}

// put takes a report. Where too many wait, the oldest words are left out.
func (t *teller) put(r tracker.Report, name hfcache.Repo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r.Kind {
	case tracker.RunBegan:
		t.began, t.name = &r, name
	case tracker.RunEnded:
		t.ended = &r
	default:
		if r.Words.Level == tracker.Error {
			t.failed = r.Words
		}
		if len(t.waiting) == maxReports {
			t.waiting = t.waiting[1:]
		}
		t.waiting = append(t.waiting, r)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// next takes a report that is due after the beginning: the end comes last.
func (t *teller) next() (r tracker.Report, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case len(t.waiting) > 0:
		r = t.waiting[0]
		t.waiting = t.waiting[1:]
	case t.ended != nil:
		r = *t.ended
	default:
		return r, false
	}
	return r, true
}

func (t *teller) state() (began *tracker.Report, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.began, t.ended != nil
}

// Run tells until all is said or ctx is done.
func (t *teller) Run(ctx context.Context) error {
	defer close(t.done)
	if !t.await(ctx) {
		return nil
	}
	client, err := t.call(ctx)
	for client != nil {
		if over := t.report(ctx, client); over || ctx.Err() != nil {
			return nil
		}
		t.remember()
		if t.lost != nil {
			t.lost()
		}
		client, err = t.callAgain(ctx)
	}
	t.log.Debug("no daemon tells of this download", "err", err)
	if ctx.Err() == nil {
		t.alone(ctx)
	}
	return nil
}

// await waits for the beginning.
func (t *teller) await(ctx context.Context) bool {
	for {
		if began, _ := t.state(); began != nil {
			return true
		}
		select {
		case <-t.wake:
		case <-ctx.Done():
			return false
		}
	}
}

// remember has the end tell of an error that the daemon which was lost may have
// taken with it.
func (t *teller) remember() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil && t.ended.Exit.Cause == "" {
		t.ended.Exit.Cause, t.ended.Exit.Remedy = t.failed.Cause, t.failed.Remedy
	}
}

// call finds the daemon that takes the run. One that does not watch the cache
// yet, since that isn't there, is asked again until the program has ended.
func (t *teller) call(ctx context.Context) (*socket.Client, error) {
	var ended <-chan time.Time
	for pause := firstAgain; ; pause = min(2*pause, seldom) {
		client, err := t.try(ctx, t.run())
		if client != nil || !later(err) {
			return client, err
		}
		if _, over := t.state(); over && ended == nil {
			if !t.there() {
				return nil, err // nothing came, nobody else will tell
			}
			ended = time.After(verdictPatience)
		}
		if ended != nil {
			pause = firstAgain
		}
		select {
		case <-time.After(pause):
		case <-t.hurry(ended):
			pause = firstAgain
		case <-ended:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// hurry tells that something was reported: it may be the end.
func (t *teller) hurry(ended <-chan time.Time) <-chan struct{} {
	if ended != nil {
		return nil
	}
	return t.wake
}

// callAgain waits for the daemon that was lost, or its successor.
func (t *teller) callAgain(ctx context.Context) (*socket.Client, error) {
	ctx, stop := context.WithTimeout(ctx, t.comeBack)
	defer stop()
	run := t.run()
	run.Again = true
	for pause := firstAgain; ; pause = min(2*pause, lastAgain) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if client, _ := t.try(ctx, run); client != nil {
			return client, nil
		}
	}
}

// try asks every daemon. Of several errors the one of a daemon that may take
// the run later counts.
func (t *teller) try(ctx context.Context, run socket.Run) (*socket.Client, error) {
	err := errors.New("no daemon is there")
	for _, path := range t.paths {
		client, problem := socket.Dial(ctx, path, run)
		if client != nil {
			return client, nil
		}
		if !later(err) {
			err = problem
		}
	}
	return nil, err
}

func later(err error) bool {
	refused := new(socket.RefusedError)
	return errors.As(err, &refused) && refused.Later
}

// run is what a daemon is told of the program.
func (t *teller) run() socket.Run {
	t.mu.Lock()
	defer t.mu.Unlock()
	run := socket.Run{
		Root: t.began.Root, Repo: t.began.Repo, PID: t.began.Process.PID,
		Command: t.began.Process.Command, Only: t.began.Only, Levels: t.stands != nil,
	}
	if run.Repo.Type == hfcache.Local {
		run.Name = t.name
	}
	if dev, inode, err := daemon.Identity(run.Root); err == nil {
		run.Dev, run.Inode = dev, inode
	}
	return run
}

// there reports whether the cache is.
func (t *teller) there() bool {
	began, _ := t.state()
	_, _, err := daemon.Identity(began.Root)
	return err == nil
}

// report passes reports on to a daemon, and shows the lines that come back. It
// is false if the daemon is lost before all is said.
func (t *teller) report(ctx context.Context, client *socket.Client) (over bool) {
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()
	heard := make(chan bool, 1)
	go func() { heard <- t.show(client) }()
	defer client.Close()
	var timeout <-chan time.Time
	for {
		for timeout == nil {
			r, ok := t.next()
			if !ok {
				break
			}
			if client.Send(r) != nil {
				client.Close()
				return <-heard
			}
			if r.Kind == tracker.RunEnded {
				timeout = time.After(verdictPatience)
			}
		}
		select {
		case over := <-heard:
			return over
		case <-t.wake:
		case <-timeout:
			t.log.Warn("progressd has been told how it ended, and says nothing yet: its journal will tell")
			client.Close()
			<-heard
			return true
		}
	}
}

// show prints the lines of a daemon, until it has said all.
func (t *teller) show(client *socket.Client) (over bool) {
	for {
		a, err := client.Receive()
		if err != nil || a.Over {
			return err == nil
		}
		if a.Download != nil && t.stands != nil {
			t.stands(*a.Download)
		}
		if !t.screen.terminal && a.Line != "" {
			_, _ = t.screen.Write([]byte(untrusted.Printable(a.Line) + "\n"))
		}
	}
}

// alone tells by the pipeline of its own, from the beginning.
func (t *teller) alone(ctx context.Context) {
	reports := t.carry()
	began, _ := t.state()
	send := func(r tracker.Report) {
		select {
		case reports <- r:
		case <-ctx.Done():
		}
	}
	send(*began)
	var timeout <-chan time.Time
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	again.Stop() // until it has ended
	for {
		for timeout == nil {
			r, ok := t.next()
			if !ok {
				break
			}
			if r.Kind == tracker.RunEnded {
				r.Rest = t.rest(r.Root, r.Repo, ctx.Done())
				timeout = time.After(verdictPatience)
				again.Reset(lookAgain)
			}
			send(r)
			if timeout != nil {
				t.look()
			}
		}
		select {
		case <-t.wake:
		case <-again.C:
			t.look()
		case <-t.over:
			return
		case <-timeout:
			return
		case <-ctx.Done():
			return
		}
	}
}
