package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"progressd/account"
	"progressd/fsys"
)

const (
	// eventGap is the least rest between two looks at one repository, and
	// between two listings of one root.
	eventGap = 50 * time.Millisecond
	// share: what took d of a core is followed by share*d of rest, so that
	// nothing, however large, takes more than a tenth of it for long. Time alone
	// counts once, and no more than a poll: it may have been a slow file system, or
	// that the machine slept meanwhile.
	share = 9
	// lookShare is the same for the looks at one repository, of which there may be
	// hundreds of thousands of files: no more than a fiftieth.
	lookShare = 49
	// credit is how much of that rest a repository may owe: a look at a
	// million blobs takes a second, and a download that begins right after
	// one, or a verdict, shall not wait for fifty.
	credit = 2 * time.Minute
	// costly is a look of which Options.AfterCostly is told.
	costly = 250 * time.Millisecond
	// drainGap bounds how often a storm of events wakes a root.
	drainGap = 5 * time.Millisecond
	// armPatience is how long a look waits for its watch to be armed,
	// firstArmPatience the first listing for that of the root.
	armPatience      = 100 * time.Millisecond
	firstArmPatience = time.Second
	// turns is in how many polls each repository that is watched is checked
	// all the same: a watch that has gone without a word (a lazy unmount, a
	// file system that tells of some changes only) is no more than a delay.
	turns = 4
	// stepBudget bounds how long first looks keep due ones waiting.
	stepBudget = 20 * time.Millisecond
	// pieceOfPass is how many repositories are checked between two looks
	// for what is due.
	pieceOfPass = 256
)

// A runner looks after one root for as long as it is that directory. One
// goroutine owns it; only status and busy are for others.
type runner struct {
	opts   *Options
	notify *notifier // nil: no events for this root
	root   Root
	remote string
	owner  int // of the directory; -1: unknown yet
	// onListed is called once, when the names are listed or can't be.
	onListed func()
	// claimed reports whether another root has that path; nil: none has.
	claimed func(path string) bool
	orders  *orders
	// rests are the finder's; nil: there is none.
	rests *rests
	// suspect is the folder in whose look a panic came.
	suspect string

	box    *inbox
	looker Looker
	// epoch is when the watcher began, began a whole number of polls later.
	epoch, began time.Time
	index        *index
	self         *repo // stands for the root itself
	locals       locals
	hints        hints
	gen          uint16
	// listed: the names are known. listDue and pollDue are when to look at
	// the root next, listRest until when not to list again.
	listed                     bool
	listDue, pollDue, listRest time.Duration
	// intact is the wall clock when the names in the root were last known to be
	// those that are known.
	intact time.Time
	// paused is until when the root is left alone, for what its owner's have
	// taken.
	paused time.Duration
	// force: list although nothing shows that it is needed.
	force bool
	// unmoved: no name came or went in the root since the last poll. stirring:
	// files in the root itself may tell of downloads. bare: nothing of a client's
	// own lies there.
	unmoved, stirring, bare bool
	// turn is whose turn it is at the next poll; everything: everyone's,
	// for events were lost.
	turn       uint8
	everything bool
	// resting: the root is left to its finder until somebody wakes this goroutine.
	resting  bool
	drained  time.Duration
	looking  effort // spent in looks
	fail     failure
	repoFail failure
	// lower ends what r.opts.FS.Raise has begun; nil: nothing is raised.
	lower func()

	// busy is when the operation that is under way began, in unix ns; 0 if
	// none is.
	busy atomic.Int64
	mu   sync.Mutex
	said RootStatus
}

// An effort is time that has passed, and how much of a processor was used.
type effort struct{ took, used time.Duration }

// rest is how long to rest after an effort.
func (e effort) rest(poll time.Duration) time.Duration { return max(share*e.used, min(e.took, poll)) }

func (e effort) minus(other effort) effort { return effort{e.took - other.took, e.used - other.used} }

// spent is what the runner has spent so far beside looks, which are paid for by
// themselves.
func (r *runner) spent() effort {
	return effort{r.now(), r.opts.ProcessorTime()}.minus(r.looking)
}

