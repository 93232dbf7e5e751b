package watcher

import (
	"progressd/account"
)

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
		if was := g.stands[dir]; !still || l != (mark{}) && (l.dev != was.dev || l.inode != was.inode || l.payer != was.payer) {
			g.relieve(dir, p) // or another directory lies there now, or another's
		}
	}
	for dir, l := range at {
		if l == (mark{}) || g.of[dir] != nil || !g.notify.hears(l.payer) {
			continue
		}
		p := &repo{path: dir, mailbox: g.boxOf(l.payer), watch: watch{where: onFolder, waiting: true, seq: 1}}
		g.of[dir], g.stands[dir] = p, l
		g.notify.ask(request{verb: arm, repo: p, dir: dir, key: dir, seq: p.watch.seq})
	}
}

// boxOf is the mailbox of the guards that are charged to a user: one for all whose numbers
// are lent by the same.
func (g *guards) boxOf(user account.User) *mailbox {
	payer := g.notify.accounts.Whose(user)
	if g.boxes[payer] == nil {
		g.boxes[payer] = newMailbox(payer)
		g.notify.join(g.boxes[payer])
	}
	return g.boxes[payer]
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
	lost := false
	for _, box := range g.boxes {
		messages, missed := box.take()
		lost = lost || missed
		for p, n := range messages {
			g.hear(p, n)
		}
	}
	for _, p := range g.of {
		p.young = p.young || lost
	}
}

func (g *guards) hear(p *repo, n message) {
	if g.of[p.path] != p {
		return
	}
	p.young = true
	p.watch.waiting = p.watch.waiting && n.armed != p.watch.seq
	if n.lost || n.stormy || n.refused == p.watch.seq {
		g.relieve(p.path, p)
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
