package sizer

import (
	"log/slog"
	"time"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
)

// Options say how a Root looks. All fields are needed but FS, Recall, Listing
// and Judged.
type Options struct {
	// FS is whom files are asked of: this machine's kernel, if it is nil.
	FS fsys.Kernel
	// Vague: on the root's file system directories may keep their times when
	// names come and go, and a name may have another inode number each time it
	// is looked up. So it is on those of networks.
	Vague bool
	// Path of the cache root; the only path that may lead through links.
	Path string
	// Dev and Inode are the root's identity: a look that finds another
	// directory there reports nothing.
	Dev, Inode uint64
	// Unlinked: the path has no links, and none that comes is followed.
	Unlinked bool
	// Since: blobs older than this were there before anyone watched.
	Since time.Time
	// Opened is when watching began. A partial untouched since then is
	// nobody's, until it grows or its lock is taken.
	Opened time.Time
	// Recall gives what was remembered about a repository, if anything: the Root's own
	// from then on.
	Recall func(hfcache.Repo) (Checkpoint, bool)
	// Listing gives the files of a commit of which the cache has no listing,
	// as the hub has them. It never waits: what it doesn't know yet it may
	// know at a later look.
	Listing func(repo hfcache.Repo, commit string) (hfcache.Listing, bool)
	// Reserve takes n bytes of memory for a listing, and gives them back if n
	// is negative; false if there is no more, then the listing isn't read.
	// Called by any goroutine; nil if there is no bound.
	Reserve func(n int64) bool
	// Procs knows who holds which lock; shared by all roots.
	Procs *downloader.Shared
	// Judged gives when the newest look at a repository was begun that was
	// judged, and the judge's interest in its play: only he ends one that
	// nothing proves complete. It never waits; nil if nobody judges.
	Judged func(hfcache.Repo) (newest time.Time, interest Interest)
	Log    *slog.Logger
}

// open opens the root. Where its identity tells it from another directory, what a
// link leads to is found out by that.
func (o *Options) open() (fsys.Dir, error) {
	if o.Unlinked && o.Vague {
		return fsys.OpenUnlinked(o.FS, o.Path)
	}
	return fsys.Open(o.FS, o.Path)
}

// Interest is what who judges a play still has in it.
type Interest int

// The interests.
const (
	// Settled: none. What comes is of another play.
	Settled Interest = iota
	// Paused: it has stopped, and may go on.
	Paused
	// Open: it goes on, or its end is waited for.
	Open
)

// Pace is how closely a repository wants to be watched after a look.
type Pace int

// The paces.
const (
	// Idle: nothing to see until its blobs directory changes.
	Idle Pace = iota
	// Slow: partials lie there that may be resumed without the directory
	// showing it, or a play waits for its end to be judged.
	Slow
	// Steady: bytes are coming, and nothing else has changed for a while.
	Steady
	// Fast: bytes are coming.
	Fast
)
