package watcher

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"progressd/account"
	"progressd/fsys"
)

// A finder follows one pattern. One goroutine owns it; a pattern that hangs
// on some file system holds up nothing else.
type finder struct {
	pattern string
	poll    time.Duration
	began   time.Time // of the watcher
	fs      fsys.Kernel
	// survey is resolve, but for tests.
	survey   func(context.Context) survey
	surveyor surveyor
	// processorTime is that of the Options.
	processorTime func() time.Duration
	notify        *notifier // nil: no events
	// rouse wakes who looks after the root of that path, if anybody does.
	rouse func(path string)
	log   *slog.Logger
	box   *mailbox

	before   time.Time   // since which all has been asked about; zero before the first check
	rounds   []time.Time // when the checks began in which that was done
	previous survey
	known    map[string]Root // by via
	trail    trail
	told     map[string]bool // refusals that have been said
	trap     trap
	busy     atomic.Int64 // unix ns at which the check under way began
	empty    atomic.Bool
	// rests are the roots that are left to it, guards the directories on the way that are
	// watched.
	rests   rests
	guards  guards
	delayed atomic.Pointer[[]delay] // what the last survey went on without
}

// A report is what a finder sees now.
type report struct {
	pattern string
	seen    []sighting
	survey  survey
}

// same reports whether it says of every root what another one says.
func (r report) same(other report) bool {
	return slices.Equal(r.seen, other.seen) &&
		slices.EqualFunc(r.survey.refused, other.survey.refused, func(x, y refusal) bool { return x.path == y.path }) &&
		slices.EqualFunc(r.survey.delayed, other.survey.delayed, func(x, y delay) bool { return x.path == y.path })
}

// A sighting is one root, by the path before links are resolved.
type sighting struct {
	root Root
	via  string
}

// guards are the watches on directories through which a pattern leads, where there are
// many: what an event tells of is asked about at the next poll, and nobody is woken.
type guards struct {
	notify *notifier                 // nil: no events
	boxes  map[account.User]*mailbox // by payer
	of     map[string]*repo          // by directory
	// stands is which directory each was posted at.
	stands map[string]mark
	// missing: one was relieved that is to be posted again.
	missing bool
}

// A trap watches for a root that isn't there yet.
type trap struct {
	path string // what has to appear next; empty: nothing is watched for
	at   *repo
}
