// Package watcher decides when to look at which repository of a Hugging Face
// cache, and at nothing else: what a look finds is the Looker's business.
//
// The scan is the truth: every poll interval each root is checked for being
// the same directory, listed if its time stamp moved, and each repository at
// rest costs one stat, or where it has a watch one every few polls. Where all of a
// root is watched, the finder of its pattern does both, as it asks about the root anyway,
// and the root's own goroutine sleeps until something has happened. Of very many roots
// that rest, each is asked about every few polls. File system events say only "this directory is dirty" and make the same code run sooner;
// with events switched off everything is still true within one poll.
package watcher

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"progressd/account"
	"progressd/fsys"
)

// Options say what to watch. FS, OpenNotify and ProcessorTime are for
// simulations. The others are needed, but Changed.
type Options struct {
	// FS is whom files are asked of: this machine's kernel, if it is nil.
	FS fsys.Kernel
	// Roots are absolute patterns as of filepath.Match, resolved again at
	// every poll. A root may be reached by a symbolic link.
	Roots []string
	// Probes are those of the Watcher before, if there was one: a file system
	// that hung for that isn't asked a second time. nil is none.
	Probes *Probes
	// Poll is how often everything is checked without being asked to.
	Poll time.Duration
	// Active is how often a repository of pace Fast is looked at, Steady one
	// of pace Steady: or a little oftener, so that a poll is a multiple of it.
	Active, Steady time.Duration
	// Notify switches file system events on; OpenNotify begins to listen to
	// them: the kernel's own, if it is nil.
	Notify     bool
	OpenNotify func() (*Notifications, error)
	// IsRepo says which directory names in a root are repositories. It is
	// called by several goroutines.
	IsRepo func(folder string) bool
	// IsLocal says which directories, "." or one or two levels below a root,
	// may be filled by a download that goes into a directory of its own; they
	// are watched like repositories. Called by several goroutines; nil is none.
	IsLocal func(rel string) bool
	// NewLooker makes the Looker of a root: when the root is found, and
	// again after a panic. Called by that root's goroutine.
	NewLooker func(Root) Looker
	// Changed is told what becomes of a root, by that root's goroutine,
	// before NewLooker for Found and Back. ctx ends with the watcher.
	Changed func(ctx context.Context, c RootChange)
	// AfterCostly is called after a look that used 250 ms or more of a
	// processor, by that root's goroutine; nil is nothing to do.
	AfterCostly func()
	// Accounts are those that watches, events and looks are charged to, the last by
	// the Looker; nil: there is no bound.
	Accounts *account.Book
	// ProcessorTime is how much of a processor this process has used so far:
	// as the kernel counts it, if it is nil. Called by several goroutines.
	ProcessorTime func() time.Duration
	Log           *slog.Logger
}

// Root is one directory that is watched, for as long as it is that directory.
type Root struct {
	// Path is free of symbolic links.
	Path string
	// Pattern is the one of Options.Roots that led here.
	Pattern string
	// Dev and Inode are its identity now, Home is what of that stays the same
	// when it is mounted again.
	Dev, Inode uint64
	Home       fsys.Identity
	// Owner is the user whose directory it is, by number.
	Owner int
	// Remote names the file system of a network that it is on, if any.
	Remote string
	// Since is zero for a root that may have been there before the daemon
	// started. Otherwise the root, or its present identity, appeared while
	// the daemon ran, and Since is the wall clock at the last check at
	// which it wasn't there: whatever in it is newer came under our eyes.
	Since time.Time
}

// Pace is how soon a repository wants to be looked at again.
type Pace int8

// The paces.
const (
	// Idle: only when the directory of its blobs changes.
	Idle Pace = iota
	// Slow: at every poll, and when the directory changes.
	Slow
	// Steady: every Options.Steady, and no events meanwhile.
	Steady
	// Fast: every Options.Active, and no events meanwhile.
	Fast
)

// timed: a timer says when to look, and events don't.
func (p Pace) timed() bool { return p >= Steady }

// Looker looks at the repositories of one root. It is called by one goroutine.
type Looker interface {
	// Stirred gives the folders that have to be looked at because of files in
	// the root itself, which are in no folder yet. It is called when names in the
	// root came or went, and at every poll as long as there are such files.
	Stirred(ctx context.Context) (folders []string, more bool)
	// Came is called before the first look at a folder that has come while the
	// root was watched; absent is the wall clock when the root was last known not
	// to hold it.
	Came(folder string, absent time.Time)
	// Look passes once over the repository in the folder of that name, or
	// the directory of that path if Options.IsLocal accepts it. A
	// folder that vanished is looked at once more, then forgotten. rest tells, when
	// the work is done, for how long no other look at it follows for what this one
	// has cost.
	Look(ctx context.Context, folder string, rest func() time.Duration) Pace
}

// ChangeKind is what became of a root.
type ChangeKind int

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

func (k ChangeKind) String() string {
	return [...]string{"found", "gone", "back", "failing", "recovered"}[k]
}

// RootChange says what became of a root.
type RootChange struct {
	Kind ChangeKind
	Root Root
	// Err is the reason for Failing, else nil.
	Err error
}

// Keys of the log.
const (
	keyRoot    = "root"
	keyPattern = "pattern"
	keyFolder  = "folder"
	keyErr     = "err"
)

const (
	// stopPatience is how long Run waits for a hanging file system when it
	// is told to stop.
	stopPatience = time.Second
	// firstPatience is how long the first roots wait for the patterns that
	// take longer, so that of two paths to one directory the one that is
	// configured first wins.
	firstPatience = time.Second
	// readyPatience is how long a slow or hanging root delays Ready.
	readyPatience = 5 * time.Second
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

// New makes a Watcher. It touches nothing until Run.
func New(opts Options) *Watcher {
	if opts.FS == nil {
		opts.FS = fsys.Real{}
	}
	if opts.Probes == nil {
		opts.Probes = new(Probes)
	}
	if opts.OpenNotify == nil {
		opts.OpenNotify = openNotify
	}
	if opts.ProcessorTime == nil {
		opts.ProcessorTime = processorTime
	}
	w := &Watcher{
		opts: opts, ready: make(chan struct{}), began: time.Now(),
		runners: make(map[string]*runner), orders: make(map[string]*orders),
	}
	if w.opts.Changed == nil {
		w.opts.Changed = func(context.Context, RootChange) {}
	}
	if opts.Notify {
		w.notify = newNotifier(opts.FS, opts.OpenNotify, opts.Accounts, opts.Log)
	}
	return w
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
