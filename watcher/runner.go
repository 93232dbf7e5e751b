package watcher

import (
	"context"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/fsys"
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

	mailbox *mailbox
	looker  Looker
	// watcherBegan is when the watcher began, began a whole number of polls later.
	watcherBegan, began time.Time
	index               *index
	self                *repo // stands for the root itself
	locals              locals
	hints               hints
	gen                 uint16
	known
	// listDue and pollDue are when to look at the root next, listRest until when not
	// to list again.
	listDue, pollDue, listRest time.Duration
	// intact is the wall clock when the names in the root were last known to be
	// those that are known.
	intact time.Time
	// paused is until when the root is left alone, for what its owner's have
	// taken.
	paused time.Duration
	// force: list although nothing shows that it is needed.
	force bool
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

// known is what a runner knows of its root. listed: the names are known. unmoved: none came or
// went since the last poll. stirring: files in the root itself may tell of downloads. bare:
// nothing of a client's own lies there.
type known struct{ listed, unmoved, stirring, bare bool }

// locals is what a runner keeps about directories that a client may fill by --local-dir.
type locals struct {
	count int
	full  bool
	// shelves are those directly in the root, which may hold others.
	shelves map[*repo]*shelf
}

// A shelf is the listing of one of them.
type shelf struct {
	stamp stamp
	young bool
	// intact is as a runner's.
	intact time.Time
}

// hints are what a runner has said, or counts.
type hints struct {
	// links are those that the last listing has shown.
	links int
	// known are the links and the directories of which it was said.
	known map[string]bool
	said  int
	// others: that there are links with names of no repository was said.
	others bool
}

// An effort is time that has passed, and how much of a processor was used.
type effort struct{ took, used time.Duration }

// A failure is an episode of errors from the file system.
type failure struct {
	n     int
	until time.Duration
	err   error
}

// rest is how long to rest after an effort.
func (e effort) rest(poll time.Duration) time.Duration { return max(share*e.used, min(e.took, poll)) }

func (e effort) minus(other effort) effort { return effort{e.took - other.took, e.used - other.used} }

// spent is what the runner has spent so far beside looks, which are paid for by
// themselves.
func (r *runner) spent() effort {
	return effort{r.now(), r.opts.ProcessorTime()}.minus(r.looking)
}

// payer is whom the root is charged to.
func (r *runner) payer() account.User { return account.User(r.root.Owner) }

func (r *runner) now() time.Duration { return time.Since(r.began) }

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

func (r *runner) listedOnce() {
	if r.onListed != nil {
		r.aside(r.onListed)
		r.onListed = nil
	}
}

// newRepo is the repo for a folder of a root.
func (r *runner) newRepo(folder string, listed uint64) *repo {
	return r.beneath(folder+blobsSuffix, listed)
}

func (r *runner) beneath(rel string, listed uint64) *repo {
	base := len(r.root.Path) + 1
	return &repo{path: r.root.Path + "/" + rel, base: uint16(base), listed: listed, mailbox: r.mailbox} //nolint:gosec // the kernel takes no path of 2^16 bytes
}

func (r *runner) path(p *repo, w where) string {
	if p.local {
		return r.localPath(p, w)
	}
	switch w {
	case onFolder:
		return p.path[:len(p.path)-len(blobsSuffix)]
	case onBlobs:
		return p.path
	default:
		return r.root.Path
	}
}

// stampOf is the stamp of what lies at path. On the file system of a network
// names are read: times there may never move, nor is a number kept.
func (r *runner) stampOf(top fsys.Dir, path string, e fsys.Entry, where where) stamp {
	s := stampOf(e, where)
	if r.remote != "" {
		s.inode = 0
		if where != onFolder {
			s.names = top.Tally(path)
		}
	}
	return s
}

// distrust drops a watch that has failed to tell, for a new one.
func (r *runner) distrust(p *repo) {
	if !p.watch.waiting {
		r.unwatch(p)
	}
}

// unwatch drops the watch of p, if it has one.
func (r *runner) unwatch(p *repo) {
	if p.watch.where == nowhere {
		return
	}
	path := r.path(p, p.watch.where)
	r.notify.ask(request{verb: disarm, repo: p, dir: path, key: path})
	p.watch.where, p.watch.waiting = nowhere, false
	p.watch.seq++ // an answer that is under way is about the old one
	p.watch.generation = 0
}

const never = time.Duration(math.MaxInt64)

// localPath is cleaned as the names of events are.
func (r *runner) localPath(p *repo, w where) string {
	path := p.rel()
	if w == onMeta {
		path = p.folder() + metaSuffix
	}
	return r.root.Path + "/" + strings.TrimPrefix(path, "./")
}

// processorTime is what this process has used so far: what others of its
// goroutines use meanwhile counts as well, and errs on the modest side.
func processorTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
