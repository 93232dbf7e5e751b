package watcher

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/untrusted"
)

// check plans a visit to a repository, if there may be something to see.
func (r *runner) check(top fsys.Dir, p *repo) {
	if r.isItself(p) {
		return
	}
	r.shelve(top, p)
	if p.plan != nil {
		p.settle(r.now())
	}
	if !p.looked || p.heaped() {
		return
	}
	if r.restless(p) {
		p.noisy = false
		r.index.at(p, r.now())
		return
	}
	if p.watched() && p.turn != r.turn && !r.everything {
		return
	}
	s, err := r.mark(top, p)
	if err == nil && s == p.stamp {
		return
	}
	r.distrust(p) // no event has told
	r.index.at(p, r.now())
}

// mark reads the stamp of a repository. The error is ENOENT or ENOTDIR if its
// folder isn't there.
func (r *runner) mark(top fsys.Dir, p *repo) (stamp, error) {
	if p.local {
		return r.localMark(top, p)
	}
	e, err := top.Peek(p.rel())
	where := onFolder
	switch {
	case err == nil && e.IsDir():
		where = onBlobs
	case err == nil: // a link or a file: the look refuses it
	case absent(err):
		if e, err = top.Peek(p.folder()); err != nil {
			return stamp{}, err
		}
		if !e.IsDir() {
			return stamp{}, unix.ENOTDIR
		}
	default:
		return stamp{}, err
	}
	if e.Dev != r.root.Dev {
		where = nowhere // what is mounted there may be a network's
	}
	return r.stampOf(top, p.rel(), e, where), nil
}

// visitDue visits those whose time has come.
func (r *runner) visitDue(ctx context.Context, top fsys.Dir) {
	t := r.now()
	if r.fail.n > 0 {
		return
	}
	for ctx.Err() == nil && !r.overspent() {
		p := r.index.popDue(t)
		if p == nil {
			return
		}
		r.visit(ctx, top, p)
	}
}

// visit looks at one repository, after its watch is armed.
func (r *runner) visit(ctx context.Context, top fsys.Dir, p *repo) {
	if r.visitLocal(ctx, top, p) {
		return
	}
	s, err := r.mark(top, p)
	if absent(err) {
		r.drop(ctx, p)
		return
	}
	if err != nil {
		r.blind(ctx, p, err)
		return
	}
	plan := p.planned()
	plan.fails = 0
	if !p.pace.timed() && !r.ensure(p, s) && plan.chain < maxChain {
		plan.chain++
		r.index.at(p, r.now()+armPatience)
		return
	}
	plan.chain = 0
	p.stamp, p.young = s, s.youngAt(time.Now())
	start := r.now()
	switch r.look(ctx, p) {
	case Fast:
		r.unwatch(p)
		r.index.at(p, start+r.opts.Active)
	case Steady:
		r.unwatch(p)
		r.index.at(p, together(start, r.opts.Steady))
	default:
		if !r.ensure(p, s) { // a timer has said when: arm, then look once more
			r.index.at(p, r.now()+armPatience)
		}
		r.follow(p, s)
		r.index.visited = append(r.index.visited, p)
	}
}

// maxChain bounds how often a look is put off because what is to be watched
// has changed meanwhile.
const maxChain = 2

// blind is a visit to a repository that can't be read, while its root can: the
// look says so to those whom it concerns.
func (r *runner) blind(ctx context.Context, p *repo, err error) {
	level := r.opts.Log.Debug
	if r.repoFail.n == 0 {
		level = r.opts.Log.Warn
	}
	r.repoFail.n++
	level("a repository can't be read: it is tried again until it can (others of this root are told at debug level)",
		keyRoot, untrusted.Path(r.root.Path), keyFolder, untrusted.Path(p.folder()), keyErr, reason(err))
	r.unwatch(p)
	p.watch.generation = 0
	r.look(ctx, p)
	plan := p.planned()
	r.index.at(p, r.now()+retry(r.opts.Poll, int(plan.fails)))
	plan.fails = min(plan.fails+1, 10)
}

// look calls the Looker, and sees to it that this repository then rests.
func (r *runner) look(ctx context.Context, p *repo) Pace {
	folder := p.folder()
	suspect := r.suspect
	r.suspect = folder
	r.busy.Store(time.Now().UnixNano())
	start, before := r.now(), r.opts.ProcessorTime()
	var used time.Duration
	var pace Pace
	rest := sync.OnceValue(func() time.Duration {
		end := r.now()
		used = r.opts.ProcessorTime() - before
		r.looking = effort{r.looking.took + end - start, r.looking.used + used}
		p.pay(start, end, used, r.opts.Poll)
		return p.plan.rest - end
	})
	r.aside(func() { pace = r.looker.Look(ctx, folder, rest) })
	rest()
	r.suspect = suspect
	r.busy.Store(time.Now().UnixNano())
	p.looked, p.pace = true, pace
	if used >= costly && r.opts.AfterCostly != nil {
		r.aside(r.opts.AfterCostly)
	}
	return pace
}

// drop looks once more at a repository that has vanished and forgets it.
func (r *runner) drop(ctx context.Context, p *repo) {
	r.unwatch(p)
	if p.looked {
		r.look(ctx, p)
	}
	r.index.remove(p)
	r.forgetLocal(p)
}

// visitLocal is done before the visit to a directory that a client may fill.
// It reports whether there is nothing to visit.
func (r *runner) visitLocal(ctx context.Context, top fsys.Dir, p *repo) (done bool) {
	if !p.local {
		return false
	}
	if r.isRoot(p.folder()) {
		r.drop(ctx, p)
		return true
	}
	r.shelve(top, p)
	return false
}
