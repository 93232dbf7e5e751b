package sim

import (
	"errors"
	"slices"
	"time"

	"progressd/hfcache"
)

// A rest is a time in which nobody works on a repository, and what was done
// before it.
type rest struct {
	from, to time.Time
	begun    time.Time // the first of those who brought something
	last     *record   // that of them which was done last
	newest   *record   // that of all which was
	records  []*record
	disk     disk
	// failed: one has made a partial, and brought nothing.
	failed bool
	// deeds were done by an operator since the rest before.
	deeds []deed
}

// rests are the times of rest after some client brought something.
func (j *judge) rests() []rest {
	type work struct {
		from, to time.Time
		record   *record
		deed     *deed
	}
	var works []work
	for _, r := range j.repo.truth.records {
		works = append(works, work{r.beganAt, r.doneAt, r, nil})
	}
	for i := range j.repo.truth.deeds {
		d := &j.repo.truth.deeds[i]
		works = append(works, work{d.at, d.at, nil, d})
	}
	slices.SortStableFunc(works, func(a, b work) int { return a.from.Compare(b.from) })
	var all []rest
	var now rest
	for i, w := range works {
		if w.to.After(now.from) {
			now.from = w.to
		}
		if w.deed != nil {
			now.deeds = append(now.deeds, *w.deed)
		} else {
			now.add(w.record)
		}
		if i+1 < len(works) && !works[i+1].from.After(now.from) {
			continue
		}
		now.to = time.Now()
		if i+1 < len(works) {
			now.to = works[i+1].from
		}
		if now.last != nil {
			all = append(all, now)
		}
		if now.to.Sub(now.from) > j.longest() {
			now = rest{} // all that can be told of it is told
		}
	}
	return all
}

func (r *rest) add(rec *record) {
	if r.newest == nil || rec.doneAt.After(r.newest.doneAt) {
		changed := rec.bytes > 0 || !rec.linkedAt.IsZero() || r.last != nil && rec.rev == r.last.rev
		if r.newest == nil || changed && !rec.disk.gone { // else it was covered when it was looked at
			r.disk = rec.disk
		}
		r.newest = rec
	}
	r.records = append(r.records, rec)
	r.failed = r.failed || rec.bytes == 0 && rec.outcome != nil && !rec.visibleAt.IsZero()
	if rec.bytes == 0 && (r.last == nil || rec.linkedAt.IsZero()) {
		return // what brings nothing is silent
	}
	if r.last == nil {
		r.begun = rec.visible()
	}
	if r.last == nil || rec.doneAt.After(r.last.doneAt) {
		r.last = rec
	}
}

// hidden: all that the client has brought lies in the root, under names that tell
// nothing of whose it is.
func (r *record) hidden() bool {
	return r.habit.Stage == hfcache.InRootTmp && r.linkedAt.IsZero()
}

// over is when all is done, and every command has ended that says what it wants:
// until then it may be about to go on.
func (r *rest) over() time.Time {
	over := r.from
	for _, rec := range r.records {
		if rec.plan.By == command && rec.goneAt.After(over) {
			over = rec.goneAt
		}
	}
	return over
}

// gone is when the last of their programs has ended, as far as they have.
func (r *rest) gone() time.Time {
	gone := r.from
	for _, rec := range r.records {
		gone = later(gone, rec.goneAt)
	}
	return gone
}

// living: the program of one of them goes on when all is done.
func (r *rest) living() bool {
	return slices.ContainsFunc(r.records, func(rec *record) bool {
		return rec.goneAt.IsZero() || rec.goneAt.Sub(r.from) > 3*time.Second
	})
}

// cut: a client died that copies files under their own names. Nothing tells a
// whole one from half of one, if that was the last that it did.
func (r *rest) cut() bool {
	return slices.ContainsFunc(r.records, func(rec *record) bool {
		return rec.habit.Stage == hfcache.Outside && errors.Is(rec.outcome, errKilled)
	})
}
