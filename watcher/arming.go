package watcher

import (
	"math"
	"time"
)

const never = time.Duration(math.MaxInt64)

// ensure sees to it that p is watched where its stamp says. It reports whether
// there is nothing to wait for: false means that the armer was asked and will
// answer.
func (r *runner) ensure(p *repo, s stamp) bool {
	w := &p.watch
	if w.where == s.where && w.inode == s.inode && w.where != nowhere {
		return true
	}
	if w.inode != s.inode {
		w.epoch = 0 // what was refused was another directory
	}
	r.unwatch(p)
	w.inode = s.inode
	if s.where == nowhere && r.notify != nil {
		w.epoch = r.notify.era() // asking again is no use
	}
	if p.noisy || !r.worthArming(p) {
		return true
	}
	w.where, w.waiting, w.epoch = s.where, true, r.notify.era()
	w.seq++
	path := r.path(p, s.where)
	r.notify.ask(request{verb: arm, repo: p, dir: path, key: path, root: &r.root, seq: w.seq})
	return false
}

// worthArming reports whether p has no watch and asking for one may help.
func (r *runner) worthArming(p *repo) bool {
	return r.notify != nil && p.watch.where == nowhere && p.watch.epoch != r.notify.era() && r.notify.hears(r.box.owner)
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
	p.watch.epoch = 0
}

// distrust drops a watch that has failed to tell, for a new one.
func (r *runner) distrust(p *repo) {
	if !p.watch.waiting {
		r.unwatch(p)
	}
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

// drain takes what the events and the armer have said.
func (r *runner) drain() {
	notes, missed := r.box.take()
	r.drained = r.now()
	r.resume()
	r.heed()
	r.obey()
	if missed {
		r.force, r.everything, r.listDue, r.pollDue = true, true, r.drained, r.drained
	}
	for p, n := range notes {
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

// hear notes what became of a watch.
func (r *runner) hear(p *repo, n note) {
	if n.armed == p.watch.seq && p.watch.waiting {
		p.watch.waiting = false
	}
	if n.refused == p.watch.seq && p.watch.waiting {
		p.watch.where, p.watch.waiting = nowhere, false
	}
	if n.lost {
		r.unwatch(p)
	}
	if n.stormy {
		p.noisy = true
		r.unwatch(p)
	}
}