// A failure is an episode of errors from the file system.
type failure struct {
	n     int
	until time.Duration
	err   error
}

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
			r.notify.leave(r.box)
		}
		r.resume()
		if cause := recover(); cause != nil {
			panicked = true
			level := slog.LevelError
			if n > 0 {
				level = slog.LevelDebug
			}
			r.opts.Log.Log(ctx, level, "a look at a cache panicked: its root is started again after a rest",
				keyRoot, clean(r.root.Path), keyFolder, clean(r.suspect),
				keyErr, clean(fmt.Sprint(cause)), "stack", string(debug.Stack()))
		}
	}()
	r.begin()
	return false, r.loop(ctx)
}

// begin forgets everything but the root and what a panic has taught.
func (r *runner) begin() {
	r.mu.Lock()
	r.box = newInbox(r.payer())
	r.mu.Unlock()
	r.index, r.self = newIndex(), &repo{box: r.box}
	r.began = r.epoch.Add(time.Since(r.epoch).Truncate(r.opts.Poll))
	r.listed, r.force, r.fail, r.repoFail = false, false, failure{}, failure{}
	r.stirring = true
	r.listDue, r.pollDue, r.listRest, r.paused, r.drained = 0, r.opts.Poll, 0, 0, -drainGap
	r.orders.serve(r.box, r.began.Add(r.now()))
	if r.notify != nil {
		r.notify.join(r.box)
	}
	r.locals = locals{shelves: make(map[*repo]*shelf)}
	r.addLocal(".", r.root.Inode, time.Time{})
	r.looker = r.opts.NewLooker(r.root)
	if !r.ensure(r.self, stamp{where: onRoot, inode: r.root.Inode}) {
		r.listDue = r.now() + firstArmPatience
	}
}

// payer is whom the root is charged to.
func (r *runner) payer() account.User { return account.User(r.root.Owner) }

func (r *runner) now() time.Duration { return time.Since(r.began) }

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
	return sleep(ctx, r.box.wake, d) && sleep(ctx, nil, r.drained+drainGap-r.now())
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

// overspent reports whether the owner of the root has to wait, and makes it wait.
func (r *runner) overspent() bool {
	rest := r.opts.Accounts.Wait(r.payer(), account.Looks)
	if rest > 0 {
		r.paused = r.now() + rest
	}
	return rest > 0
}

// crowded: the armer is behind with what it was asked for.
func (r *runner) crowded() bool { return r.notify != nil && r.notify.crowded() }

// sleep waits for d or a wake, and reports whether ctx is still alive.
func sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-t.C:
	}
	return true
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

// raised does what asks the kernel about the root.
func (r *runner) raised(do func() error) error {
	r.lower = r.opts.FS.Raise()
	defer func() {
		r.lower()
		r.lower = nil
	}()
	return do()
}

// aside does what asks others than the kernel, and may wait for them.
func (r *runner) aside(do func()) {
	if r.lower == nil {
		do()
		return
	}
	r.lower()
	r.lower = func() {} // it may panic
	do()
	r.lower = r.opts.FS.Raise()
}

// open opens the root. On a network its numbers don't tell it from what a link
// leads to that has come on the way.
func (r *runner) open() (fsys.Dir, error) {
	if r.root.Remote != "" {
		return fsys.OpenUnlinked(r.opts.FS, r.root.Path)
	}
	return fsys.OpenNoFollow(r.opts.FS, r.root.Path)
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

// trouble notes an error of the root itself (R7, R9): it is said once, and
// everything rests for a while.
func (r *runner) trouble(ctx context.Context, err error) {
	err = reason(err)
	r.fail.until = r.now() + retry(r.opts.Poll, r.fail.n)
	r.fail.n++
	r.fail.err = err
	r.listedOnce()
	if r.fail.n > 1 {
		r.opts.Log.Debug("a cache still can't be read", keyRoot, clean(r.root.Path), keyErr, err)
		return
	}
	r.opts.Log.Warn("a cache can't be read: it is tried again until it can",
		keyRoot, clean(r.root.Path), keyErr, err)
	r.opts.Changed(ctx, RootChange{Kind: Failing, Root: r.root, Err: err})
}

func (r *runner) well(ctx context.Context) {
	if r.fail.n == 0 {
		return
	}
	r.fail = failure{}
	r.self.watch.epoch = 0 // a watch may have been refused for the same reason
	r.opts.Log.Info("a cache can be read again", keyRoot, clean(r.root.Path))
	r.opts.Changed(ctx, RootChange{Kind: Recovered, Root: r.root})
}

func (r *runner) listedOnce() {
	if r.onListed != nil {
		r.aside(r.onListed)
		r.onListed = nil
	}
}
