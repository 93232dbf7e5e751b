package watcher

import (
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"progressd/account"
	"progressd/fsys"
)

// A notifier owns the one Notifications of all roots. fsnotify sends
// errors while it holds the lock that Add and Remove need, so three
// goroutines share the work: the armer (run) alone adds and removes, another
// drains events into mailboxes, and a third drains errors and never calls
// fsnotify.
type notifier struct {
	log  *slog.Logger
	rest time.Duration // armingRest
	fs   fsys.Kernel
	open func() (*Notifications, error)
	// accounts are those that watches and events are charged to.
	accounts *account.Book

	// generation counts the times at which refused watches were worth asking
	// for again.
	generation atomic.Uint32
	wake       chan struct{}

	mu    sync.Mutex
	queue []request
	// byKey has the interests in directories; beneath, for a directory, those in
	// single names in it.
	byKey   interests
	beneath map[string][]name
	boxes   map[*mailbox]bool
	storms  storms

	// The armer's own.
	from *Notifications // nil: there are none
	// gate is of all, shareGate of who is over a share.
	gate, shareGate gate

	// The error drainer's own.
	rescan struct {
		told  bool
		next  time.Time
		times int
	}
}

// storms are how much is told in this second, and for whom.
type storms struct {
	accounts *account.Book
	second   int64
	of       map[*repo]int
}

const (
	// armingRest is the rest before the first new try after the kernel
	// refused watches for want of room, armingRests how many of it are
	// the longest.
	armingRest  = time.Minute
	armingRests = 15
	// rescanRest is the least time between two rescans for lost events; it
	// doubles up to rescanRestMax while events go on being lost. The poll
	// goes on anyway.
	rescanRest    = 10 * time.Second
	rescanRestMax = 10 * time.Minute
)

// interests finds who wants to know about a path: nearly always one.
type interests struct {
	first map[string]*repo
	more  map[string][]*repo
}

func (i *interests) of(path string) iter.Seq[*repo] {
	return func(yield func(*repo) bool) {
		if p := i.first[path]; p == nil || !yield(p) {
			return
		}
		for _, p := range i.more[path] {
			if !yield(p) {
				return
			}
		}
	}
}

func (i *interests) add(path string, p *repo) {
	if i.first[path] == nil {
		i.first[path] = p
	} else {
		i.more[path] = append(i.more[path], p)
	}
}

// remove takes one such interest away, and reports whether there was any.
func (i *interests) remove(path string, p *repo) bool {
	all := slices.Collect(i.of(path))
	at := slices.Index(all, p)
	if at < 0 {
		return false
	}
	all = slices.Delete(all, at, at+1)
	delete(i.first, path)
	delete(i.more, path)
	for _, other := range all {
		i.add(path, other)
	}
	return true
}

// A name is who waits for a path.
type name struct {
	repo *repo
	key  string
}

// A request to the armer. Requests are done in the order in which they came.
type request struct {
	verb verb
	// repo is whom to tell; box whom to forget.
	repo *repo
	box  *mailbox
	// dir is what to watch; key the path whose events matter: dir itself,
	// or one name in it.
	dir, key string
	// root is the one that dir lies in, nil if it is none's.
	root *Root
	// seq numbers the requests for one repo; 0 is never used.
	seq uint16
}

type verb int

const (
	arm verb = iota
	disarm
	// drop the watch of a directory in which nobody has an interest any more.
	drop
	// forget everything for that mailbox.
	forget
)

// A gate keeps requests from the kernel for a while after it refused one for
// want of room.
type gate struct {
	short  bool // told, and not yet over
	closed bool
	times  int
	timer  *time.Timer
}

// currentGeneration is the generation as a repo keeps it: never 0.
func (n *notifier) currentGeneration() uint16 { return uint16(n.generation.Load()%(1<<16-1)) + 1 }

// crowded reports whether so much is asked already that asking for more only
// takes memory.
func (n *notifier) crowded() bool {
	const enough = 256
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.queue) >= enough
}

// ask puts a request into the armer's queue. It never blocks.
func (n *notifier) ask(r request) {
	n.mu.Lock()
	n.queue = append(n.queue, r)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notifier) join(b *mailbox) {
	n.mu.Lock()
	n.boxes[b] = true
	n.mu.Unlock()
}

