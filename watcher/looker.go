package watcher

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"progressd/fsys"
)

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

// ChangeKind is what became of a root.
type ChangeKind int

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

// Notifications tell of file system events, as fsnotify does.
type Notifications struct {
	Watches
	// Events and Errors are closed by Close.
	Events <-chan fsnotify.Event
	Errors <-chan error
	// Name gives an event's name as it was added, false if it is to be ignored;
	// nil if events have that name.
	Name func(name string) (as string, ok bool)
}

// Watches are the directories of whose events Notifications tell.
type Watches interface {
	Add(dir string) error
	Remove(dir string) error
	Close() error
}

// RootStatus is how one root stands, for an operator.
type RootStatus struct {
	// Path of the root, or the pattern where that leads to none, or a place
	// that a pattern leads to and that doesn't answer.
	Path string
	// Pattern is the one of Options.Roots.
	Pattern string
	// Present: there is a directory, and it is looked after. Dev and Inode
	// are then its identity.
	Present    bool
	Dev, Inode uint64
	// Owner is the user whose directory it is, by number, -1 while that isn't
	// known.
	Owner int
	// Polled: no events for this root.
	Polled bool
	// Remote names the network file system it is on, if any.
	Remote string
	// Failing is why it can't be read now, nil if it can.
	Failing error
	// BusySince is when the operation that is under way began, zero if
	// none is: one that lasts tells of a file system that hangs.
	BusySince time.Time
	// Repos counts the repositories, Watches the directories watched.
	Repos, Watches int
	// Links counts the symbolic links where a repository, or a directory that
	// a client fills, may be: they are not followed.
	Links int
}

// Keys of the log.
const (
	keyRoot    = "root"
	keyPattern = "pattern"
	keyFolder  = "folder"
	keyErr     = "err"
)
