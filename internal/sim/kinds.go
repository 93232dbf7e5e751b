package sim

import (
	"slices"
	"strings"
	"time"

	"progressd/hfcache"
)

// kind is what was special when a rule was broken: what is found is told by
// rule and kind, so that one cause isn't taken for many.
func (j *judge) kind(at time.Time) string {
	var special []string
	add := func(when bool, name string) {
		if when {
			special = append(special, name)
		}
	}
	records := func(is func(*record) bool) bool {
		return slices.ContainsFunc(j.repo.truth.records, func(r *record) bool { return !r.beganAt.After(at) && is(r) })
	}
	deeds := func(prefix string) bool {
		return slices.ContainsFunc(j.repo.truth.deeds, func(d deed) bool { return !d.at.After(at) && strings.HasPrefix(d.what, prefix) })
	}
	add(j.life.story.Disk == rclone, "rclone")
	add(slices.ContainsFunc(j.life.story.Ills, func(i ill) bool {
		return i.Kind == unmounted && !j.life.world.began.Add(i.At).After(at)
	}), "unmounted")
	add(slices.ContainsFunc(j.life.story.Ills, func(i ill) bool {
		return (i.Kind == setAhead || i.Kind == setBack) && !j.life.world.began.Add(i.At).After(at)
	}), "clock set")
	add(records(func(r *record) bool { return r.habit.Stage == hfcache.InRoot && r.habit.Lock == hfcache.LockBeside }), "hub <= 0.18")
	add(records(func(r *record) bool { return r.habit.Stage == hfcache.InRoot && r.habit.Lock != hfcache.LockBeside }), "staged in the root")
	add(j.repo.truth.sizes && records(func(r *record) bool { return r.habit.Fill == hfcache.Scattered }), "pieces by size alone")
	add(j.begunAnew(at), "pieces begun anew")
	add(records(func(r *record) bool { return r.copies }), "copied in")
	add(deeds("hf cache prune"), "pruned")
	add(deeds("mv "), "renamed")
	add(deeds("chmod"), "locked up")
	add(records(func(r *record) bool { return r.plan.Force }), "forced")
	add(deeds("write-back"), "late blocks")
	add(records(func(r *record) bool { return !r.failedAt.IsZero() && r.working(at.Add(-look)) }), "a thread has failed")
	add(records(func(r *record) bool {
		h := r.plan.Hub
		return h.Wait > 0 && r.waiting && !r.waitedAt.After(at) && at.Before(r.waitedAt.Add(h.Wait+look))
	}), "hub waits")
	stages := func(in hfcache.Stage) bool {
		return records(func(r *record) bool { return r.habit.Stage == in && !r.copies })
	}
	add(stages(hfcache.InBlobs) && (stages(hfcache.InRoot) || stages(hfcache.InRootTmp)), "two ways to write")
	d := j.diskAt(at)
	add(d.unlinked() > 0, "unlinked blobs")
	add(d.strays > 0, "strays in the root")
	var linked []string
	for _, links := range d.links {
		for p := range links {
			linked = append(linked, p)
		}
	}
	for p := range d.places { // whatever revision they are of
		linked = append(linked, p)
	}
	add(len(linked) > 0 && !j.substantial(linked), "no weights")
	add(j.life.story.Disk == linkless, "no symlinks")
	add(j.repo.local != "", "local")
	add(j.overlap(at), "two revisions")
	return strings.Join(special, ", ")
}

// begunAnew reports whether more than one client has written pieces all over a file.
func (j *judge) begunAnew(at time.Time) bool {
	scattered := 0
	for _, r := range j.repo.truth.records {
		if !r.beganAt.After(at) && r.habit.Fill == hfcache.Scattered {
			scattered++
		}
	}
	return scattered > 1
}

// overlap reports whether clients of two revisions worked at the same time.
func (j *judge) overlap(at time.Time) bool {
	all := j.repo.truth.records
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.rev != b.rev && b.beganAt.Before(at) && (a.doneAt.IsZero() || b.beganAt.Before(a.doneAt)) {
				return true
			}
		}
	}
	return false
}

// diskAt is what was there at some time, as far as it was looked at.
func (j *judge) diskAt(at time.Time) disk {
	d := disk{}
	var newest time.Time
	for _, l := range j.lines {
		if !l.at.After(at) && l.at.After(newest) {
			d, newest = l.disk, l.at
		}
	}
	for _, r := range j.repo.truth.records {
		if !r.doneAt.IsZero() && !r.doneAt.After(at) && r.doneAt.After(newest) {
			d, newest = r.disk, r.doneAt
		}
	}
	return d
}
