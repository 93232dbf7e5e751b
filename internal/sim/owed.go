package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"progressd/hfcache"
	"progressd/tracker"
)

// owed checks that everything came that was owed.
func (j *judge) owed() {
	for _, r := range j.repo.truth.records {
		if r.bytes > 0 {
			j.opening(r)
			j.company(r)
			j.standstill(r)
		}
	}
	for _, rest := range j.rests() {
		j.settle(rest)
	}
}

// slack is how late a line may be that is due at a known time: the beat of the
// tracker, a look, and what a machine may be late.
const slack = 5 * time.Second

// opening: an episode opens soon after the first partial or blob.
func (j *judge) opening(r *record) {
	if r.copies {
		return
	}
	due := j.deadline(r.visible(), j.notice()+slack)
	if r.habit.Stage == hfcache.InRootTmp || r.habit.Stage == hfcache.InRoot && j.life.story.Hidden {
		return // of such a file nothing tells whose it is
	}
	if r.doneAt.IsZero() || r.doneAt.Before(due) {
		return // its verdict says all
	}
	if j.touched(r.visible(), due) || j.openAt(due) || j.said(r.visible().Add(-early), due, all2) {
		return
	}
	j.blame(due, "no-opening", "%s writes since %s, and nothing was said", r.name(), j.life.world.clock(r.visible()))
}

func all2(line) bool { return true }

// said reports whether some line was said in a time.
func (j *judge) said(from, to time.Time, is func(line) bool) bool {
	return slices.ContainsFunc(j.lines, func(l line) bool { return !l.at.Before(from) && !l.at.After(to) && is(l) })
}

// touched reports whether an operator did something in a time: then what the
// clients do has other effects than they have by themselves.
func (j *judge) touched(from, to time.Time) bool {
	return slices.ContainsFunc(j.repo.truth.deeds, func(d deed) bool { return d.at.After(from.Add(-time.Minute)) && d.at.Before(to) })
}

// openAt reports whether an episode is open at some time.
func (j *judge) openAt(at time.Time) bool {
	open := false
	for _, l := range j.lines {
		if l.at.After(at) {
			break
		}
		open = !final(l.event.Kind) && (open || l.event.Kind != tracker.OrphansFound)
	}
	return open
}

// company: no keepalive interval of a living, open download without a line.
func (j *judge) company(r *record) {
	const tolerance = 8 * time.Second
	from, to := r.visible().Add(j.notice()+slack), r.doneAt
	if to.IsZero() || r.copies || r.habit.Stage != hfcache.InBlobs || r.habit.Lock == hfcache.NoLock {
		return // whether it lives can't be known
	}
	last := from
	check := func(at time.Time) {
		if at.Sub(last) > j.set.Keepalive+tolerance && !j.blindIn(last, at) && !j.touched(last, at) && j.openAt(last) && !j.interruptedAt(last) {
			j.blame(at, "no-keepalive", "no line for %v while %s works", at.Sub(last).Round(time.Millisecond), r.name())
		}
		last = at
	}
	for _, l := range j.lines {
		if l.at.After(last) && l.at.Before(to) {
			check(l.at)
		}
	}
	if to.After(last) {
		check(to)
	}
}

// interruptedAt: the last word at some time is that it was interrupted.
func (j *judge) interruptedAt(at time.Time) bool {
	halted := false
	for _, l := range j.lines {
		if l.at.After(at) {
			break
		}
		halted = l.event.Kind == tracker.Interrupted || halted && l.event.Kind == tracker.OrphansFound
	}
	return halted
}

// standstill: a client that holds its lock and brings nothing is stalled.
func (j *judge) standstill(r *record) {
	if !r.locks() || r.habit.Stage != hfcache.InBlobs || r.habit.Has(hfcache.KeepsOld) || r.habit.Fill == hfcache.Bursts {
		return // what it writes can't be seen, or comes at once after long pauses
	}
	for _, pause := range r.pauses() {
		waits := min(j.set.Stall, j.set.Quiet) - early
		due := j.deadline(pause.from, j.set.Stall+slack+look)
		if due.After(pause.to) || j.touched(pause.from, due) || !j.alone(r, pause.from, due) || !j.openAt(pause.from.Add(slack)) {
			continue
		}
		// Between two files nothing shows that it isn't done: that is an end, then.
		if !j.said(r.byteBefore(pause.from).Add(waits), due, func(l line) bool { return l.event.Kind == tracker.Stalled || final(l.event.Kind) }) {
			j.blame(due, "no-stalled", "%s brings nothing since %s", r.name(), j.life.world.clock(pause.from))
		}
	}
}

