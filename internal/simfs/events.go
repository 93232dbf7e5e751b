package simfs

import (
	"path"
	"slices"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// What is told of a name in a watched directory.
const (
	created    = fsnotify.Create
	movedHere  = fsnotify.Create
	removed    = fsnotify.Remove
	movedAway  = fsnotify.Rename
	written    = fsnotify.Write
	attributes = fsnotify.Chmod
)

// A Watcher gives the events of directories as fsnotify does over inotify.
type Watcher struct {
	Events chan fsnotify.Event
	Errors chan error

	fs   *FS
	opts WatcherOptions
	wake chan struct{}
	done chan struct{}
	over chan struct{}

	mu     sync.Mutex
	closed bool
	queue  []any // fsnotify.Event or error
	// Under the lock of fs.
	byPath map[string]*watch
}

// WatcherOptions are what becomes of events. Both may be nil.
type WatcherOptions struct {
	// Pause is called before some events are given out: it may let time pass.
	Pause func()
	// Lose reports whether an event is lost.
	Lose func(fsnotify.Event) bool
}

// A watch is one directory, under the path by which it was asked for.
type watch struct {
	owner *Watcher
	path  string
	node  *inode
}

// NewWatcher gives events until it is closed.
func (f *FS) NewWatcher(opts WatcherOptions) *Watcher {
	w := &Watcher{
		Events: make(chan fsnotify.Event), Errors: make(chan error),
		fs: f, opts: opts, byPath: make(map[string]*watch),
		wake: make(chan struct{}, 1), done: make(chan struct{}), over: make(chan struct{}),
	}
	f.mu.Lock()
	f.watchers = append(f.watchers, w)
	f.mu.Unlock()
	go w.run()
	return w
}

// run gives out what is in the queue.
func (w *Watcher) run() {
	defer close(w.over)
	defer close(w.Events)
	defer close(w.Errors)
	for {
		select {
		case <-w.done:
			return
		case <-w.wake:
		}
		if w.opts.Pause != nil {
			w.opts.Pause()
		}
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, item := range queue {
			if !w.give(item) {
				return
			}
		}
	}
}

func (w *Watcher) give(item any) bool {
	switch item := item.(type) {
	case fsnotify.Event:
		select {
		case w.Events <- item:
		case <-w.done:
			return false
		}
	case error:
		select {
		case w.Errors <- item:
		case <-w.done:
			return false
		}
	}
	return true
}

func (w *Watcher) put(item any) {
	w.mu.Lock()
	w.queue = append(w.queue, item)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Overflow loses all events that wait, and says so.
func (w *Watcher) Overflow() {
	w.mu.Lock()
	w.queue = nil
	w.mu.Unlock()
	w.put(fsnotify.ErrEventOverflow)
}

// Add watches a directory.
func (w *Watcher) Add(p string) error {
	f := w.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	p = path.Clean(p)
	walk := walk{fs: f, follow: true, as: &f.caller}
	n, err := walk.node(f.root, p)
	switch {
	case err != nil:
		return err
	case !walk.may(n, 0o4):
		return unix.EACCES
	}
	if old := w.byPath[p]; old != nil {
		old.drop()
	}
	if slices.ContainsFunc(n.watches, func(o *watch) bool { return o.owner == w }) {
		return nil // fsnotify keeps the first path
	}
	watch := &watch{owner: w, path: p, node: n}
	w.byPath[p] = watch
	n.watches = append(n.watches, watch)
	return nil
}

// Remove watches a directory no more.
func (w *Watcher) Remove(p string) error {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	watch := w.byPath[path.Clean(p)]
	if watch == nil {
		return fsnotify.ErrNonExistentWatch
	}
	watch.drop()
	return nil
}

func (w *watch) drop() {
	delete(w.owner.byPath, w.path)
	w.node.watches = slices.DeleteFunc(w.node.watches, func(o *watch) bool { return o == w })
}

// Close ends it and its channels.
func (w *Watcher) Close() error {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if closed {
		return nil
	}
	w.fs.mu.Lock()
	for _, watch := range w.byPath {
		watch.drop()
	}
	w.fs.watchers = slices.DeleteFunc(w.fs.watchers, func(o *Watcher) bool { return o == w })
	w.fs.mu.Unlock()
	close(w.done)
	<-w.over
	return nil
}

// Watched is how many directories are watched.
func (w *Watcher) Watched() int {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	return len(w.byPath)
}

// emit tells those who watch the directory of an entry.
func (f *FS) emit(e *entry, op fsnotify.Op) {
	if e.dir == nil {
		return
	}
	for _, w := range e.dir.watches {
		w.tell(fsnotify.Event{Name: w.path + "/" + e.name, Op: op})
	}
}

// emitSelf tells those who watch an inode itself. A watch on what is moved or
// gone is none any more.
func (f *FS) emitSelf(n *inode, op fsnotify.Op) {
	for _, w := range slices.Clone(n.watches) {
		if op == removed || op == movedAway {
			w.drop()
		}
		if op == removed && w.owner.byPath[path.Dir(w.path)] != nil {
			continue // the directory above has told
		}
		w.tell(fsnotify.Event{Name: w.path, Op: op})
	}
}

func (w *watch) tell(e fsnotify.Event) {
	if w.owner.opts.Lose == nil || !w.owner.opts.Lose(e) {
		w.owner.put(e)
	}
}

// unwatch drops the watches on a volume that is unmounted: without a word.
func (f *FS) unwatch(v *Volume) {
	for _, owner := range f.watchers {
		for _, w := range owner.byPath {
			if w.node.vol == v {
				w.drop()
			}
		}
	}
}
