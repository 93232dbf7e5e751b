package sim

import (
	"slices"
	"strings"
	"time"

	"progressd/hfcache"
	"progressd/tracker"
)

// verdicts checks what is said of ends and standstills.
func (j *judge) verdicts(ep *episode, l line) {
	switch l.event.Kind {
	case tracker.Completed:
		j.completed(l)
	case tracker.Interrupted:
		if ep.halted == tracker.Interrupted {
			j.blame(l.at, "twice", "%q, which was told", l.text)
		}
		j.interrupted(ep, l)
		ep.halted = tracker.Interrupted
	case tracker.Ended:
		j.ended(l)
	case tracker.Stalled:
		if ep.halted == tracker.Stalled {
			j.blame(l.at, "twice", "%q, which was told", l.text)
		}
		j.stalled(l)
		ep.halted = tracker.Stalled
	case tracker.Moving:
		if ep.halted == "" {
			j.blame(l.at, "moving", "%q, and nothing stood still", l.text)
		}
		ep.halted = ""
	case tracker.Restarted:
		if l.event.Cause != tracker.CauseRemoved { // whose partials were removed stands still
			ep.halted = ""
		}
	case tracker.Removed:
		j.removed(l)
	case tracker.Keepalive:
		j.keepalive(l)
	default: // no verdict
	}
}

// completed: all that some client wanted is there and linked. Without a
// listing it is true as well that nothing speaks against it: what a client
// wanted that was killed between two files, nobody can know.
func (j *judge) completed(l line) {
	if l.event.Proof == tracker.ProvenByQuiet {
		j.hasty(l)
	}
	for _, r := range j.repo.truth.records {
		if r.beganAt.After(l.at) {
			continue
		}
		if len(l.disk.missing(r.rev, r.plan.wants)) == 0 || len(l.disk.missing(r.rev, all)) == 0 {
			return
		}
	}
	r := j.last(l.at)
	if r != nil && (j.tidy(r, l.disk, l.at) || j.movedUnseen(r)) {
		return
	}
	if r == nil {
		j.blame(l.at, "false-completed", "%q, and nobody had downloaded anything", l.text)
		return
	}
	j.blame(l.at, "false-completed", "%q, and %s lacks %d files", l.text, r.name(), len(l.disk.missing(r.rev, r.plan.wants)))
}

// movedUnseen: what a client had brought was moved away before anything was said of it,
// and it went on, and finished, where that had been. Nothing tells of the first part.
func (j *judge) movedUnseen(r *record) bool {
	return r.outcome == nil && slices.ContainsFunc(j.repo.truth.deeds, func(d deed) bool {
		during := d.at.After(r.beganAt) && d.at.Before(r.doneAt)
		return strings.HasPrefix(d.what, "mv ") && during && !j.said(r.beganAt, d.at, all2)
	})
}

// tidy: nothing that lies there speaks against completion, and there is no
// listing of what the newest attempt was at. A client that is at work speaks against it,
// unless it has been silent for as long as the contract waits for it (3c).
func (j *judge) tidy(r *record, d disk, at time.Time) bool {
	if d.listings[r.rev.commit] || d.loose(j.repo) > 0 || d.unlinked() > 0 || d.open > 0 && j.stages() {
		return false // of what is in the root nothing tells that it isn't this one's
	}
	var linked []string
	for p := range d.links[r.rev.commit] {
		linked = append(linked, p)
	}
	linked = append(linked, d.placed(r.rev)...)
	for _, other := range j.repo.truth.records {
		waits := other.working(at) && j.known(other, at) && other.visible().Before(at.Add(-look)) && at.Sub(other.sign(at)) < j.set.Stall-look
		if waits && !j.wholeByKind(linked) {
			return false
		}
	}
	return len(linked) > 0 && !hfcache.ShardGap(linked) && j.substantial(linked)
}

// stages: some client of the repository writes into the root.
func (j *judge) stages() bool {
	return slices.ContainsFunc(j.repo.truth.records, func(r *record) bool {
		return r.habit.Stage == hfcache.InRoot || r.habit.Stage == hfcache.InRootTmp
	})
}

// wholeByKind: a model's weights, numbered and all there or unnumbered at the
// top, beside its configuration. What else its client may be about to fetch
// nobody can know.
func (j *judge) wholeByKind(paths []string) bool {
	weights := func(p string) bool {
		_, numbered := hfcache.ShardGroup(p)
		return hfcache.WeightFormat(p) != "" && (numbered || !strings.Contains(p, "/"))
	}
	return j.repo.repo.Type == hfcache.Model && slices.Contains(paths, "config.json") &&
		!hfcache.ShardGap(paths) && slices.ContainsFunc(paths, weights)
}

// substantial: a configuration alone is no model, a card alone no dataset.
func (j *judge) substantial(paths []string) bool {
	if j.repo.repo.Type == hfcache.Model {
		return !hfcache.Weightless(paths)
	}
	return slices.ContainsFunc(paths, func(p string) bool {
		return !strings.HasPrefix(p, ".git") && !strings.HasSuffix(p, ".md")
	})
}

