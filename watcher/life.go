package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"progressd/fsys"
	"progressd/untrusted"
)

// run looks after the root until it is gone, has become another directory, or
// ctx is done. A panic starts it afresh after a rest (fault P6).
func (r *runner) run(ctx context.Context) error {
	for n := 0; ; n++ {
		panicked, err := r.guarded(ctx, n)
		if !panicked {
			return err
		}
		r.listedOnce()
		r.busy.Store(0)
		if !sleep(ctx, nil, retry(r.opts.Poll, n)) {
			return ctx.Err()
		}
	}
}

// guarded is one life of the runner, between two panics.
func (r *runner) guarded(ctx context.Context, n int) (panicked bool, err error) {
	defer func() {
		if r.notify != nil {
			r.notify.leave(r.mailbox)
		}
		r.resume()
		if cause := recover(); cause != nil {
			panicked = true
			level := slog.LevelError
			if n > 0 {
				level = slog.LevelDebug
			}
			r.opts.Log.Log(ctx, level, "a look at a cache panicked: its root is started again after a rest",
				keyRoot, untrusted.Path(r.root.Path), keyFolder, untrusted.Path(r.suspect),
				keyErr, untrusted.Path(fmt.Sprint(cause)), "stack", string(debug.Stack()))
		}
	}()
	r.begin()
	return false, r.loop(ctx)
}

// begin forgets everything but the root and what a panic has taught.
func (r *runner) begin() {
	r.mu.Lock()
	r.mailbox = newMailbox(r.payer())
	r.mu.Unlock()
	r.index, r.self = newIndex(), &repo{mailbox: r.mailbox}
	r.began = r.watcherBegan.Add(time.Since(r.watcherBegan).Truncate(r.opts.Poll))
	r.listed, r.force, r.fail, r.repoFail = false, false, failure{}, failure{}
	r.stirring = true
	r.listDue, r.pollDue, r.listRest, r.paused, r.drained = 0, r.opts.Poll, 0, 0, -drainGap
	r.orders.serve(r.mailbox, r.began.Add(r.now()))
	if r.notify != nil {
		r.notify.join(r.mailbox)
	}
	r.locals = locals{shelves: make(map[*repo]*shelf)}
	r.addLocal(".", r.root.Inode, time.Time{})
	r.looker = r.opts.NewLooker(r.root)
	if !r.ensure(r.self, stamp{where: onRoot, inode: r.root.Inode}) {
		r.listDue = r.now() + firstArmPatience
	}
}

func (r *runner) loop(ctx context.Context) error {
	for {
		if err := r.step(ctx); err != nil {
			return err
		}
		r.publish()
		r.busy.Store(0)
		if !r.wait(ctx) {
			return ctx.Err()
		}
	}
}

// wait waits until something is due.
func (r *runner) wait(ctx context.Context) bool {
	due := r.nextDue()
	d := due - r.now()
	if d <= 0 {
		return ctx.Err() == nil
	}
	r.orders.sleeps(r.began.Add(due))
	return sleep(ctx, r.mailbox.wake, d) && sleep(ctx, nil, r.drained+drainGap-r.now())
}

