package watcher

import (
	"strings"
	"time"
)

// maxAsked bounds how many folders of a root may wait to be looked at because
// somebody has asked.
const maxAsked = 64

// Ask has a repository looked at as soon as its root's goroutine comes to it,
// as an event in it would, also if it isn't there: folder is as of Looker.Look.
// It never waits, and may be called by any goroutine. It is false if no root
// of that path is watched now, or too many have asked.
func (w *Watcher) Ask(root, folder string) bool {
	w.mu.Lock()
	r := w.runners[root]
	w.mu.Unlock()
	if r == nil || !w.looksAt(folder) {
		return false
	}
	r.mu.Lock()
	box := r.mailbox
	r.mu.Unlock()
	return box != nil && box.ask(folder)
}

// looksAt reports whether a folder of that name can be looked at.
func (w *Watcher) looksAt(folder string) bool {
	return w.opts.IsRepo(folder) || w.opts.IsLocal != nil && w.opts.IsLocal(folder)
}

func (b *mailbox) ask(folder string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asked == nil {
		b.asked = make(map[string]bool)
	}
	if len(b.asked) == maxAsked && !b.asked[folder] {
		return false
	}
	b.asked[folder] = true
	b.rouse()
	return true
}

func (b *mailbox) takeAsked() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := b.asked
	b.asked = nil
	return asked
}

// heed plans the visits that were asked for. What isn't known yet is taken as
// one that was looked at before: if it isn't there, the look says so, and it
// is forgotten again.
func (r *runner) heed() {
	for folder := range r.mailbox.takeAsked() {
		p := r.index.find([]byte(folder))
		if p == nil {
			p = r.expect(folder)
		}
		r.index.at(p, r.drained)
	}
}

func (r *runner) expect(folder string) *repo {
	p := r.newRepo(folder, 0)
	if !r.opts.IsRepo(folder) {
		p = r.newLocal(folder, 0, r.now())
		r.locals.count++
		if folder != "." && !strings.Contains(folder, "/") {
			r.locals.shelves[p] = &shelf{}
		}
	}
	p.seen, p.looked = r.gen, true
	r.index.add(p)
	return p
}

// Attend has a repository looked at by that time at the latest, whatever its
// pace; the zero time takes the order back. It holds until that look is made,
// over all that may befall the goroutine of the root, and waits for a root that
// isn't watched. folder is as of Looker.Look; it need not be there. Attend never
// waits, and may be called by any goroutine.
func (w *Watcher) Attend(root, folder string, by time.Time) {
	if w.looksAt(folder) {
		w.ordersOf(root).put(folder, by)
	}
}

// ordersOf are the orders for the root of that path.
func (w *Watcher) ordersOf(path string) *orders {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.orders[path]
	if o == nil {
		o = newOrders()
		w.orders[path] = o
	}
	return o
}

// obey plans the visits of which the time has come. One at which a look has
// panicked waits its turn, so that others have theirs.
func (r *runner) obey() {
	for _, folder := range r.orders.take(r.began.Add(r.drained)) {
		p, at := r.index.find([]byte(folder)), r.drained
		if p == nil {
			p = r.expect(folder)
		}
		if folder == r.suspect {
			at += r.opts.Poll
		}
		r.index.at(p, at)
	}
}

// rouse wakes who looks after the root of that path: it finds out what has become of it.
func (w *Watcher) rouse(path string) {
	w.mu.Lock()
	r := w.runners[path]
	w.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	box := r.mailbox
	r.mu.Unlock()
	if box != nil {
		box.rouse()
	}
}
