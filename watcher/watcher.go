package watcher

import (
	"path/filepath"
	"sync"
	"time"
)

// The changes of a root.
const (
	// Found: watched for the first time under this path.
	Found ChangeKind = iota
	// Gone: not there any more, or another directory is there now.
	Gone
	// Back: there is a directory again where one has gone.
	Back
	// Failing: the file system answers with an error; the last facts
	// stand, and it is tried again for ever.
	Failing
	// Recovered: the error is over.
	Recovered
)

// Watcher watches the roots that Options name.
type Watcher struct {
	opts   Options
	survey func(pattern string) survey // nil but in tests
	notify *notifier                   // nil without events
	ready  chan struct{}
	began  time.Time

	mu      sync.Mutex
	finders []*finder
	runners map[string]*runner
	orders  map[string]*orders // by path of the root
}

// Ready is closed when every root that was there at the start is watched and
// its names are listed. A root that hangs or fails delays it by seconds only.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// CheckPattern reports what is wrong with a pattern for Options.Roots.
func CheckPattern(pattern string) error {
	if !filepath.IsAbs(pattern) {
		return errNotAbsolute
	}
	_, err := filepath.Match(pattern, "/")
	return err
}