// alone: no other client is there in a time.
func (j *judge) alone(r *record, from, to time.Time) bool {
	return !slices.ContainsFunc(j.repo.truth.records, func(o *record) bool {
		return o != r && o.beganAt.Before(to) && (o.goneAt.IsZero() || o.goneAt.After(from))
	})
}

// pauses are the times in which the client brought nothing though it had a
// partial: it was stopped, or the hub stood still.
func (r *record) pauses() []span {
	var all []span
	if r.stoppedAt.After(r.visible()) && r.stoppedAt.Before(r.doneAt) {
		all = append(all, span{r.stoppedAt, r.proceededAt})
	}
	return all
}

// longest is how long any verdict may take.
func (j *judge) longest() time.Duration {
	return max(j.set.Stall, j.set.Interrupt, j.set.Quiet) + j.notice() + slack
}

// A claim is which verdicts are right, and how long the last of them may take.
type claim struct {
	kinds   []tracker.Kind
	wait    time.Duration
	silence bool // is right as well
	why     string
}

// settle checks that the right verdict has come in a rest.
func (j *judge) settle(r rest) {
	if len(r.deeds) > 0 {
		j.settleDeeds(r)
		return
	}
	brought := slices.ContainsFunc(r.records, func(rec *record) bool { return !rec.copies && rec.bytes > 0 && !rec.hidden() })
	if r.last.copies || !brought || j.told(r) {
		return // what is owed of a copy, the contract doesn't say
	}
	if r.disk.gone { // it was covered when it was looked at
		r.disk = j.diskAfter(r.from)
	}
	c := j.claim(r)
	// Until a proof is settled takes a moment, in which that may fall due.
	c = j.widened(c, r)
	due := j.deadline(r.over(), c.wait+j.notice()+slack)
	if slices.Contains(c.kinds, tracker.Interrupted) { // while its program lives, that isn't gone
		due = later(due, j.deadline(r.gone(), j.set.Interrupt+j.notice()+slack))
	}
	if due.After(r.to) {
		return // another one came before it was due
	}
	var found *line
	for i, l := range j.lines {
		if !l.at.Before(r.begun.Add(-early)) && l.at.Before(due) && (final(l.event.Kind) || l.event.Kind == tracker.Interrupted) {
			found = &j.lines[i]
		} else if l.event.Kind == tracker.Moving && l.at.Before(due) {
			found = nil // what was interrupted goes on
		}
	}
	names := strings.Trim(fmt.Sprint(c.kinds), "[]")
	switch {
	case found == nil && c.silence:
	case found == nil:
		j.blame(due, "no-"+string(c.kinds[0]), "%s is due since %s (%s)", names, j.life.world.clock(due), c.why)
	case !slices.Contains(c.kinds, found.event.Kind):
		j.blame(found.at, "wrong-verdict", "%q, expected %s (%s)", found.text, names, c.why)
	}
}

// told: the end of it was told before the last of its clients came, who has brought
// nothing, and so earns no other.
func (j *judge) told(r rest) bool {
	return r.newest.bytes == 0 && j.said(r.last.doneAt, r.newest.beganAt, func(l line) bool { return final(l.event.Kind) })
}

// Of more files than are kept by name no end is told before all were counted anew: 15 s
// after the last change, at the look that comes next.
const (
	kept      = 256
	recounted = 21 * time.Second
)

// widened adds to a claim what is right as well for what others have done.
func (j *judge) widened(c claim, r rest) claim {
	for _, l := range j.lines { // what others have left in the root meanwhile may be of this one
		if l.at.After(r.from) && l.disk.strays > 0 && final(l.event.Kind) {
			c.kinds, c.wait = append(c.kinds, tracker.Ended), max(c.wait, j.set.Stall, j.set.Quiet)
		}
	}
	if r.failed || j.set.Interrupt < early {
		c.kinds = append(c.kinds, tracker.Interrupted)
	}
	if j.undone(r.last, r.disk, r.from) {
		c.kinds, c.wait = append(c.kinds, tracker.Interrupted), max(c.wait, j.set.Stall, j.set.Interrupt)
	}
	if j.besides(r) {
		c.kinds = append(c.kinds, tracker.Completed, tracker.Ended)
	}
	return c
}

// diskAfter is what was there when a line was said first after some time, or else
// last before it.
func (j *judge) diskAfter(at time.Time) disk {
	last := disk{gone: true}
	for _, l := range j.lines {
		if l.disk.gone {
			continue
		}
		if last = l.disk; l.at.After(at) {
			break
		}
	}
	return last
}

