package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"progressd/hfcache"
	"progressd/tracker"
)

// A fault is a rule that was broken.
type fault struct {
	// rule names it; what is found and shrunk is a rule.
	rule string
	at   time.Time
	text string
	// kind is what was special then; see judge.kind.
	kind string
}

// name is the rule with what was special.
func (f fault) name() string {
	if f.kind == "" {
		return f.rule
	}
	return f.rule + " (" + f.kind + ")"
}

// A judge holds the lines about one repository against what truly happened.
//
// The rules, by name. What must never be said:
//
//	known       no line is about something that isn't there
//	opening     an episode opens once: preparing, then started or resumed
//	cause       it opens because bytes came that no end has told of
//	after-end   nothing follows an end but a new episode
//	step        no step is told twice in it
//	truth       no line says more bytes than there are
//	total       no total is another than that of what is wanted, where that is known
//	percent     no percentage falls, unless a line says why
//	monotone    no line says fewer bytes than one before, unless a line says why
//	false-completed, false-interrupted, false-ended, false-stalled, false-removed
//	moving      moving again comes after a standstill
//	keepalive   speaks for nobody who is known to be dead
//	silence     says how long no byte has come, to a look
//	twice       no verdict twice for one end
//	hasty       what only quiet proves comes after quiet_after
//
// What is owed, and by when at the latest:
//
//	no-opening    an episode opens soon after its first byte
//	no-keepalive  no keepalive interval of a living, open download without a line
//	no-completed, no-interrupted, no-ended, no-stalled, no-removed
//	wrong-verdict another one came
//
// Where the contract leaves an answer open, the rule says so with its reason.
type judge struct {
	life   *life
	repo   *repository
	set    setup
	lines  []line
	faults []fault
}

// verdicts are the lines that end something.
func final(k tracker.Kind) bool {
	switch k {
	case tracker.Completed, tracker.Ended, tracker.Removed:
		return true
	default:
		return false
	}
}

// judgeLife holds all lines of a life against what happened.
func judgeLife(l *life) []fault {
	var faults []fault
	lines := l.daemon.said.all()
	for _, repo := range l.repos {
		j := &judge{life: l, repo: repo, set: l.story.Setup}
		for _, line := range lines {
			if line.key == repo.key() && line.event.Repo.ID != "" {
				j.lines = append(j.lines, line)
			}
		}
		j.never()
		j.owed()
		faults = append(faults, j.faults...)
	}
	for _, line := range lines {
		if line.key == (hfcache.Repo{}) && line.event.Repo.ID != "" && !l.mayBeNew(line) {
			faults = append(faults, fault{rule: "known", at: line.at, text: fmt.Sprintf("%q is about something that isn't there", line.text)})
		}
	}
	if open := l.world.fs.Open(); len(open) > 0 {
		faults = append(faults, fault{rule: "open", at: time.Now(), text: fmt.Sprintf("left open: %q", open)})
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return a.at.Compare(b.at) })
	return faults
}

// mayBeNew reports whether a line is about a folder that was renamed right after
// bytes had come there: nothing tells that their client is gone, and they weren't
// brought to the new name.
func (l *life) mayBeNew(said line) bool {
	const fresh = 30 * time.Second
	for _, r := range l.repos {
		aside := r.aside()
		if said.event.Root != aside && said.event.Root+"/"+said.event.Repo.Folder() != aside {
			continue
		}
		for _, d := range r.truth.deeds {
			if strings.HasPrefix(d.what, "mv ") && d.at.Before(said.at) && d.at.Sub(r.truth.lastByte) < fresh {
				return true
			}
		}
	}
	return false
}

func (j *judge) blame(at time.Time, rule, format string, args ...any) {
	text := fmt.Sprintf("%s: ", j.repo.key().ID) + fmt.Sprintf(format, args...)
	j.faults = append(j.faults, fault{rule, at, text, j.kind(at)})
}

// look is how long a download under way isn't looked at: 833 ms, the look
// itself, and the tick of the file system's clock.
const look = 1200 * time.Millisecond

// notice is how late the daemon may notice what begins while it is at rest.
func (j *judge) notice() time.Duration {
	copied := slices.ContainsFunc(j.repo.truth.records, func(r *record) bool { return r.copies })
	nested := slices.ContainsFunc(j.repo.newest().files, func(f hubFile) bool { return strings.Contains(f.path, "/") })
	switch {
	case j.life.story.Disk == nfs, j.life.story.Disk == rclone, j.life.story.Events == noEvents:
		return j.set.Poll + look
	case j.life.story.Events == someEvents, j.unmounted():
		return 5*j.set.Poll + look // a watch is believed for four polls
	case j.repo.local != "" && (copied || nested): // what a client fills isn't known before that; below it nothing is watched
		return j.set.Poll + look
	default:
		return look
	}
}