// leave drops all watches of b.
func (n *notifier) leave(b *mailbox) {
	n.mu.Lock()
	delete(n.boxes, b)
	n.mu.Unlock()
	n.ask(request{verb: forget, box: b})
}

// interested notes an interest, if its user may have one more.
func (n *notifier) interested(r request) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.accounts.Take(r.repo.mailbox.owner, account.Watches, 1) {
		return false
	}
	if r.key == r.dir {
		n.byKey.add(r.key, r.repo)
	} else {
		n.beneath[r.dir] = append(n.beneath[r.dir], name{r.repo, r.key})
	}
	r.repo.mailbox.watches.Add(1)
	return true
}

// add watches a directory: that which is reached through no link, where events are
// the kernel's.
func (n *notifier) add(r request) error {
	to, ok := n.from.Watches.(openWatches)
	if !ok {
		return n.from.Add(r.dir)
	}
	d, err := r.open(n.fs)
	if err != nil {
		return err
	}
	defer d.Close()
	return to.AddOpen(d, r.dir)
}

// open opens what is to be watched.
func (r request) open(kernel fsys.Kernel) (fsys.Dir, error) {
	if r.root == nil {
		return fsys.OpenUnlinked(kernel, r.dir)
	}
	top, err := fsys.OpenNoFollow(kernel, r.root.Path)
	if err != nil {
		return fsys.Dir{}, err
	}
	e, err := top.Stat()
	if err == nil && (e.Dev != r.root.Dev || e.Inode != r.root.Inode) {
		err = errReplaced
	}
	if rel := strings.TrimPrefix(r.dir[len(r.root.Path):], "/"); err == nil && rel != "" {
		defer top.Close()
		return top.Sub(rel)
	}
	if err != nil {
		top.Close()
	}
	return top, err
}

func (n *notifier) disarm(p *repo, dir, key string) {
	if n.dismiss(p, dir, key) && n.from != nil {
		// That the watch isn't there any more is what is wanted.
		_ = n.from.Remove(dir)
	}
}

// dismiss forgets an interest and reports whether it was the last in dir.
func (n *notifier) dismiss(p *repo, dir, key string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dismissed(p, dir, key)
}

// dismissed is dismiss for who has the lock.
func (n *notifier) dismissed(p *repo, dir, key string) bool {
	if key == dir && !n.byKey.remove(key, p) || key != dir && !n.removeName(dir, name{p, key}) {
		return false
	}
	p.mailbox.watches.Add(-1)
	n.accounts.Give(p.mailbox.owner, account.Watches, 1)
	return n.unwanted(dir)
}

// removeName takes an interest in a name in a directory away, and reports whether there
// was one.
func (n *notifier) removeName(dir string, waits name) bool {
	left := slices.DeleteFunc(slices.Clone(n.beneath[dir]), func(other name) bool { return other == waits })
	removed := len(left) < len(n.beneath[dir])
	if n.beneath[dir] = left; len(left) == 0 {
		delete(n.beneath, dir)
	}
	return removed
}

// unwanted reports whether nobody has an interest in a directory.
func (n *notifier) unwanted(dir string) bool {
	return n.byKey.first[dir] == nil && len(n.beneath[dir]) == 0
}

// drop ends the watch of a directory, unless somebody has an interest in it again.
func (n *notifier) drop(dir string) {
	n.mu.Lock()
	unwanted := n.unwanted(dir)
	n.mu.Unlock()
	if unwanted && n.from != nil {
		_ = n.from.Remove(dir)
	}
}

// forget drops all watches of one mailbox. Only roots leave, and with them a
// key is the directory itself.
func (n *notifier) forget(b *mailbox) {
	type interest struct {
		key string
		p   *repo
	}
	var gone []interest
	n.mu.Lock()
	for key := range n.byKey.first {
		for p := range n.byKey.of(key) {
			if p.mailbox == b {
				gone = append(gone, interest{key, p})
			}
		}
	}
	n.mu.Unlock()
	for _, i := range gone {
		n.disarm(i.p, i.key, i.key)
	}
}
