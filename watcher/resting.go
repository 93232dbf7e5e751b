package watcher

import (
	"sync"
	"sync/atomic"
)

// rests are the roots that are left to a finder.
type rests struct {
	mu sync.Mutex
	// open: the finder can look after them.
	open bool
	of   map[string]*rest // by path of the root
}

// A rest is a root that is left to its finder, as it was then.
type rest struct {
	dev   uint64
	self  stamp
	repos []resting
	box   *mailbox
	over  bool // it was taken back
	// seen is the wall clock, in unix ns, when the root was last found as it was left:
	// no name had come or gone.
	seen atomic.Int64
}

// A resting is one repository in it: what the stamp is of, its blobs, or its folder where
// there are none yet, which moves when they come. Likewise of one that is filled itself.
type resting struct {
	path  string
	stamp stamp
}
