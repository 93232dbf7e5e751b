package tracker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"progressd/sizer"
)

// TestRandomHistories plays random histories, with restarts at random points,
// and holds what was told against what must be true of any history.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set := defaults
		set.Step = rapid.SampledFrom([]int64{0, 10 * mb, 100 * mb}).Draw(rt, "step")
		p := play(rt, set)
		p.every = time.Duration(rapid.SampledFrom([]int{1, 5, 30}).Draw(rt, "every")) * time.Second
		o := &oracle{rt: rt, p: p}
		p.see(by(vllm))
		o.check()
		for range rapid.IntRange(1, 60).Draw(rt, "moves") {
			o.move()
			o.check()
			if p.d.ep.Over() {
				break
			}
		}
	})
}

// TestRestartsChangeNothing plays random histories twice, once with restarts
// at random points: the lines are the same, to the id.
func TestRestartsChangeNothing(t *testing.T) {
	type move struct {
		restart bool
		change  func(*sizer.Look)
		wait    time.Duration
	}
	rapid.Check(t, func(rt *rapid.T) {
		var moves []move
		for range rapid.IntRange(1, 40).Draw(rt, "moves") {
			by := rapid.Int64Range(1, 300*mb).Draw(rt, "bytes")
			lost := rapid.IntRange(0, 4).Draw(rt, "lost") == 0
			moves = append(moves, move{
				restart: rapid.Bool().Draw(rt, "restart"),
				change: func(l *sizer.Look) {
					if lost {
						l.Bytes /= 2
					}
					l.Bytes, l.Arrived = l.Bytes+by, by
				},
				wait: time.Duration(rapid.IntRange(0, 200).Draw(rt, "seconds")) * time.Second,
			})
		}
		tell := func(restarts bool) (lines []string) {
			p := play(rt, defaults)
			p.see(by(vllm))
			for _, m := range moves {
				if restarts && m.restart {
					p.restart(0)
					p.see(nil)
				}
				p.see(m.change)
				p.until(p.now.Sub(p.start) + m.wait)
			}
			p.see(func(l *sizer.Look) { l.Proof = sizer.ProvenByListing })
			for i, line := range p.told() {
				_, seq, _ := strings.Cut(p.events[i].ID, "-")
				lines = append(lines, seq+" "+line)
			}
			return lines
		}
		if plain, cut := tell(false), tell(true); !slices.Equal(plain, cut) {
			rt.Fatalf("told\n\t%s\nand with restarts\n\t%s", strings.Join(plain, "\n\t"), strings.Join(cut, "\n\t"))
		}
	})
}

// oracle knows what happened and checks each event against it.
type oracle struct {
	rt      *rapid.T
	p       *player
	checked int // events

	restarted, lastByte, goneSince, liveSince, lastLine time.Time
	announced                                           int64
	arrived                                             int64
	interrupted, stalled, over                          bool
	warned                                              map[Kind]bool
}

// move lets something happen, then lets time pass.
func (o *oracle) move() {
	p, rt := o.p, o.rt
	gone, locked := abandoned(p.look), p.look.Locked
	switch rapid.IntRange(0, 11).Draw(rt, "what") {
	case 0, 1, 2, 3:
		grown := rapid.Int64Range(1, 300*mb).Draw(rt, "grown")
		o.arrived += grown
		p.see(also(bytes(p.look.Bytes+grown), func(l *sizer.Look) {
			l.InFlight = []sizer.InFlight{{Etag: "1", Name: "a", Bytes: l.Bytes}}
		}))
		o.lastByte = p.now
	case 4:
		kept := rapid.Int64Range(0, p.look.Bytes).Draw(rt, "kept")
		p.see(func(l *sizer.Look) { l.Bytes, l.Base = kept, min(l.Base, kept) })
	case 5:
		p.see(by(vllm))
	case 6:
		p.see(killed)
	case 7:
		p.see(tidy)
	case 8:
		p.see(func(l *sizer.Look) {
			l.Total = rapid.Int64Range(-1, 2*gb).Draw(rt, "total")
			l.TotalSource = sizer.FromListingAtMost
			l.Files, l.FilesDone, l.Missing = 9, 4, 5
		})
	case 9:
		p.see(func(l *sizer.Look) {
			l.Failed = rapid.IntRange(0, 1).Draw(rt, "failed")
			l.Orphans = rapid.IntRange(0, 2).Draw(rt, "orphans")
		})
	case 10:
		p.restart(time.Duration(rapid.Int64Range(0, 5000).Draw(rt, "down")) * time.Second)
		o.restarted = p.now
		p.see(nil)
	case 11:
		if rapid.IntRange(0, 5).Draw(rt, "luck") == 0 {
			p.see(func(l *sizer.Look) { l.Proof = sizer.ProvenByListing })
		}
	}
	if abandoned(p.look) && !gone {
		o.goneSince = p.now
	}
	if p.look.Locked && !locked {
		o.liveSince = p.now
	}
	p.until(p.now.Sub(p.start) + time.Duration(rapid.IntRange(0, 900).Draw(rt, "seconds"))*time.Second)
}

func (o *oracle) check() {
	for _, e := range o.p.events[o.checked:] {
		if o.over {
			o.rt.Fatalf("%s after the end: %v", e.Kind, o.p.told())
		}
		o.lines(e)
		o.verdicts(e)
		o.values(e)
		o.lastLine = e.At
		o.checked++
	}
	o.noLongSilence()
}