// undone: a client at another revision, without a listing, left its work undone:
// nothing tells that its files aren't wanted any more (docs/reliability.md).
func (j *judge) undone(last *record, d disk, at time.Time) bool {
	return slices.ContainsFunc(j.repo.truth.records, func(o *record) bool {
		return o.rev != last.rev && o.outcome != nil && o.bytes > 0 && o.beganAt.Before(at) && !d.listings[o.rev.commit]
	})
}

// besides: another client has brought all that it wanted. Files of both are one
// download, and one line tells of both; what the other left undone is told as
// far as it shows.
func (j *judge) besides(r rest) bool {
	return slices.ContainsFunc(r.records, func(o *record) bool {
		listed := r.disk.listings[o.rev.commit] && len(r.disk.missing(o.rev, all)) == 0
		done := o.outcome == nil && len(r.disk.missing(o.rev, o.plan.wants)) == 0
		return o != r.last && o.rev != r.last.rev && (listed || done)
	})
}

// waits are how long an end by quiet, and an interruption, may take.
func (j *judge) waits(r rest) (quiet, patience time.Duration) {
	seen, rec := j.seen(r), r.last
	patience = j.set.Interrupt
	if !seen || slices.ContainsFunc(r.records, func(r *record) bool { return !r.locks() }) {
		patience = max(j.set.Stall, j.set.Interrupt)
	}
	quiet = j.set.Quiet
	if len(rec.rev.files) > kept { // they are counted anew first
		quiet = max(quiet, recounted)
	}
	if r.living() || !seen || !rec.locks() {
		quiet = max(j.set.Stall, j.set.Quiet)
	}
	return quiet, patience
}

// claim says what the truth calls for.
//
//nolint:gocognit // a list of cases, each a line or two: apart they would say less
func (j *judge) claim(r rest) claim {
	rec, d := r.last, r.disk
	listed := d.listings[rec.rev.commit]
	whole := len(d.missing(rec.rev, all)) == 0
	wanted := len(d.missing(rec.rev, rec.plan.wants)) == 0
	seen := j.seen(r)
	quiet, patience := j.waits(r)
	switch {
	case listed && whole:
		c := claim{kinds: []tracker.Kind{tracker.Completed}, why: "all of the listing is there"}
		if r.newest.bytes == 0 { // a listing is looked for each 5 s where nothing comes
			c.wait = 5 * time.Second
		}
		if d.unnoted > 0 { // its client was killed before it said so
			c.kinds, c.wait = append(c.kinds, tracker.Ended, tracker.Interrupted), max(quiet, patience)
		}
		if rec.plan.Force { // what it has left beside it may grow yet
			c.wait = 30 * time.Second
		}
		return c
	case listed && wanted && rec.plan.By == command && rec.plan.partly():
		c := claim{kinds: []tracker.Kind{tracker.Completed}, wait: quiet, why: "all that was asked for is there"}
		if !seen || !rec.locks() || len(r.records) > 1 { // what it wanted isn't known, or what another one did
			c.kinds, c.wait, c.silence = append(c.kinds, tracker.Ended, tracker.Interrupted), max(quiet, patience), !seen
		}
		return c
	case rec.outcome == nil && !wanted: // it took for whole what an attempt before had left half done
		c := claim{kinds: []tracker.Kind{tracker.Ended, tracker.Interrupted}, wait: max(quiet, patience), why: fmt.Sprintf("not whole, and its client doesn't know: %q", d.missing(rec.rev, rec.plan.wants))}
		copied := slices.ContainsFunc(r.records, func(r *record) bool { return r.copies })
		if !listed && (!seen || copied) { // nor can anybody
			c.kinds = append(c.kinds, tracker.Completed)
		}
		return c
	case listed && rec.outcome == nil:
		c := claim{kinds: []tracker.Kind{tracker.Ended}, wait: quiet, why: "part of the listing is there, and nobody says what was wanted"}
		if d.loose(j.repo) > 0 || len(r.records) > 1 || rec.plan.By == serving {
			c.kinds, c.wait = append(c.kinds, tracker.Interrupted, tracker.Completed), max(quiet, patience)
		}
		return c
	case rec.outcome == nil:
		return j.unlisted(r, quiet, patience)
	}
	c := claim{kinds: []tracker.Kind{tracker.Interrupted}, wait: patience, why: "its work was left undone", silence: !seen}
	if d.loose(j.repo) == 0 || !seen {
		c.kinds = append(c.kinds, tracker.Ended)
		c.wait = max(quiet, patience)
	}
	if !listed && j.tidy(rec, d, r.from) || !seen && j.anyWhole(d) {
		c.kinds = append(c.kinds, tracker.Completed)
		c.wait = max(quiet, patience)
	}
	return c
}

