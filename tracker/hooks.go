package tracker

import (
	"time"

	"progressd/hfcache"
	"progressd/sizer"
)

// Hooks are what the engine tells of itself. Each may be nil; they are called
// by Run's goroutine and must not block.
type Hooks struct {
	// Status is given a line for systemd, "2 downloads: org/model 61.4%,
	// org/other 350MB", when it has changed, at most each two seconds.
	Status func(text string)
	// Alive is called every AliveEvery by the loop that does all the work:
	// while it is called, the engine is not wedged. AliveEvery of 0 is never.
	Alive      func()
	AliveEvery time.Duration
	// RunOver is told when all is said of a run whose end was reported.
	RunOver func(root string, repo hfcache.Repo)
	// Attend is told how closely a repository has to be looked at, whenever
	// that changes and after each look at a download.
	Attend func(Attention)
	// Shown is given how a download stands: when something is told of it, and
	// else each 5 seconds, or each second while Watched says that somebody
	// watches.
	Shown   func(Standing)
	Watched func() bool
	// Given is told of each input before it is judged, and may change nothing.
	Given func(Input)
}

// An Attention says how closely a repository has to be looked at: who waits for
// a verdict orders the look at which it falls due.
type Attention struct {
	Root string
	Repo hfcache.Repo
	// Seen is when the newest look was begun that this goes by; zero before
	// the first one.
	Seen time.Time
	// Interest is what there is in what moves there: what comes belongs to
	// the download that is open, if one is.
	Interest sizer.Interest
	// By is when it has to be looked at again, at the latest; zero leaves
	// that to who looks. What can't be read, or a root that is gone, is tried
	// again anyway.
	By time.Time
}

// Standing is how a download stands: what the tracker publishes, so that nobody
// who asks has to wait for it.
type Standing struct {
	// Episode is its id, which those of its events begin with. Root and Repo
	// are those of its looks.
	Episode string
	Root    string
	Repo    hfcache.Repo
	// State is Preparing while nothing shows on disk, Progress while it goes
	// on, else Stalled, Interrupted or Failed.
	State Kind
	// Over: it has ended. Silent: without a line.
	Over, Silent bool
	// Began is when it was first seen, Grown when its last byte came.
	Began, Grown time.Time
	// Now has the facts as an event told now would have them, but no ID and
	// no Kind. Needed and Free are set where the room is known, which Device
	// then names.
	Now    Event
	Device uint64
}

// Recorder takes what must be remembered and said, in order. Commit never
// blocks: the engine waits for no disk. It is called by the engine alone.
type Recorder interface {
	// Commit notes the episode's newest record before the events go on to
	// the sinks. A nil episode is for events of a root.
	Commit(ep *Episode, events []Event)
}
