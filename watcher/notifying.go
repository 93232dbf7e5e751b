package watcher

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/fsys"
	"progressd/untrusted"
)

func newNotifier(fs fsys.Kernel, open func() (*Notifications, error), accounts *account.Book, log *slog.Logger) *notifier {
	n := &notifier{
		log: log, rest: armingRest, fs: fs, open: open, accounts: accounts,
		wake:    make(chan struct{}, 1),
		byKey:   interests{make(map[string]*repo), make(map[string][]*repo)},
		beneath: make(map[string][]name), boxes: make(map[*mailbox]bool), storms: storms{accounts: accounts, of: make(map[*repo]int)},
	}
	n.generation.Store(1)
	return n
}

// run is the armer. It returns when ctx is done.
func (n *notifier) run(ctx context.Context) {
	var drainers sync.WaitGroup
	n.gate.timer = time.NewTimer(0)
	n.gate.timer.Stop()
	defer n.gate.timer.Stop()
	n.shareGate.timer = time.NewTimer(0)
	n.shareGate.timer.Stop()
	defer n.shareGate.timer.Stop()
	n.begin(&drainers)
	for {
		select {
		case <-ctx.Done():
			if n.from != nil {
				_ = n.from.Close()
			}
			drainers.Wait()
			n.giveBack()
			return
		case <-n.gate.timer.C:
			n.reopen(&drainers)
		case <-n.shareGate.timer.C:
			n.reopenShares()
		case <-n.wake:
			n.mu.Lock()
			queue := n.queue
			n.queue = nil
			n.mu.Unlock()
			n.doAll(ctx, queue)
		}
	}
}

// begin asks the kernel for the queue of events.
func (n *notifier) begin(drainers *sync.WaitGroup) {
	from, err := n.open()
	if err != nil {
		n.shortage(err)
		return
	}
	n.from = from
	n.accounts.Has(account.Watches, mostWatches())
	drainers.Go(func() {
		for e := range from.Events {
			ok := true
			if from.Name != nil {
				e.Name, ok = from.Name(e.Name)
			}
			if ok {
				n.route(e)
			}
		}
	})
	drainers.Go(func() {
		for err := range from.Errors {
			n.fault(err)
		}
	})
}

// doAll does what was asked for. inotify_add_watch(2) wants a directory that may be
// read.
func (n *notifier) doAll(ctx context.Context, queue []request) {
	defer n.fs.Raise()()
	for i := 0; i < len(queue) && ctx.Err() == nil; i++ {
		n.do(queue[i])
	}
}

func (n *notifier) do(r request) {
	switch r.verb {
	case arm:
		n.arm(r)
	case disarm:
		n.disarm(r.repo, r.dir, r.key)
	case drop:
		n.drop(r.dir)
	case forget:
		n.forget(r.box)
	}
}

func (n *notifier) arm(r request) {
	if n.gate.closed || n.from == nil {
		r.repo.tell(func(to *message) { to.refused = r.seq })
		return
	}
	// The interest comes first: an event may come before Add returns.
	if !n.interested(r) {
		n.overShare()
		r.repo.tell(func(to *message) { to.refused = r.seq })
		return
	}
	err := n.add(r)
	if err == nil {
		r.repo.tell(func(to *message) { to.armed = r.seq })
		return
	}
	n.disarm(r.repo, r.dir, r.key)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM) {
		n.shortage(err)
	}
	r.repo.tell(func(to *message) { to.refused = r.seq })
}

// route tells those who want to know. An event says no more than that a
// directory is dirty, or that the watch has gone with it.
func (n *notifier) route(e fsnotify.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	lost := e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)
	n.pass(e.Name, lost)
	if i := strings.LastIndexByte(e.Name, '/'); i > 0 {
		n.pass(e.Name[:i], false)
		n.passName(e.Name[:i], e.Name)
	}
}

// fault is told by fsnotify, and must never call it. The only error worth
// more than a word is that events were lost.
func (n *notifier) fault(err error) {
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		n.log.Debug("file system events: an error that the poll makes up for", keyErr, untrusted.Path(err.Error()))
		return
	}
	now := time.Now()
	if now.Before(n.rescan.next) {
		return // the poll comes soon enough
	}
	if now.Sub(n.rescan.next) > rescanRestMax {
		n.rescan.told, n.rescan.times = false, 0
	}
	n.rescan.next = now.Add(backOff(rescanRest, rescanRestMax, n.rescan.times))
	n.rescan.times++
	if !n.rescan.told {
		n.rescan.told = true
		n.log.Warn("file system events were lost because too many came at once: everything is looked at again",
			"sysctl", "fs.inotify.max_queued_events", "value", limit("max_queued_events"))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for b := range n.boxes {
		b.miss()
	}
}

// reopen lets requests through again when the rest is over, and says so when
// a whole rest has passed without a refusal.
func (n *notifier) reopen(drainers *sync.WaitGroup) {
	if !n.gate.closed {
		n.gate.short, n.gate.times = false, 0
		n.log.Info("file system events have room again")
		return
	}
	n.gate.closed = false
	if n.from == nil {
		n.begin(drainers)
	}
	if !n.gate.closed {
		n.gate.timer.Reset(backOff(n.rest, armingRests*n.rest, n.gate.times-1))
		n.generation.Add(1)
	}
}
