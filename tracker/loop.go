package tracker

import (
	"context"
	"time"

	"progressd/hfcache"
	"progressd/sizer"
)

// Run judges looks as they come until ctx is done or looks is closed; then
// every record is noted once more. roots tells of roots that were found, went
// and came back; it may be nil. Looks of one repository come in order.
func (t *Tracker) Run(ctx context.Context, looks <-chan sizer.Look, roots <-chan RootChange) error {
	beats := newBeats()
	defer beats.stop()
	var pulse <-chan time.Time
	if t.hooks.Alive != nil && t.hooks.AliveEvery > 0 {
		alive := time.NewTicker(t.hooks.AliveEvery)
		defer alive.Stop()
		pulse = alive.C
	}
	t.publish(time.Now())
	for k, e := range t.open {
		t.attend(k, e)
	}
	for {
		beats.want(t.ticking())
		select {
		case <-ctx.Done():
			t.flush()
			return nil
		case look, ok := <-looks:
			if !ok {
				t.flush()
				return nil
			}
			t.Take(ctx, Input{Look: &look})
			if beats.near(look.At) {
				t.Take(ctx, Input{Tick: look.At})
			}
			t.publish(look.At)
		case change := <-roots:
			t.Take(ctx, Input{Root: &change})
		case report := <-t.hears:
			t.Take(ctx, Input{Report: &report})
			t.publish(report.At)
		case now := <-beats.due:
			beats.passed(now)
			t.Take(ctx, Input{Tick: now})
			t.publish(now)
		case <-pulse:
			t.hooks.Alive()
		}
	}
}

// Take judges one input. It is for whoever has kept them; else Run does it.
func (t *Tracker) Take(ctx context.Context, in Input) {
	if t.hooks.Given != nil {
		t.hooks.Given(in)
	}
	switch {
	case in.Look != nil:
		t.observe(*in.Look)
		t.trace(ctx, *in.Look)
	case in.Root != nil:
		t.root(*in.Root)
	case in.Report != nil:
		t.report(*in.Report)
	default:
		t.tick(in.Tick)
	}
}

// observe gives a look to its download, beginning one if it is due.
func (t *Tracker) observe(look sizer.Look) {
	k := hfcache.Place{Root: look.Root, Repo: look.Repo}
	t.leftovers(k, look)
	here := !look.Gone && look.Unreadable == nil
	if t.open[k] == nil && here {
		t.takeBack(k)
	}
	e := t.open[k]
	if e == nil {
		if e = t.begin(k, look); e == nil {
			if look.InPlay {
				t.order(Attention{Root: k.Root, Repo: k.Repo, Seen: look.At})
			}
			return
		}
	}
	e.judged = look.At
	if here {
		t.sighted(k, e)
	} else if look.Gone && !e.unplayed() && !t.deleted(k, e) {
		t.setAside(k, e)
		return
	}
	if e.unplayed() {
		look = t.sinceClosed(k, look)
	}
	t.note(e, e.observe(look))
	t.settleRun(k, e)
	if !e.ep.Over() {
		t.weigh(e)
		t.attend(k, e)
		return
	}
	if look.Gone {
		t.vanish(k, e)
	} else {
		t.close(k, e)
	}
	t.log.Debug("download over", "root", k.Root, "repo", k.Repo.ID, "episode", e.ep.ID)
}

// tick lets time pass for every download whose root is there.
func (t *Tracker) tick(now time.Time) {
	for k, e := range t.open {
		if t.homes.away[k.Root] {
			continue
		}
		t.note(e, e.tick(now))
		t.settleRun(k, e)
		if e.deserted(now) {
			t.discard(k, e)
		}
		if t.open[k] != e {
			continue // buried
		}
		if e.ep.Over() {
			t.close(k, e)
			continue
		}
		t.attend(k, e)
	}
}

// ticking reports whether the passing of time alone can matter.
func (t *Tracker) ticking() bool {
	if t.status.pending {
		return true
	}
	for k, e := range t.open {
		if (e.active() || e.run != nil && e.run.exit != nil) && !t.homes.away[k.Root] || e.waits() {
			return true
		}
	}
	return false
}
