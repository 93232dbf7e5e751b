package watcher

import (
	"sync"
	"time"
)

// orders are the looks at one root that have to be made by a certain time. They
// are no plans: until then each repository is looked at as ever.
type orders struct {
	mu  sync.Mutex
	due map[string]time.Time
	// taken are those that are planned now, until there is another order.
	taken map[string]bool
	// box is of the goroutine that makes the looks, which sleeps until then:
	// it is woken only for what is due sooner. Nil and zero if there is none.
	box   *mailbox
	until time.Time
}

func newOrders() *orders {
	return &orders{due: make(map[string]time.Time), taken: make(map[string]bool)}
}

func (o *orders) put(folder string, by time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.taken, folder)
	if by.IsZero() {
		delete(o.due, folder)
		return
	}
	o.due[folder] = by
	if o.box != nil && (o.until.IsZero() || by.Before(o.until)) {
		o.box.rouse()
	}
}

// serve begins to hand the orders to a goroutine that knows nothing of what was
// taken before it.
func (o *orders) serve(box *mailbox, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.box, o.until = box, time.Time{}
	for folder := range o.taken {
		o.due[folder] = now
	}
	clear(o.taken)
}

// first is when the first order is due, zero if there is none.
func (o *orders) first() (first time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, by := range o.due {
		if first.IsZero() || by.Before(first) {
			first = by
		}
	}
	return first
}

// take gives the folders of which a look is due. Whoever takes is awake.
func (o *orders) take(now time.Time) (folders []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = time.Time{}
	for folder, by := range o.due {
		if !by.After(now) {
			folders = append(folders, folder)
			delete(o.due, folder)
			o.taken[folder] = true
		}
	}
	return folders
}

// sleeps says until when whoever takes sleeps.
func (o *orders) sleeps(until time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = until
}