// hasty: what only quiet proves comes after quiet_after.
func (j *judge) hasty(l line) {
	for _, r := range j.repo.truth.records {
		if r.visible().After(l.at.Add(-j.notice())) || r.bytes == 0 || r.copies || !j.noticeable(r) {
			continue // it needn't be known yet, or there was nothing to see; of a copy the contract says nothing
		}
		if quiet := l.at.Sub(r.sign(l.at)); quiet < j.set.Quiet-early {
			j.blame(l.at, "hasty", "%q, and %s gave a sign %v ago", l.text, r.name(), quiet)
		}
	}
}

// sign is when a client last gave one that can be seen.
func (r *record) sign(at time.Time) time.Time {
	sign := r.visible()
	for _, t := range []time.Time{r.byteBefore(at), r.linkedAt} {
		if t.After(sign) && !t.After(at) {
			sign = t
		}
	}
	return sign
}

// early is by how much a verdict of waiting may come too soon: what it waits
// for is seen a look later at most, and a look earlier than it happens at
// least. After a restart the silence of before counts (docs/reliability.md).
const early = 2 * time.Second

// interrupted: nobody is at it, and wasn't for as long as the verdict waits.
func (j *judge) interrupted(ep *episode, l line) {
	for _, r := range j.repo.truth.records {
		if r.visible().After(l.at.Add(-early)) || r.beganAt.After(l.at) || r.habit.Stage == hfcache.InRootTmp || r.copies {
			continue // it needn't be known yet, or nothing tells whose its file is; what rsync writes to is nobody's
		}
		if !j.noticeable(r) || j.stuck(r, l.at) {
			continue
		}
		if !r.locks() {
			blind := j.blindIn(l.at.Add(-look), l.at)
			if last := r.byteBefore(l.at); r.working(l.at) && l.at.Sub(last) < j.set.Stall-early && !r.halted(last, l.at) && !blind {
				j.blame(l.at, "false-interrupted", "%q, and %s works", l.text, r.name())
			}
			continue
		}
		if r.working(l.at) && r.holdsOn(l.at) {
			j.blame(l.at, "false-interrupted", "%q, and %s works", l.text, r.name())
		} else if r.outcome != nil && r.goneAt.Sub(r.lockedAt) > look && !r.goneAt.IsZero() && !r.goneAt.After(l.at) && r.bytes > 0 && !r.goneAt.Before(ep.openedAt) && l.at.Sub(r.goneAt) < j.patience(r)-early {
			j.blame(l.at, "false-interrupted", "%q %v after the end of %s", l.text, l.at.Sub(r.goneAt), r.name())
		}
	}
	if r := j.last(l.at); r != nil && j.set.Interrupt >= early && !j.undone(r, l.disk, l.at) && !j.followed(r, l.at) && l.disk.unnoted == 0 && l.disk.listings[r.rev.commit] && len(l.disk.missing(r.rev, all)) == 0 {
		j.blame(l.at, "false-interrupted", "%q, and all is there", l.text)
	}
}

// followed: another client has made a partial of another revision since, and died of it.
func (j *judge) followed(r *record, at time.Time) bool {
	return slices.ContainsFunc(j.repo.truth.records, func(o *record) bool {
		return o.rev != r.rev && o.outcome != nil && o.visible().After(r.visible()) && o.visible().Before(at)
	})
}

// noticeable: the client was there long enough for a look to find it so. That one came
// and went between two polls tells nothing of when.
func (j *judge) noticeable(r *record) bool {
	return r.goneAt.IsZero() || r.goneAt.Sub(r.visible()) >= j.notice()
}

// stuck: one of the client's threads has failed, so it never brings all, and the others
// have brought nothing for as long as that is waited for.
func (j *judge) stuck(r *record, at time.Time) bool {
	return !r.failedAt.IsZero() && !r.failedAt.After(at) && r.working(at) && at.Sub(r.byteBefore(at)) >= j.set.Stall-early
}

// patience is how long interrupted has to wait at least after the end of a
// client: where the daemon may not have seen it, by silence alone.
func (j *judge) patience(r *record) time.Duration {
	followed := slices.ContainsFunc(j.repo.truth.records, func(o *record) bool { return !o.beganAt.Before(r.goneAt) && o.bytes > 0 })
	if followed || r.goneAt.Sub(r.lockedAt) < j.notice()+early || j.seldomHeld(r, r.goneAt) || j.blindIn(r.lockedAt, r.goneAt) {
		return min(j.set.Interrupt, j.set.Stall)
	}
	return j.set.Interrupt
}

// holdsOn: the client has shown itself long enough to be known.
func (r *record) holdsOn(at time.Time) bool {
	return !r.lockedAt.IsZero() && at.Sub(r.lockedAt) > early
}

func all(string) bool { return true }

