package watcher

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"progressd/account"
	"progressd/untrusted"
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

func newFinder(w *Watcher, pattern string) *finder {
	box := newMailbox(account.Unknown)
	f := &finder{
		pattern: pattern, poll: w.opts.Poll, began: w.began, fs: w.opts.FS, notify: w.notify, log: w.opts.Log,
		processorTime: w.opts.ProcessorTime, rouse: w.rouse,
		surveyor: surveyor{fs: w.opts.FS, probes: w.opts.Probes, prefix: pattern + "\x00", wake: box.rouse},
		guards:   guards{notify: w.notify, boxes: make(map[account.User]*mailbox), of: make(map[string]*repo), stands: make(map[string]mark)},
		box:      box, known: make(map[string]Root), told: make(map[string]bool),
	}
	f.surveyor.stuck = f.rests.close
	if f.survey = f.resolve; w.survey != nil {
		f.survey = func(context.Context) survey { return w.survey(pattern) }
	}
	return f
}

// run checks the pattern at every poll, and when it is woken, and hands on
// what it sees.
func (f *finder) run(ctx context.Context, tell func(report)) {
	find := f.findFirst
	for ctx.Err() == nil {
		start, used := time.Now(), f.processorTime()
		f.busy.Store(start.UnixNano())
		if f.asBefore(ctx) {
			f.askedAgain(start)
		} else {
			find(ctx, start, tell)
			find = f.find
		}
		if f.trail.sure() {
			f.rests.admit()
		} else {
			f.rests.close()
		}
		spent := effort{time.Since(start), f.processorTime() - used}
		f.busy.Store(0)
		now := time.Since(f.began)
		due, rest := together(now, f.poll), max(eventGap, spent.rest(f.poll))
		if !f.pause(ctx, due-now) {
			return
		}
		if !sleep(ctx, nil, rest-time.Since(start)) {
			return
		}
		f.heed()
	}
}

// askedAgain notes one more check, by rounds: of many places each is asked about in one of
// several.
func (f *finder) askedAgain(start time.Time) {
	f.rounds = append(f.rounds, start)
	f.rounds = f.rounds[max(0, len(f.rounds)-f.trail.rounds()):]
	f.before = f.rounds[0]
}

// pause waits for the next poll, or until something has happened: perhaps to what was
// found. That counts also where the poll is due at that moment: a root that was lost, and
// is there again, isn't reported before the whole way is gone.
func (f *finder) pause(ctx context.Context, d time.Duration) bool {
	poll := time.NewTimer(d)
	defer poll.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-f.box.wake:
		f.trail = trail{}
	case <-poll.C:
		select {
		case <-f.box.wake:
			f.trail = trail{}
		default:
		}
	}
	return true
}

// find goes the whole way and hands on what it sees.
func (f *finder) find(ctx context.Context, start time.Time, tell func(report)) {
	f.report(start, f.survey(ctx), tell)
}

// findFirst is find when the watcher begins.
func (f *finder) findFirst(ctx context.Context, start time.Time, tell func(report)) {
	f.report(start, f.waitALittle(ctx, start, f.survey(ctx)), tell)
}

// report hands on what a survey has found.
func (f *finder) report(start time.Time, s survey, tell func(report)) {
	seen := f.judge(start, s)
	f.empty.Store(len(seen)+len(s.delayed) == 0)
	f.delayed.Store(&s.delayed)
	tell(report{f.pattern, seen, s})
	// What has become of the others since they were last looked at isn't known.
	for via, root := range f.known {
		if p, located := f.trail.places[via]; !located || !f.rests.has(p) {
			f.rouse(root.Path)
		}
	}
	f.guards.post(&f.trail)
	f.setTrap(seen)
}

// waitALittle gives places that are slow, but don't hang, the time to be among
// those that are watched when the watcher is ready.
func (f *finder) waitALittle(ctx context.Context, start time.Time, s survey) survey {
	for len(s.delayed) > 0 && time.Since(start) < firstPatience/2 {
		if !sleep(ctx, f.box.wake, firstPatience/2-time.Since(start)) {
			return s
		}
		s = f.survey(ctx)
	}
	return s
}

// judge tells since when each root is there.
func (f *finder) judge(start time.Time, s survey) []sighting {
	known := make(map[string]Root)
	var seen []sighting
	for _, p := range s.places {
		root := Root{Path: p.path, Pattern: f.pattern, Dev: p.dev, Inode: p.inode, Home: p.home, Owner: p.owner, Remote: p.remote}
		old, was := f.known[p.via]
		if was && old.Path == root.Path && old.Dev == root.Dev && old.Home.Same(root.Home) {
			root.Since = old.Since
		} else if !f.before.IsZero() && !f.previous.hides(p.via) {
			root.Since = f.before.Add(-p.lag())
		}
		known[p.via] = root
		seen = append(seen, sighting{root, p.via})
	}
	for via, root := range f.known {
		if _, still := known[via]; !still && s.hides(via) {
			known[via] = root
		}
	}
	f.say(s)
	f.before, f.previous, f.known = start, s, known
	if !s.asked.IsZero() {
		f.before = s.asked
	}
	f.rounds = []time.Time{f.before}
	return seen
}

// say warns once of what the pattern can't reach, and tells when it can again.
func (f *finder) say(s survey) {
	refused := make(map[string]bool)
	for _, r := range s.refused {
		if _, watched := f.known[r.path]; watched && !errors.Is(r.err, fs.ErrPermission) {
			continue // what fails is the root itself, which is said where it is watched
		}
		refused[r.path] = true
		if !f.told[r.path] {
			f.log.Warn("cannot look for a cache: it is tried again until it works",
				keyPattern, untrusted.Path(f.pattern), "path", untrusted.Path(r.path), keyErr, r.err)
		}
	}
	for _, d := range s.delayed {
		told := f.told[d.path]
		if !told && time.Since(d.since) >= hangs {
			f.log.Warn("no answer from a place where a cache may be: it is waited for, others are looked after meanwhile",
				keyPattern, untrusted.Path(f.pattern), "path", untrusted.Path(d.path), "since", d.since.Format(time.TimeOnly))
			told = true
		}
		if told {
			refused[d.path] = true
		}
	}
	for path := range f.told {
		if !refused[path] {
			f.log.Info("can look for a cache again", keyPattern, untrusted.Path(f.pattern), "path", untrusted.Path(path))
		}
	}
	f.told = refused
}

// hangs is how long a place doesn't answer until that is worth a word.
const hangs = 5 * time.Second
