package tracker

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/sizer"
)

// A desk is a tracker to which runs are reported, without its loop.
type desk struct {
	t    *testing.T
	tr   *Tracker
	now  time.Time
	told []string
	eps  map[string]Episode
	over int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), eps: map[string]Episode{}}
	d.open()
	return d
}

// open begins a new life of the tracker, with what the one before has noted.
func (d *desk) open() {
	d.tr = New(defaults, d, Hooks{RunOver: func(string, hfcache.Repo) { d.over++ }}, slog.New(slog.DiscardHandler))
	var open []Episode
	for _, ep := range d.eps {
		open = append(open, ep)
	}
	d.tr.Restore(open, d.now)
}

func (d *desk) Commit(ep *Episode, events []Event) {
	if ep != nil {
		d.eps[ep.ID] = *ep
	}
	for _, e := range events {
		d.told = append(d.told, string(e.Kind))
	}
}

func (d *desk) report(kind ReportKind, change ...func(*Report)) {
	d.now = d.now.Add(time.Millisecond)
	r := Report{Root: "/hub", Repo: model, At: d.now, Kind: kind, Process: hf, Only: true}
	for _, c := range change {
		c(&r)
	}
	d.tr.report(r)
}

func again(r *Report) { r.Again = true }

func ends(status int) func(*Report) { return func(r *Report) { r.Exit.Status = status } }

func (d *desk) look(change ...func(*sizer.Look)) {
	d.now = d.now.Add(10 * time.Millisecond)
	l := sizer.Look{Root: "/hub", Repo: model, At: d.now}
	for _, c := range change {
		c(&l)
	}
	d.tr.observe(l)
}

func (d *desk) pass(by time.Duration) {
	for end := d.now.Add(by); d.now.Before(end); {
		d.now = d.now.Add(time.Second)
		d.tr.tick(d.now)
	}
}

func (d *desk) want(told string) {
	d.t.Helper()
	if !slices.Equal(d.told, strings.Fields(told)) {
		d.t.Errorf("told %v, want %s", d.told, told)
	}
}

func gated(r *Report) { r.Words = Words{Level: Error, Cause: "gated", Remedy: "do this"} }

func TestRunsOfOneDownload(t *testing.T) {
	tests := []struct {
		name string
		play func(d *desk)
		want string
		over int
	}{
		{"each that fails before the first byte is told from its beginning", func(d *desk) {
			for range 2 {
				d.report(RunBegan)
				d.report(RunSaid, gated)
				d.report(RunEnded, ends(1))
				d.look(gone)
			}
		}, "preparing failed preparing failed", 2},
		{"a second one at the same time leaves the first alone", func(d *desk) {
			d.report(RunBegan)
			d.report(RunBegan, func(r *Report) { r.Process.PID = 99 })
			d.report(RunSaid, gated)
			d.report(RunEnded, ends(1))
			d.look(gone)
		}, "preparing failed", 1},
		{"one whose reporter was lost and comes back goes on", func(d *desk) {
			d.report(RunBegan)
			d.report(RunLost)
			d.look(gone)
			d.pass(10 * time.Second)
			d.report(RunBegan, again)
			d.report(RunEnded, ends(1))
			d.look(gone)
		}, "preparing failed", 1},
		{"also over a restart", func(d *desk) {
			d.report(RunBegan)
			d.open()
			d.look(gone)
			d.report(RunBegan, again)
			d.look(plays, bytes(10*mb))
			d.report(RunEnded)
			d.look(plays, bytes(10*mb), whole)
		}, "preparing started completed", 1},
		{"what was told before a restart is not told by its end", func(d *desk) {
			d.report(RunBegan)
			d.report(RunSaid, gated)
			d.open()
			d.report(RunBegan, again)
			d.report(RunEnded, ends(1))
			d.look(gone)
		}, "preparing failed", 1},
		{"one that is lost for good leaves nothing behind", func(d *desk) {
			d.report(RunBegan)
			d.report(RunLost)
			d.pass(time.Hour)
			if len(d.tr.open) > 0 || d.tr.ticking() {
				d.t.Error("it is still open")
			}
		}, "preparing", 0},
		{"another one, when the first is lost, is told from its beginning", func(d *desk) {
			d.report(RunBegan)
			d.report(RunLost)
			d.report(RunBegan)
			d.report(RunEnded, ends(1))
			d.look(gone)
		}, "preparing preparing failed", 1},
		{"one that comes back when the looks have told its end is over", func(d *desk) {
			d.report(RunBegan)
			d.look(plays, bytes(10*mb))
			d.report(RunLost)
			d.look(plays, bytes(20*mb), whole)
			d.report(RunBegan, again)
			d.report(RunEnded)
		}, "preparing started completed", 1},
		{"a model that was fetched a moment ago is cached", func(d *desk) {
			d.look(plays, bytes(10*mb))
			d.look(plays, bytes(20*mb), whole)
			d.report(RunBegan)
			d.look(plays, bytes(20*mb), func(l *sizer.Look) { l.Arrived = 0 })
			d.report(RunEnded, func(r *Report) { r.Rest = &sizer.Look{FilesDone: 1, Proof: sizer.ProvenByListing} })
			d.look(plays, bytes(20*mb), func(l *sizer.Look) { l.Arrived = 0 })
			d.look(plays, bytes(20*mb), whole, func(l *sizer.Look) { l.Arrived = 0 })
		}, "preparing started completed preparing completed", 1},
		{"what fails once more is told once more", func(d *desk) {
			d.report(RunBegan)
			d.look(plays, bytes(10*mb))
			d.report(RunEnded, ends(1))
			d.look(plays, bytes(10*mb), func(l *sizer.Look) { l.Arrived = 0 })
			d.report(RunBegan)
			d.report(RunEnded, ends(1))
			d.look(plays, bytes(10*mb), func(l *sizer.Look) { l.Arrived = 0 })
		}, "preparing started failed failed", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			tt.play(d)
			d.want(tt.want)
			if d.over != tt.over {
				t.Errorf("%d times over, want %d", d.over, tt.over)
			}
			for id, ep := range d.eps {
				if ep.Play == "" && !ep.Over() && d.tr.open[hfcache.Place{Root: "/hub", Repo: model}] == nil {
					t.Errorf("episode %s is left open", id)
				}
			}
		})
	}
}
