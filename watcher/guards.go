package watcher

// guards are the watches on directories through which a pattern leads, where there are
// many: what an event tells of is asked about at the next poll, and nobody is woken.
type guards struct {
	notify *notifier // nil: no events
	box    *inbox
	of     map[string]*repo // by directory
	// stands is which directory each was posted at.
	stands map[string]mark
	// missing: one was relieved that is to be posted again.
	missing bool
}

// post watches the directories of a trail, and no others. One in which names have just
// come or gone is watched when it has come to rest.
func (g *guards) post(t *trail) {
	if g.notify == nil {
		return
	}
	at := make(map[string]mark) // zero: if it is watched already
	if t.plan(); t.rounds() > 1 {
		for _, l := range t.listings {
			at[l.dir] = l.mark
		}
	}
	g.missing = false
	for dir, p := range g.of {
		l, still := at[dir]
		if was := g.stands[dir]; !still || l != (mark{}) && (l.dev != was.dev || l.inode != was.inode) {
			g.relieve(dir, p) // or another directory lies there now
		}
	}
	if len(at) == 0 {
		return
	}
	g.notify.join(g.box)
	for dir, l := range at {
		if l == (mark{}) || g.of[dir] != nil || !g.notify.hears(g.box.owner) {
			continue
		}
		p := &repo{path: dir, box: g.box, watch: watch{where: onFolder, waiting: true, seq: 1}}
		g.of[dir], g.stands[dir] = p, l
		g.notify.ask(request{verb: arm, repo: p, dir: dir, key: dir, seq: p.watch.seq})
	}
}

func (g *guards) relieve(dir string, p *repo) {
	p.gone, g.missing = true, true
	delete(g.of, dir)
	delete(g.stands, dir)
	g.notify.ask(request{verb: disarm, repo: p, dir: dir, key: dir})
}

// heed takes what the events and the armer have said. A guard that has anything to say
// has its directory asked about once more: so has one that was posted just now, since what
// came before that it couldn't tell.
func (g *guards) heed() {
	notes, missed := g.box.take()
	for p, n := range notes {
		if g.of[p.path] != p {
			continue
		}
		p.young = true
		p.watch.waiting = p.watch.waiting && n.armed != p.watch.seq
		if n.lost || n.stormy || n.refused == p.watch.seq {
			g.relieve(p.path, p)
		}
	}
	for _, p := range g.of {
		p.young = p.young || missed
	}
}

// calm reports whether nothing has happened in a directory, if that is known. From then on
// it is taken to be asked about if it wasn't.
func (g *guards) calm(s *stop) bool {
	if s.guard == nil || s.guard.gone {
		s.guard = g.of[s.listing.dir]
	}
	p := s.guard
	if p == nil || p.watch.waiting {
		return false
	}
	calm := !p.young
	p.young = false
	return calm
}
