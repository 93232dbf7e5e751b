package watcher

// ensure sees to it that p is watched where its stamp says. It reports whether
// there is nothing to wait for: false means that the armer was asked and will
// answer.
func (r *runner) ensure(p *repo, s stamp) bool {
	w := &p.watch
	if w.where == s.where && w.inode == s.inode && w.where != nowhere {
		return true
	}
	if w.inode != s.inode {
		w.generation = 0 // what was refused was another directory
	}
	r.unwatch(p)
	w.inode = s.inode
	if s.where == nowhere && r.notify != nil {
		w.generation = r.notify.currentGeneration() // asking again is no use
	}
	if p.noisy || !r.worthArming(p) {
		return true
	}
	w.where, w.waiting, w.generation = s.where, true, r.notify.currentGeneration()
	w.seq++
	path := r.path(p, s.where)
	r.notify.ask(request{verb: arm, repo: p, dir: path, key: path, root: &r.root, seq: w.seq})
	return false
}

// worthArming reports whether p has no watch and asking for one may help.
func (r *runner) worthArming(p *repo) bool {
	return r.notify != nil && p.watch.where == nowhere && p.watch.generation != r.notify.currentGeneration() && r.notify.hears(r.mailbox.owner)
}

// hear notes what became of a watch.
func (r *runner) hear(p *repo, n message) {
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

// isItself: that is the root, and none that a client fills.
func (r *runner) isItself(p *repo) bool {
	return r.unmoved && r.bare && p.rel() == "."+localSuffix && p.looked && !p.heaped()
}

// restless: it is visited at each poll.
func (r *runner) restless(p *repo) bool {
	return p.noisy || p.pace == Slow || p.young || r.worthArming(p)
}
