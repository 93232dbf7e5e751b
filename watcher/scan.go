package watcher

import (
	"context"
	"time"

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
