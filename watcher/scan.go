package watcher

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// checkSelf sees at every poll whether names came or went. If they did and no
// event has said so, the watch isn't worth anything any more: an unmount or
// the rename of a parent takes it away without a word.
func (r *runner) checkSelf(mark stamp) {
	switch {
	case !r.listed:
	case r.unmoved:
		r.intact = fileClock()
	default:
		r.listDue = min(r.listDue, max(r.now(), r.listRest))
		if mark != r.self.stamp {
			r.distrust(r.self)
		}
	}
	r.self.noisy = false
	if r.fail.n == 0 && !r.ensure(r.self, mark) {
		r.listDue = min(r.listDue, r.now()+armPatience)
	}
}

// list reads the names in the root, if its time stamp moved, or may not have done
// so although names came or went.
func (r *runner) list(ctx context.Context, top fsys.Dir, mark stamp) error {
	r.listDue = never
	if r.unmoved && !r.force {
		return nil
	}
	spent, began := r.spent(), fileClock()
	youth := mark.youngAt(time.Now())
	r.gen++
	r.hints.links, r.bare = 0, true
	err := top.List(func(items []fsys.Item) error {
		for i := range items {
			r.note(top, &items[i])
		}
		r.index.settle()
		r.visitDue(ctx, top)
		return ctx.Err()
	})
	if err == nil && r.listed {
		r.stir(ctx)
	}
	r.listRest = r.now() + max(eventGap, r.spent().minus(spent).rest(r.opts.Poll))
	if err != nil {
		return err
	}
	r.self.stamp, r.self.young, r.force, r.intact = mark, youth, false, began
	r.sweep(ctx, top)
	r.listed = true
	r.listedOnce()
	return nil
}

// note takes one name of the listing.
func (r *runner) note(top fsys.Dir, i *fsys.Item) {
	r.bare = r.bare && "/"+string(i.Name) != cacheSuffix
	if i.Link && r.noteLink(top, i) || !i.Dir {
		return
	}
	if p := r.index.find(i.Name); p != nil {
		p.seen = r.gen
		switch {
		case p.listed == 0: // it was expected, and is looked at when that says
			p.listed = i.Inode
		case i.Inode != p.listed && r.remote == "":
			// Network file systems may number a directory anew each time.
			p.listed = i.Inode
			r.distrust(p)
			r.index.at(p, r.now())
		}
		return
	}
	folder := string(i.Name)
	if !r.opts.IsRepo(folder) {
		r.addLocal(folder, i.Inode, r.intact)
		return
	}
	p := r.newRepo(folder, i.Inode)
	p.seen = r.gen
	r.index.add(p)
	switch {
	case folder == r.suspect:
		r.index.at(p, r.now()+r.opts.Poll)
	case r.listed:
		r.came(folder, r.intact)
		r.index.fresh = append(r.index.fresh, p)
	default:
		r.index.backlog = append(r.index.backlog, p)
	}
}

// sweep drops those that the listing didn't show and that aren't there.
func (r *runner) sweep(ctx context.Context, top fsys.Dir) {
	for _, p := range r.index.order {
		if ctx.Err() != nil {
			return
		}
		if p.gone || p.seen == r.gen {
			continue
		}
		e, err := top.Peek(p.folder())
		if absent(err) || err == nil && !e.IsDir() {
			r.drop(ctx, p)
		}
	}
}

// poll checks every repository that no event can tell of, and of the others
// one in turns: what is at rest and watched costs a stat every few polls.
func (r *runner) poll(ctx context.Context, top fsys.Dir) {
	start, spent := r.now(), r.spent()
	r.index.settle()
	if !r.unmoved || r.stirring {
		r.stir(ctx)
	}
	for i, p := range r.index.order {
		if i%pieceOfPass == 0 {
			r.visitDue(ctx, top)
			if ctx.Err() != nil {
				return
			}
			r.busy.Store(time.Now().UnixNano())
		}
		if !p.gone {
			r.check(top, p)
		}
	}
	r.turn, r.everything = (r.turn+1)%turns, false
	r.pollDue = max(together(start, r.opts.Poll), r.now()+r.spent().minus(spent).rest(r.opts.Poll))
	r.lieDown()
}

// isItself: that is the root, and none that a client fills.
func (r *runner) isItself(p *repo) bool {
	return r.unmoved && r.bare && p.rel() == "."+localSuffix && p.looked && !p.heaped()
}

// restless: it is visited at each poll.
func (r *runner) restless(p *repo) bool {
	return p.noisy || p.pace == Slow || p.young || r.worthArming(p)
}

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
		keyRoot, clean(r.root.Path), keyFolder, clean(p.folder()), keyErr, reason(err))
	r.unwatch(p)
	p.watch.epoch = 0
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

// processorTime is what this process has used so far: what others of its
// goroutines use meanwhile counts as well, and errs on the modest side.
func processorTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
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