// ended: nothing is under way, and it isn't the whole.
func (j *judge) ended(l line) {
	j.hasty(l)
	for _, r := range j.repo.truth.records {
		if !r.visible().Before(l.at.Add(-early)) || r.copies {
			continue
		}
		wait := j.set.Quiet
		if r.working(l.at) && j.known(r, l.at) { // else whether it lives can't be told
			wait = j.set.Stall
		}
		if quiet := l.at.Sub(r.sign(l.at)); quiet < wait-early && r.alive(l.at) {
			j.blame(l.at, "false-ended", "%q, and %s gave a sign %v ago", l.text, r.name(), quiet)
		}
	}
	// What a copy has put in the place of a client's file no note of the client vouches for.
	copied := slices.ContainsFunc(j.repo.truth.records, func(r *record) bool { return r.copies })
	if r := j.last(l.at); r != nil && !copied && !j.left(r, l.at) && l.disk.unnoted == 0 && l.disk.listings[r.rev.commit] && len(l.disk.missing(r.rev, all)) == 0 {
		j.blame(l.at, "false-ended", "%q, and all is there", l.text)
	}
}

// seldomHeld: all locks that the client has held until some time were held together for less
// time than lies between some looks and, if it lives, none for as long as it takes to notice
// it: it fetches small files, and may never have been seen with one.
func (j *judge) seldomHeld(r *record, at time.Time) bool {
	together, longest := r.held(at)
	return r.locks() && together < early && (!r.alive(at) || longest < j.notice())
}

// left: another client has failed at another revision, which isn't whole.
func (j *judge) left(r *record, at time.Time) bool {
	return slices.ContainsFunc(j.repo.truth.records, func(o *record) bool {
		return o.rev != r.rev && o.outcome != nil && o.beganAt.Before(at)
	})
}

// known: the client has held a lock for long enough to be looked at, since it first showed:
// who writes outside of the cache does so behind that only. Who held it can't be found out
// when it is given back.
func (j *judge) known(r *record, at time.Time) bool {
	return r.locks() && r.sign(at).Sub(later(r.lockedAt, r.visibleAt)) >= j.notice() && !j.seldomHeld(r, at) && !j.blindIn(r.lockedAt, r.sign(at))
}

// stalled: somebody is there, and no byte has come for stall_after.
func (j *judge) stalled(l line) {
	alive := false
	for _, r := range j.repo.truth.records {
		alive = alive || r.alive(l.at.Add(-early))
	}
	if !alive {
		j.blame(l.at, "false-stalled", "%q, and nobody is there", l.text)
	}
	// What came while nobody could look counts by what of it is found.
	last := j.lastByte(l.at)
	if since := l.at.Sub(last); since < j.set.Stall-early && !j.blindIn(last.Add(-look), last.Add(look)) {
		j.blame(l.at, "false-stalled", "%q, and the last byte came %v ago", l.text, since)
	}
}

// lastByte is when the last byte came before some time, but for copies: those of
// rsync aren't under a name that anybody knows.
func (j *judge) lastByte(at time.Time) time.Time {
	var last time.Time
	for _, r := range j.repo.truth.records {
		if r.copies {
			continue
		}
		if t := r.byteBefore(at); t.After(last) {
			last = t
		}
	}
	return last
}

// removed: the repository is gone, or was for a moment.
func (j *judge) removed(l line) {
	for _, d := range j.repo.truth.deeds {
		gone := strings.HasPrefix(d.what, "rm -rf") || strings.HasPrefix(d.what, "mv ")
		if gone && !d.at.After(l.at) {
			return
		}
	}
	j.blame(l.at, "false-removed", "%q, and it wasn't", l.text)
}

// keepalive: it speaks for a client that lives, or may.
func (j *judge) keepalive(l line) {
	if l.event.Reason != "" {
		return // it speaks for nobody: that nothing can be seen
	}
	grace := j.notice() + 10*time.Second
	for _, r := range j.repo.truth.records {
		if r.beganAt.After(l.at) {
			continue
		}
		patience := grace
		if !j.known(r, l.at) || r.habit.Stage != hfcache.InBlobs || r.goneAt.Sub(r.lockedAt) < j.notice()+early || j.seldomHeld(r, l.at) {
			patience = max(j.set.Stall, j.set.Quiet) + grace // its death can't be known
		}
		if r.alive(l.at) || l.at.Before(j.deadline(r.goneAt, patience)) || j.blindIn(r.beganAt, l.at) {
			j.silence(l)
			return
		}
	}
	j.blame(l.at, "keepalive", "%q, and nobody lives", l.text)
}

// silence checks how long no byte has come, as a line says it.
func (j *judge) silence(l line) {
	// What came since the last look nobody can know yet.
	said, last := l.event.Silence, j.lastByte(l.at.Add(-j.notice()))
	if said == 0 || last.IsZero() || j.blindIn(last.Add(-time.Minute), l.at) {
		return
	}
	if truly := l.at.Sub(last); said > truly+early {
		j.blame(l.at, "silence", "%q, and a byte came %v ago", l.text, truly.Round(time.Millisecond))
	}
}
