package watcher

import (
	"context"
	"log/slog"
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