// step does what is due. The error says why this root is over.
func (r *runner) step(ctx context.Context) error {
	r.drain()
	if r.nextDue() > r.now() {
		return nil
	}
	r.busy.Store(time.Now().UnixNano())
	if r.fail.n > 0 { // find out whether it is all well again
		r.force, r.everything, r.listDue, r.pollDue = true, true, 0, 0
	}
	err := r.raised(func() error { return r.work(ctx) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		r.well(ctx)
		return nil
	case absent(err), errors.Is(err, errReplaced):
		return err
	}
	r.trouble(ctx, err)
	return nil
}

// drain takes what the events and the armer have said.
func (r *runner) drain() {
	messages, missed := r.mailbox.take()
	r.drained = r.now()
	r.resume()
	r.heed()
	r.obey()
	if missed {
		r.force, r.everything, r.listDue, r.pollDue = true, true, r.drained, r.drained
	}
	for p, n := range messages {
		if p.gone {
			continue
		}
		r.hear(p, n)
		if p == r.self {
			r.listDue = min(r.listDue, max(r.drained, r.listRest))
		} else if !p.pace.timed() {
			r.index.at(p, r.drained)
		}
	}
}

// work opens the root, makes sure that it is still the same directory, does
// what is due beneath it and keeps nothing open.
func (r *runner) work(ctx context.Context) error {
	top, err := r.open()
	if err != nil {
		return err
	}
	defer top.Close()
	e, err := top.Stat()
	if err != nil {
		return err
	}
	mark := stampOf(e, onRoot)
	if r.remote != "" {
		mark.inode = 0
	}
	r.unmoved = r.listed && mark == r.self.stamp && !r.self.young && r.remote == ""
	if !r.same(top, e) {
		return errReplaced
	}
	r.owner = int(e.UID)
	if r.now() >= r.pollDue {
		r.checkSelf(mark)
	}
	if r.now() >= r.listDue {
		if err := r.list(ctx, top, mark); err != nil {
			return err
		}
	}
	if r.now() >= r.pollDue {
		r.poll(ctx, top)
	}
	r.index.retire(r.now())
	r.visitDue(ctx, top)
	for end := r.now() + stepBudget; r.now() < end && ctx.Err() == nil && !r.crowded() && !r.overspent(); {
		p := r.index.next()
		if p == nil {
			break
		}
		r.visit(ctx, top, p)
		r.visitDue(ctx, top)
	}
	return ctx.Err()
}

func (r *runner) nextDue() time.Duration {
	if r.fail.n > 0 {
		return r.fail.until
	}
	return max(r.nextVisit(), r.paused)
}

func (r *runner) nextVisit() time.Duration {
	next := min(r.listDue, r.pollDue)
	if r.resting {
		next = min(r.listDue, r.pollDue+longestRest)
	}
	switch {
	case !r.index.unvisited():
	case r.crowded():
		next = min(next, r.drained+drainGap)
	default:
		return 0
	}
	if len(r.index.due) > 0 {
		next = min(next, r.index.due[0].plan.due)
	}
	if by := r.orders.first(); !by.IsZero() {
		next = min(next, by.Sub(r.began))
	}
	return next
}

// same reports whether the root is still that directory. At a poll it also finds
// out whether another one has got its number, which would have moved it.
func (r *runner) same(top fsys.Dir, e fsys.Entry) bool {
	home := r.root.Home
	if e.Dev != r.root.Dev || home.Inode != 0 && e.Inode != r.root.Inode {
		return false
	}
	if home.Birth == 0 || r.now() < r.pollDue || r.unmoved {
		return true
	}
	born := top.Born(".")
	return born.IsZero() || born.UnixNano() == home.Birth
}

// trouble messages an error of the root itself (R7, R9): it is said once, and
// everything rests for a while.
func (r *runner) trouble(ctx context.Context, err error) {
	err = reason(err)
	r.fail.until = r.now() + retry(r.opts.Poll, r.fail.n)
	r.fail.n++
	r.fail.err = err
	r.listedOnce()
	if r.fail.n > 1 {
		r.opts.Log.Debug("a cache still can't be read", keyRoot, untrusted.Path(r.root.Path), keyErr, err)
		return
	}
	r.opts.Log.Warn("a cache can't be read: it is tried again until it can",
		keyRoot, untrusted.Path(r.root.Path), keyErr, err)
	r.opts.Changed(ctx, RootChange{Kind: Failing, Root: r.root, Err: err})
}

func (r *runner) well(ctx context.Context) {
	if r.fail.n == 0 {
		return
	}
	r.fail = failure{}
	r.self.watch.generation = 0 // a watch may have been refused for the same reason
	r.opts.Log.Info("a cache can be read again", keyRoot, untrusted.Path(r.root.Path))
	r.opts.Changed(ctx, RootChange{Kind: Recovered, Root: r.root})
}
