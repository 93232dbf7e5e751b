package watcher

import (
	"time"

	"progressd/account"
)

// The kernel keeps so many events for a process (fs.inotify.max_queued_events, 16 384)
// and no more: what one user makes as fast as it can is what others' events are lost
// for, and these are seen a poll later, or several. So what tells too much isn't
// watched any more, and is polled.

// stormOfOne is how many events a directory may give in a second: then it goes
// unwatched until the next poll. Its user loses nothing else by it.
const stormOfOne = 2000

// counts counts an event, and reports whether it is one too many: for its directory,
// or for its user.
func (s *storms) counts(p *repo) bool {
	if second := time.Now().Unix(); second != s.second {
		s.second = second
		clear(s.of)
	}
	s.of[p]++
	return s.overspent(p.mailbox.owner) || s.of[p] > stormOfOne
}

// overspent charges an event to a user. Who has spent all owes as much again, and is
// watched when that is paid: so directories don't change between both all the time.
func (s *storms) overspent(owner account.User) bool {
	limit := account.Events.Limit()
	switch owed := s.accounts.Wait(owner, account.Events); {
	case owed == 0:
		s.accounts.Spend(owner, account.Events, 1)
		return false
	case owed <= time.Second/time.Duration(limit.Rate):
		s.accounts.Spend(owner, account.Events, limit.Burst)
	}
	return true
}

// pass tells those who want to know about a path. What tells too much is told of for the
// last time.
func (n *notifier) pass(path string, lost bool) {
	var stormy []*repo
	for p := range n.byKey.of(path) {
		storm := n.storms.counts(p)
		if storm {
			stormy = append(stormy, p)
		}
		p.tell(func(to *message) { to.lost, to.stormy = to.lost || lost, to.stormy || storm })
	}
	for _, p := range stormy {
		n.unhear(p, path, path)
	}
}

// passName tells those who wait for a name in a directory. What is told of other names
// there counts as well.
func (n *notifier) passName(dir, path string) {
	for _, waits := range n.beneath[dir] {
		storm := n.storms.counts(waits.repo)
		if storm || waits.key == path {
			waits.repo.tell(func(to *message) { to.stormy = to.stormy || storm })
		}
		if storm {
			n.unhear(waits.repo, dir, waits.key)
		}
	}
}

// unhear ends the watch of a directory for one whom it told too much.
func (n *notifier) unhear(p *repo, dir, key string) {
	if !n.dismissed(p, dir, key) {
		return
	}
	n.queue = append(n.queue, request{verb: drop, dir: dir})
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// hears reports whether directories of a user are watched.
func (n *notifier) hears(owner account.User) bool { return n.accounts.Wait(owner, account.Events) == 0 }