// unmounted: a watch goes with what is unmounted, and nothing is heard of that.
func (j *judge) unmounted() bool {
	return slices.ContainsFunc(j.life.story.Ills, func(i ill) bool { return i.Kind == unmounted })
}

// blind are the times in which the daemon couldn't see, from the first to
// the last: it didn't run, or the root couldn't be looked at, or the
// repository. After an error of the file system it rests for up to a minute.
func (j *judge) blind() []span {
	rest := max(65*time.Second, j.set.Poll+look) // which may be the next time that it is asked for
	var all []span
	all = append(all, j.life.daemon.downs()...)
	for _, s := range j.life.blind {
		all = append(all, span{s.from, s.to.Add(rest)})
	}
	for i, d := range j.repo.truth.deeds {
		if len(d.what) > 9 && d.what[:9] == "chmod 000" {
			to := time.Now()
			if i+1 < len(j.repo.truth.deeds) {
				to = j.repo.truth.deeds[i+1].at
			}
			all = append(all, span{d.at, to.Add(rest)})
		}
	}
	for i := range all {
		if all[i].to.IsZero() || all[i].to.Before(all[i].from) {
			all[i].to = time.Now()
		}
	}
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	return all
}

// blindIn reports whether the daemon was blind for some of a time.
func (j *judge) blindIn(from, to time.Time) bool {
	return slices.ContainsFunc(j.blind(), func(s span) bool { return s.from.Before(to) && s.to.After(from) })
}

// deadline is when something is due at the latest that has to wait since a
// moment: the waiting begins anew after each time in which the daemon was
// blind, and in which what came may have been of this repository.
func (j *judge) deadline(since time.Time, wait time.Duration) time.Time {
	spans := append(j.blind(), j.staged()...)
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	for _, s := range spans {
		if s.from.Before(since.Add(wait)) && s.to.After(since) {
			since = s.to
		}
	}
	return since.Add(wait)
}

// staged are the times in which a client writes to the root, and what it writes to
// counts as growing: that may be of any repository there.
func (j *judge) staged() (all []span) {
	const growing = 30 * time.Second
	for _, repo := range j.life.repos {
		for _, r := range repo.truth.records {
			inRoot := r.habit.Stage == hfcache.InRoot || r.habit.Stage == hfcache.InRootTmp
			if inRoot && j.repo.local == "" && !r.visibleAt.IsZero() {
				last := r.visibleAt
				if r.lastWriteAt.After(last) {
					last = r.lastWriteAt
				}
				all = append(all, span{r.visibleAt, last.Add(growing + look)})
			}
		}
	}
	return all
}

// downs are the times in which the daemon didn't run.
func (k *keeper) downs() []span {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.down)
}

// last is the record with the newest byte before some time that wrote any; nil
// if none did.
func (j *judge) last(before time.Time) *record {
	var last *record
	for _, r := range j.repo.truth.records {
		if r.bytes > 0 && r.visible().Before(before) && (last == nil || r.lastByteAt.After(last.lastByteAt)) {
			last = r
		}
	}
	return last
}

// visible is when the client first showed in the cache; far away if it never
// did.
func (r *record) visible() time.Time {
	if r.visibleAt.IsZero() {
		return r.began.Add(1000 * time.Hour)
	}
	return r.visibleAt
}

// alive reports whether the process was there at some time.
func (r *record) alive(at time.Time) bool {
	return !r.beganAt.After(at) && (r.goneAt.IsZero() || r.goneAt.After(at))
}

// working reports whether it had not done its work by some time.
func (r *record) working(at time.Time) bool {
	return r.alive(at) && (r.doneAt.IsZero() || r.doneAt.After(at))
}

// halted reports whether it was stopped for all of a time.
func (r *record) halted(from, to time.Time) bool {
	return !r.stoppedAt.IsZero() && !r.stoppedAt.After(from) && (r.proceededAt.IsZero() || !r.proceededAt.Before(to))
}

// locks: its death can be known, since it holds a lock that shows.
func (r *record) locks() bool { return r.habit.Lock != hfcache.NoLock && !r.procs.hidden }

// revisions are those that clients have been at until some time, since
// another.
func (j *judge) revisions(since, until time.Time) []*revision {
	var all []*revision
	for _, r := range j.repo.truth.records {
		ended := !r.goneAt.IsZero() && r.goneAt.Before(since)
		if !r.beganAt.After(until) && !ended && !slices.Contains(all, r.rev) {
			all = append(all, r.rev)
		}
	}
	return all
}

// later is the later one of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
