package watcher

import (
	"sync"
	"sync/atomic"

	"progressd/account"
)

// An inbox takes what events and the armer have to say to one root's
// goroutine, or one pattern's. It holds at most one note for each directory,
// so it is bounded by what is watched, and putting never blocks.
type inbox struct {
	wake    chan struct{}
	watches atomic.Int32
	// owner is whom watches and events are charged to: the user whose root it is of, for a
	// pattern see payerOf.
	owner account.User

	mu    sync.Mutex
	notes map[*repo]note
	// missed: events were lost, everything may have changed.
	missed bool
	// asked are the folders that somebody wants looked at.
	asked map[string]bool
}

// A note says what happened in one watched directory.
type note struct {
	// stormy: it told so much that it isn't watched any more.
	stormy bool
	// lost: the watch isn't on that path any more.
	lost bool
	// armed or refused is the answer to the request of that number.
	armed, refused uint16
}

func newInbox(owner account.User) *inbox {
	return &inbox{owner: owner, wake: make(chan struct{}, 1), notes: make(map[*repo]note)}
}

// tell merges a change into the note about what is kept about a directory.
func (p *repo) tell(change func(*note)) {
	b := p.box
	b.mu.Lock()
	n := b.notes[p]
	change(&n)
	b.notes[p] = n
	b.mu.Unlock()
	b.rouse()
}

func (b *inbox) miss() {
	b.mu.Lock()
	b.missed = true
	b.mu.Unlock()
	b.rouse()
}

func (b *inbox) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (b *inbox) take() (notes map[*repo]note, missed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	missed, b.missed = b.missed, false
	if len(b.notes) == 0 {
		return nil, missed
	}
	notes, b.notes = b.notes, make(map[*repo]note)
	return notes, missed
}