// lines checks the order of lines and that none comes twice.
func (o *oracle) lines(e Event) {
	switch n := o.checked; {
	case (n == 0) != (e.Kind == Preparing), (n == 1) != (e.Kind == Started || e.Kind == Resumed):
		o.rt.Fatalf("%s is line %d", e.Kind, n)
	}
	switch e.Kind {
	case Progress:
		if e.Bytes < o.announced+min(10*mb, leastStep) && o.announced > 0 {
			o.rt.Fatalf("progress %d after %d", e.Bytes, o.announced)
		}
		step := o.p.d.set.step(e.Total)
		if e.Bytes/step == o.announced/step {
			o.rt.Fatalf("step of %d told twice, at %d and %d", step, o.announced, e.Bytes)
		}
		o.announced = e.Bytes / step * step
	case TotalDropped, SizeDiffers, OrphansFound:
		if o.warned[e.Kind] {
			o.rt.Fatalf("%s twice", e.Kind)
		}
		if o.warned == nil {
			o.warned = map[Kind]bool{}
		}
		o.warned[e.Kind] = true
	case Keepalive:
		if e.At.Sub(o.lastLine) < defaults.Keepalive || o.interrupted || o.p.d.abandoned() && e.At.After(o.goneSince) {
			o.rt.Fatalf("keepalive at %v, the last line at %v", e.At.Sub(o.p.start), o.lastLine.Sub(o.p.start))
		}
	}
}

// verdicts checks that none comes too early, twice or without reason.
func (o *oracle) verdicts(e Event) {
	since := e.At.Sub(o.lastByte)
	switch e.Kind {
	case Stalled:
		if o.stalled || since < defaults.StallAfter-defaults.InterruptAfter {
			o.rt.Fatalf("stalled %v after a byte: %v", since, o.p.told())
		}
		o.stalled = true
	case Interrupted:
		if o.interrupted || since < defaults.InterruptAfter || o.p.look.Locked {
			o.rt.Fatalf("interrupted %v after a byte: %v", since, o.p.told())
		}
		o.stalled, o.interrupted = false, true
	case Moving, Restarted:
		if e.Kind == Moving && !o.stalled && !o.interrupted {
			o.rt.Fatalf("moving without a stop: %v", o.p.told())
		}
		o.stalled, o.interrupted = false, false
	case Completed:
		l := o.p.look
		quiet := e.Proof == ProvenByQuiet && l.Failed == 0 && !l.Locked && l.Partials == 0 && l.Missing == 0 && since >= defaults.QuietAfter
		if l.Proof == sizer.NoProof && !quiet {
			o.rt.Fatalf("completed by %q with %+v", e.Proof, l)
		}
		o.over = true
	case Ended:
		if o.p.look.Missing == 0 || o.p.look.Failed > 0 || since < defaults.QuietAfter {
			o.rt.Fatalf("ended with %+v", o.p.look)
		}
		o.over = true
	}
}

func (o *oracle) values(e Event) {
	if e.Kind == TotalDropped {
		return
	}
	if e.Bytes < 0 || e.Lost < 0 || e.Rate < 0 || e.Left < 0 || e.Silence < 0 || e.Took < 0 || e.LastMinute < 0 || e.Total < 0 {
		o.rt.Fatalf("negative value in %+v", e)
	}
	o.speeds(e)
	if e.Total > 0 && e.Bytes > e.Total {
		o.rt.Fatalf("%d of %d in %s", e.Bytes, e.Total, e.Kind)
	}
	if e.Kind == Restarted && e.Bytes >= e.Lost {
		o.rt.Fatalf("restarted: %d of %d kept", e.Bytes, e.Lost)
	}
}

// speeds checks that none is above what arrived, over the least time that is
// judged by, nor told where nothing moves.
func (o *oracle) speeds(e Event) {
	fastest := perSecond(o.arrived, rateLeast)
	if e.Kind == Completed {
		fastest = perSecond(o.arrived, time.Second)
	}
	for _, f := range e.InFlight {
		if f.Rate < 0 || f.Rate > fastest {
			o.rt.Fatalf("%d a second of a file, of %d in all", f.Rate, o.arrived)
		}
	}
	if e.Rate > fastest || e.Kind != Completed && e.Rate > 0 && !moves(e.Kind) && (e.Kind != Keepalive || e.Silence > 0) {
		o.rt.Fatalf("%d a second in %s, of %d in all", e.Rate, e.Kind, o.arrived)
	}
	if e.Left > 0 && (e.Rate == 0 || e.Total == 0) {
		o.rt.Fatalf("%v left in %+v", e.Left, e)
	}
}

// noLongSilence checks that a live download isn't silent for longer than the
// keepalive interval, however often the daemon was restarted.
func (o *oracle) noLongSilence() {
	p := o.p
	if o.over || o.interrupted || !p.look.Locked || p.d.ep.Phase == PhaseInterrupted {
		return
	}
	from := slices.MaxFunc([]time.Time{o.restarted, o.liveSince, o.lastLine}, time.Time.Compare)
	if gap := p.now.Sub(from); gap > defaults.Keepalive+p.every {
		o.rt.Fatalf("no line for %v: %v", gap, p.told())
	}
}
