package watcher

import "errors"

// The kernel lets a process watch so many directories and no more
// (fs.inotify.max_user_watches): one user with as many repositories would have all of them,
// and what others begin would be seen a poll later.

// ofFree: a user may watch so many times as many directories as are then still free. So
// the first gets seven eighths of all, and there is always something left for the next.
const ofFree = 7

// shares are how many directories each user watches.
type shares struct {
	all   int // 0: nobody knows
	taken int
	by    map[int]int
}

// take takes one more for a user, if that is within its share.
func (s *shares) take(owner int) bool {
	if s.all > 0 && s.by[owner] >= ofFree*(s.all-s.taken) {
		return false
	}
	s.by[owner]++
	s.taken++
	return true
}

// give gives one back.
func (s *shares) give(owner int) {
	s.taken--
	if s.by[owner]--; s.by[owner] == 0 {
		delete(s.by, owner)
	}
}

var errShare = errors.New("a user has its share of it")

// overShare has who was refused a watch for its user's share ask again after a rest.
func (n *notifier) overShare() {
	if n.shareGate.closed {
		return
	}
	n.shareGate.closed = true
	n.shareGate.timer.Reset(backOff(n.rest, armingRests*n.rest, n.shareGate.times))
	n.shareGate.times++
	if !n.shareGate.short {
		n.shareGate.short = true
		n.warnShort("max_user_watches", errShare)
	}
}

// reopenShares lets them ask again, and says so when a whole rest has passed without a
// refusal.
func (n *notifier) reopenShares() {
	g := &n.shareGate
	if !g.closed {
		g.short, g.times = false, 0
		n.log.Info("file system events have room again")
		return
	}
	g.closed = false
	n.mu.Lock()
	n.shares.all = mostWatches()
	n.mu.Unlock()
	g.timer.Reset(backOff(n.rest, armingRests*n.rest, g.times-1))
	n.epoch.Add(1)
}
