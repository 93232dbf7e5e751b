package tracker

import (
	"progressd/hfcache"
)

// report takes in what is told of a run.
func (t *Tracker) report(r Report) {
	k := hfcache.Place{Root: r.Root, Repo: r.Repo}
	e := t.open[k]
	defer t.attendOpen(k)
	switch r.Kind {
	case RunBegan:
		if t.runs[k] == nil { // else that one is told to its end
			t.beginRun(k, r)
		}
	case RunSaid:
		if e != nil && e.run != nil {
			t.note(e, e.tell(e.said(r)))
		}
	case RunEnded:
		if e != nil && e.run != nil {
			e.run.exit, e.run.exitAt, e.run.rest = &r.Exit, r.At, r.Rest
			return // until it can be weighed
		}
		t.endRun(k)
	case RunLost:
		delete(t.runs, k)
		if e != nil {
			e.run, e.lost = nil, r.At
		}
	}
}

// beginRun attaches a run to its download, beginning one where none is open.
func (t *Tracker) beginRun(k hfcache.Place, r Report) {
	e := t.open[k]
	if e != nil && e.unplayed() && !r.Again {
		t.discard(k, e)
		e = nil
	}
	run := &run{process: r.Process, only: r.Only, told: map[string]bool{}}
	t.runs[k] = run
	switch {
	case e != nil:
		e.run = run
		if r.Again && e.ep.Phase == PhaseFailed {
			run.failed = r.At
		}
	case r.Again: // its download was told to its end meanwhile
	default:
		e = &entry{download: newRun(t.set, r)}
		e.run = run
		t.open[k] = e
		t.note(e, []Event{e.event(Preparing)})
	}
}

// endRun forgets a run of which all is said.
func (t *Tracker) endRun(k hfcache.Place) {
	delete(t.runs, k)
	if e := t.open[k]; e != nil {
		e.run = nil
		if e.unplayed() && !e.ep.Over() { // what there was to say is said
			t.discard(k, e)
		}
	}
	if t.hooks.RunOver != nil {
		t.hooks.RunOver(k.Root, k.Repo)
	}
}

// settleRun forgets the run of a download once its end was weighed.
func (t *Tracker) settleRun(k hfcache.Place, e *entry) {
	if e.run != nil && (e.run.judged || e.ep.Over() && e.run.exit != nil) {
		t.endRun(k)
	}
}
