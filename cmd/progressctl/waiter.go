package main

import (
	"errors"
	"slices"
	"time"

	"progressd/hfcache"
	"progressd/live"
	"progressd/record"
	"progressd/socket"
)

// The exit statuses of wait, beside those that all share.
const (
	exitBadly   = 1   // it ended, and not all is there
	exitStalled = 3   // with --fail-on-stall
	exitNever   = 4   // it never appeared
	exitTimeout = 124 // as of timeout(1)
)

// nobodyFor is how long wait waits for a daemon: one that systemd starts again
// is back in 5 s.
const nobodyFor = 30 * time.Second

// waitRules say what is waited for.
type waitRules struct {
	// appear is how long a download may take to begin.
	appear time.Duration
	// untilCompleted: what ended badly is waited for to be tried again.
	untilCompleted bool
	failOnStall    bool
}

// A waiter waits for the verdicts on some repositories. It is a state machine:
// what is heard, what was answered and the time go in. It asks nobody itself.
type waiter struct {
	rules   waitRules
	targets []*target
	view    live.View
	// lost is since when no daemon is heard, zero while one is.
	lost time.Time
}

// A target is one repository that is waited for.
type target struct {
	repo hfcache.Repo
	// asking: it was asked for, and no answer has come. due: it is to be asked
	// for.
	asking, due bool
	// running: its download was seen to go on, while we wait.
	running bool
	// appearBy is until when it may take to begin, zero while that doesn't
	// matter.
	appearBy time.Time
	// last is the newest that is known of it, nil if nothing is.
	last *record.Download
	// over: it is waited for no longer. status is then its exit status.
	over   bool
	status int
}

func newWaiter(repos []hfcache.Repo, rules waitRules, now time.Time) *waiter {
	w := &waiter{rules: rules, lost: now}
	for _, repo := range repos {
		w.targets = append(w.targets, &target{repo: repo})
	}
	return w
}

// hear takes in what has happened.
func (w *waiter) hear(u live.Update, now time.Time) {
	w.view.Apply(u)
	switch {
	case u.Lost != nil:
		if w.lost.IsZero() {
			w.lost = now
		}
	case u.Standing != nil:
		w.lost = time.Time{}
	}
	for _, t := range w.waiting() {
		switch {
		case u.Standing != nil, u.Gone != "" && t.running && len(w.of(t)) == 0:
			w.stands(t, now)
		case u.Event != nil && t.is(*u.Event):
			w.told(t, u.Key, *u.Event)
		case u.Level != nil && t.is(u.Level.Record):
			w.runs(t, *u.Level)
		}
	}
}

// of are the downloads of a target, in whatever cache.
func (w *waiter) of(t *target) []record.Download { return w.view.Of(t.repo.ID, string(t.repo.Type)) }

func (t *target) is(r record.Record) bool {
	return t.repo.ID == r.Model && string(t.repo.Type) == r.RepoType
}

// stands holds a target against how all downloads stand.
func (w *waiter) stands(t *target, now time.Time) {
	all := w.of(t)
	was := t.running
	t.running = false
	for _, d := range all {
		if d.State.Running() {
			w.runs(t, d)
			return
		}
	}
	if len(all) > 0 {
		t.last = &all[0]
		if was { // it has ended while no daemon was heard
			w.ended(t, all[0])
		}
	}
	t.due = true
	if t.appearBy.IsZero() {
		t.appearBy = now.Add(w.rules.appear)
	}
}

// runs takes in that a download goes on, or stands still.
func (w *waiter) runs(t *target, d record.Download) {
	t.last = &d
	if !d.State.Running() {
		return // how that ended was told
	}
	t.running, t.appearBy = true, time.Time{}
	if d.State == record.Stalled && w.rules.failOnStall {
		t.end(exitStalled, d)
	}
}

// told holds a target against an event.
func (w *waiter) told(t *target, key string, e record.Record) {
	state, changes := record.StateAfter(e.Event)
	d := record.Download{Key: key, State: state, Record: e}
	switch {
	case !changes:
		if t.last != nil {
			d.State = t.last.State
		}
		t.last = &d
	case state.Running():
		w.runs(t, d)
	default:
		w.ended(t, d)
	}
}

// ended takes in that a download has ended. One of the same repository that goes
// on in another cache may yet succeed.
func (w *waiter) ended(t *target, d record.Download) {
	others := slices.ContainsFunc(w.of(t), func(d record.Download) bool { return d.State.Running() })
	switch {
	case d.State == record.Completed:
		t.end(exitOK, d)
	case w.rules.untilCompleted || others:
		t.last = &d
	default:
		t.end(exitBadly, d)
	}
}

func (t *target) end(status int, d record.Download) {
	t.over, t.status, t.last = true, status, &d
}

// answered takes in what a look has found, or why nobody has answered.
func (w *waiter) answered(t *target, all []socket.Answered, err error, now time.Time) {
	t.asking = false
	if t.over || err != nil {
		return // a daemon that was lost tells how all stand when it is back
	}
	for _, a := range all {
		switch {
		case a.State == record.Completed:
			t.end(exitOK, a.Download)
			return
		case a.State.Running():
			w.runs(t, a.Download)
		case t.last == nil || a.ID != "":
			t.last = &a.Download
		}
	}
	if !t.running && !t.appearBy.IsZero() && !now.Before(t.appearBy) {
		w.never(t, all)
	}
}

// never is the end of a target that didn't begin in time: badly, where what is
// known of it is an end.
func (w *waiter) never(t *target, all []socket.Answered) {
	d := t.known(t.appearBy)
	bad := slices.ContainsFunc(all, func(a socket.Answered) bool {
		return a.State == record.Interrupted || a.State == record.Failed || a.State == record.Ended || a.State == record.Removed
	})
	switch {
	case bad && w.rules.untilCompleted:
		t.appearBy = time.Time{} // it may be tried again
	case bad:
		t.end(exitBadly, d)
	default:
		t.end(exitNever, d)
	}
}

// known is the last that is known of a target, now that nothing may be.
func (t *target) known(now time.Time) record.Download {
	if t.last != nil {
		return *t.last
	}
	return record.Download{Record: record.Record{
		Time: now.UTC().Truncate(time.Millisecond), Model: t.repo.ID, RepoType: string(t.repo.Type),
	}}
}

// pass lets time pass, and gives those who are to be asked for now.
func (w *waiter) pass(now time.Time) []*target {
	var ask []*target
	for _, t := range w.waiting() {
		if !t.appearBy.IsZero() && !now.Before(t.appearBy) {
			t.due = true // a last look
		}
		if t.due && !t.asking && w.lost.IsZero() {
			t.due, t.asking = false, true
			ask = append(ask, t)
		}
	}
	return ask
}

// nobody reports whether no daemon was heard for too long.
func (w *waiter) nobody(now time.Time) bool { return !w.lost.IsZero() && now.Sub(w.lost) >= nobodyFor }

// why is why no daemon is heard.
func (w *waiter) why() error {
	if w.view.Lost == nil {
		return errors.New("progressd does not answer")
	}
	return w.view.Lost.Err
}

// waiting are the targets that are not over.
func (w *waiter) waiting() []*target {
	return slices.DeleteFunc(slices.Clone(w.targets), func(t *target) bool { return t.over })
}

// status is the exit status, once nothing is waited for: that of what ended
// worst.
func (w *waiter) status() int {
	for _, status := range []int{exitBadly, exitStalled, exitNever} {
		if slices.ContainsFunc(w.targets, func(t *target) bool { return t.status == status }) {
			return status
		}
	}
	return exitOK
}