// anyWhole: all files of some revision are there.
func (j *judge) anyWhole(d disk) bool {
	return slices.ContainsFunc(j.repo.revisions, func(r *revision) bool { return len(d.missing(r, all)) == 0 })
}

// unlisted is the claim where the client says that it has all, and no listing
// does.
func (j *judge) unlisted(r rest, quiet, patience time.Duration) claim {
	d := r.disk
	var paths []string
	for path := range d.links[r.last.rev.commit] {
		paths = append(paths, path)
	}
	paths = append(paths, d.placed(r.last.rev)...)
	whole := j.substantial(paths)
	switch {
	case d.loose(j.repo) > 0 || d.strays > 0 || d.unlinked() > 0 || r.cut(): // of an attempt before, which may be wanted yet
		return claim{kinds: []tracker.Kind{tracker.Completed, tracker.Ended, tracker.Interrupted}, wait: max(quiet, patience), why: "no listing, and something unfinished lies beside"}
	case hfcache.ShardGap(paths):
		return claim{kinds: []tracker.Kind{tracker.Ended}, wait: max(quiet, patience), why: "shards are missing"}
	case !whole && r.last.plan.By == command && r.last.plan.partly():
		// One single file that was asked for by name is whole by its kind; several may be called so.
		return claim{kinds: []tracker.Kind{tracker.Completed, tracker.Ended}, wait: max(quiet, patience), why: "what was asked for is there"}
	case !whole:
		return claim{kinds: []tracker.Kind{tracker.Ended}, wait: max(quiet, patience), why: "a configuration or a card alone"}
	case j.repo.repo.Type != hfcache.Model || !r.last.locks():
		quiet = max(quiet, patience) // whether it is whole, or somebody lives, can't be known
	case r.living() && j.wholeByKind(paths):
		quiet = j.set.Quiet
	}
	c := claim{kinds: []tracker.Kind{tracker.Completed}, wait: quiet, why: "nothing speaks against it, and no listing is there"}
	told := slices.ContainsFunc(r.records, func(rec *record) bool { return rec.plan.By == command && rec.locks() })
	if j.repo.local != "" && !told && hfcache.Weightless(paths) {
		c.kinds = append(c.kinds, tracker.Ended) // what kind it is nothing tells
	}
	if r.last.habit.Stage == hfcache.Outside && j.life.story.Disk == smallDisk {
		c.kinds, c.wait = append(c.kinds, tracker.Interrupted), max(quiet, patience) // a full disk may have cut the copy
	}
	if len(r.records) > 1 {
		c.kinds = append(c.kinds, tracker.Ended) // an attempt of before may have failed unseen to be made good
	}
	return c
}

// seen: the daemon watched those who worked long enough to know who they were.
func (j *judge) seen(r rest) bool {
	for _, rec := range r.records {
		from := rec.visible().Add(j.notice())
		if rec.bytes == 0 && !rec.halves() {
			continue
		}
		if rec.doneAt.Sub(from) < early || j.seldomHeld(rec, time.Now()) || j.blindIn(rec.visible(), rec.doneAt.Add(look)) {
			return false
		}
	}
	return true
}

// halves: it was killed, and copies files under their own names: even of none of them is
// a byte there that tells of it.
func (r *record) halves() bool {
	return r.habit.Stage == hfcache.Outside && errors.Is(r.outcome, errKilled) && !r.visibleAt.IsZero()
}

// elsewhere: what was removed while nobody looked may lie in another directory,
// as far as is known, where none says when it was made.
func (j *judge) elsewhere(at time.Time) bool {
	return j.life.traits().NoBirth && j.blindIn(at.Add(-look), at.Add(look))
}

// settleDeeds: what an operator did decides.
func (j *judge) settleDeeds(r rest) {
	last := r.deeds[len(r.deeds)-1]
	due := j.deadline(r.from, j.notice()+slack)
	again := slices.ContainsFunc(j.repo.truth.records, func(rec *record) bool { return rec.doneAt.After(last.at) && rec.beganAt.Before(due) })
	if last.what != "it is removed" || due.After(r.to) || again || j.elsewhere(last.at) {
		return
	}
	if j.openAt(due) {
		j.blame(due, "no-removed", "the repository was removed at %s, and its download is open", j.life.world.clock(last.at))
	}
}
