package sim

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"progressd/hfcache"
	"progressd/tracker"
)

// An episode is what the lines have said since it opened.
type episode struct {
	open     bool
	openedAt time.Time
	opened   map[tracker.Kind]bool
	stepped  int64
	high     int64
	percent  float64
	halted   tracker.Kind // stalled or interrupted, if that stands
	end      tracker.Kind
	endAt    time.Time
}

// never checks every line for what must not be said.
func (j *judge) never() {
	var ep episode
	for i, l := range j.lines {
		j.openings(&ep, l)
		j.amounts(&ep, l, i)
		j.verdicts(&ep, l)
		if final(l.event.Kind) {
			ep.open, ep.end, ep.endAt = false, l.event.Kind, l.at
		}
	}
}

// openings checks how episodes begin.
func (j *judge) openings(ep *episode, l line) {
	kind := l.event.Kind
	if kind == tracker.Resumed {
		kind = tracker.Started
	}
	if kind == tracker.OrphansFound || kind == tracker.LowSpace || kind == tracker.SpaceBack {
		return // may be told of a repository at rest
	}
	if !ep.open {
		if kind != tracker.Preparing {
			rule := "opening"
			if ep.end != "" {
				rule = "after-end"
			}
			j.blame(l.at, rule, "%q without preparing", l.text)
		}
		*ep = episode{open: true, openedAt: l.at, opened: map[tracker.Kind]bool{}, end: ep.end, endAt: ep.endAt}
		j.cause(ep, l)
	}
	if kind != tracker.Preparing && kind != tracker.Started {
		return
	}
	if ep.opened[kind] {
		j.blame(l.at, "opening", "%q again in the same episode", l.text)
	}
	ep.opened[kind] = true
}

// cause looks for what an episode can be about: bytes that came, or files that
// were copied or moved here, since the last end.
func (j *judge) cause(ep *episode, l line) {
	since := ep.endAt
	if since.IsZero() {
		since = j.life.world.began
	}
	// The last end may have been told before the client had done the very last.
	since = since.Add(-2*look - j.notice())
	for _, s := range j.blind() { // then what came before it may be told after it
		if s.from.Before(since) && s.to.After(since.Add(-look)) {
			since = s.from
		}
	}
	moved := slices.ContainsFunc(j.repo.truth.deeds, func(d deed) bool {
		return strings.HasPrefix(d.what, "mv ") && d.at.After(since) && !d.at.After(l.at)
	})
	for _, r := range j.repo.truth.records {
		anew := r.bytes > 0 && (r.doneAt.IsZero() || r.doneAt.After(since)) // perhaps what was there
		if moved && r.locks() && !r.lockedAt.IsZero() && r.lockedAt.Before(l.at.Add(look)) {
			return // somebody is at what was moved here
		}
		if r.visible().Before(l.at.Add(look)) && (anew || r.lastByteAt.After(since) || r.visible().After(since) || r.linkedAt.After(since)) {
			return
		}
	}
	j.blame(l.at, "cause", "%q, and no byte had come that wasn't told", l.text)
}

var percentage = regexp.MustCompile(`~ (\d+\.\d)%`)

// amounts checks the numbers of a line.
func (j *judge) amounts(ep *episode, l line, i int) {
	e := l.event
	switch e.Kind {
	case tracker.OrphansFound, tracker.LowSpace, tracker.SpaceBack, tracker.Preparing, tracker.SizeDiffers, tracker.Removed:
		return
	case tracker.Restarted:
		ep.high, ep.percent = 0, 0
	default:
	}
	if most := j.most(ep, l); e.Bytes > most {
		j.blame(l.at, "truth", "%q says %d bytes: there are %d at most", l.text, e.Bytes, most)
	}
	if e.Total > 0 && e.Bytes > e.Total && e.Kind != tracker.TotalDropped {
		j.blame(l.at, "truth", "%q says more than its total", l.text)
	}
	j.total(l)
	if e.Kind == tracker.Progress {
		j.step(ep, l)
	}
	if m := percentage.FindStringSubmatch(l.text); m != nil {
		percent, _ := strconv.ParseFloat(m[1], 64)
		if percent < ep.percent && !j.renewed(ep, l) {
			j.blame(l.at, "percent", "%q after %.1f%%", l.text, ep.percent)
		}
		ep.percent = percent
	}
	if e.Bytes < ep.high && !j.lapse(e.Kind) && !j.renewed(ep, l) && !j.disturbed(l.at) {
		j.blame(l.at, "monotone", "%q after %d bytes were told", l.text, ep.high)
	}
	if !j.lapse(e.Kind) {
		ep.high = max(ep.high, e.Bytes)
	}
	_ = i
}

