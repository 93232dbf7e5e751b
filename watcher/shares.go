package watcher

import "progressd/account"

// The kernel lets a process watch so many directories and no more
// (fs.inotify.max_user_watches): one user with as many repositories would have all of them,
// and what others begin would be seen a poll later.

// overShare has who was refused a watch for its user's share ask again after a rest.
func (n *notifier) overShare() {
	g := &n.shareGate
	if g.closed {
		return
	}
	g.closed = true
	g.timer.Reset(backOff(n.rest, armingRests*n.rest, g.times))
	g.times++
}

// reopenShares lets them ask again.
func (n *notifier) reopenShares() {
	g := &n.shareGate
	if !g.closed {
		g.times = 0
		return
	}
	g.closed = false
	n.accounts.Has(account.Watches, mostWatches())
	g.timer.Reset(backOff(n.rest, armingRests*n.rest, g.times-1))
	n.generation.Add(1)
}

// giveBack gives back all watches, when they are over.
func (n *notifier) giveBack() {
	n.mu.Lock()
	defer n.mu.Unlock()
	give := func(p *repo) { n.accounts.Give(p.mailbox.owner, account.Watches, 1) }
	for key := range n.byKey.first {
		for p := range n.byKey.of(key) {
			give(p)
		}
	}
	for _, names := range n.beneath {
		for _, waits := range names {
			give(waits.repo)
		}
	}
}