// lapse: a verdict on a client that is gone counts what it left behind.
func (j *judge) lapse(k tracker.Kind) bool {
	return k == tracker.Interrupted || k == tracker.Unlisted || final(k) || k == tracker.Started
}

// disturbed: an operator is at it, and what a look finds is half done.
func (j *judge) disturbed(at time.Time) bool {
	return slices.ContainsFunc(j.repo.truth.deeds, func(d deed) bool { return !d.at.After(at) && at.Sub(d.at) < j.notice()+look })
}

// renewed: a client has come for another revision in this episode. What counts
// then is another set of files.
func (j *judge) renewed(ep *episode, l line) bool {
	var first *revision
	for _, r := range j.repo.truth.records {
		if r.beganAt.After(l.at) {
			continue
		}
		if first == nil {
			first = r.rev
		}
		if r.rev != first && r.beganAt.After(ep.openedAt.Add(-time.Minute)) {
			return true
		}
	}
	return false
}

// step checks that a step of progress wasn't told before.
func (j *judge) step(ep *episode, l line) {
	step := j.set.Step
	if step <= 0 {
		return // "auto": it follows from the total, which may change
	}
	if l.event.Bytes/step <= ep.stepped {
		j.blame(l.at, "step", "%q: that step was told", l.text)
	}
	ep.stepped = l.event.Bytes / step
}

// most is how many bytes there can be: those of the revisions that clients
// are or were at, each content once, and what was lost since the last look.
func (j *judge) most(ep *episode, l line) int64 {
	if j.covered(l) {
		return math.MaxInt64
	}
	since := ep.endAt
	revisions := j.revisions(since, l.at)
	for _, r := range j.repo.revisions {
		// Before a client that makes the snapshot with its first link has
		// linked anything, the revision before is taken for its own: known,
		// see docs/reliability.md.
		if !contains(revisions, r) && j.guessed(l.at) {
			revisions = append(revisions, r)
		}
	}
	if len(revisions) == 0 {
		revisions = j.repo.revisions
	}
	most := l.disk.bytes(revisions, j.repo.local != "")
	lookback := l.at.Add(-j.notice() - 8*time.Second)
	if j.blindIn(lookback, l.at) {
		lookback = time.Time{}
	}
	for _, loss := range j.repo.truth.losses {
		if loss.at.After(lookback) && !loss.at.After(l.at) || l.disk.gone {
			most += loss.bytes
		}
	}
	for _, r := range j.repo.truth.records {
		if r.habit.Stage == hfcache.InRoot || r.habit.Stage == hfcache.InRootTmp {
			most += r.bytes // what lies in the root isn't in the survey
			if r.habit.Fill == hfcache.Scattered {
				most += int64(r.plan.Ahead) * 4096 // each piece takes whole blocks
			}
		}
	}
	return most
}

// covered: what lies there can't be seen, or it was removed since the last look.
func (j *judge) covered(l line) bool {
	return l.disk.gone && (j.blindIn(l.at.Add(-look), l.at) || j.disturbed(l.at))
}

// guessed: a client is at work whose revision can't be known at first.
func (j *judge) guessed(at time.Time) bool {
	for _, r := range j.repo.truth.records {
		if r.habit.Has(hfcache.LateSnapshot) && r.beganAt.Before(at) {
			return true
		}
	}
	return false
}

func contains(all []*revision, r *revision) bool {
	for _, o := range all {
		if o == r {
			return true
		}
	}
	return false
}

// total checks the total where it can be but one: all clients of the episode
// leave a listing and want the same, known by their command lines.
func (j *judge) total(l line) {
	if l.event.Total == 0 {
		return
	}
	if most := j.largest(); l.event.Total > most {
		j.blame(l.at, "total", "%q says a total of %d bytes: all revisions together have %d", l.text, l.event.Total, most)
	}
}

// largest is what all revisions have together: in a directory of its own each
// path has its file, in a cache each content.
func (j *judge) largest() int64 {
	seen := map[string]bool{}
	var sum int64
	for _, r := range j.repo.revisions {
		for _, f := range r.files {
			key := f.etag
			if j.repo.local != "" {
				key += f.path
			}
			if !seen[key] {
				seen[key] = true
				sum += f.size
			}
		}
	}
	return sum
}
