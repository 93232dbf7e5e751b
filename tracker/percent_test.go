package tracker

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"progressd/sizer"
)

// estimate is a change that gives a total that may prove too low.
func estimate(total int64, source sizer.Source) func(*sizer.Look) {
	return func(l *sizer.Look) {
		listing(total, 4, 2)(l)
		l.TotalSource, l.Listed = source, 9
	}
}

func TestPermilleRoundsAsPercentagesDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		total := rapid.Int64Range(-1, math.MaxInt64).Draw(rt, "total")
		bytes := rapid.OneOf(rapid.Int64Range(-1, max(total, 0)), rapid.Int64()).Draw(rt, "bytes")
		got := permille(bytes, total)
		text, ok := sizer.FormatPercent(bytes, total)
		if want := strings.Replace(strings.TrimSuffix(text, "%"), ".", "", 1); ok && strings.TrimLeft(want, "0") != strings.TrimLeft(decimal(got), "0") {
			rt.Fatalf("%d of %d: %d, shown as %s", bytes, total, got, text)
		}
		if !ok && got != 0 {
			rt.Fatalf("%d of %d: %d", bytes, total, got)
		}
	})
}

func decimal(n int64) string {
	var digits []byte
	for ; n > 0; n /= 10 {
		digits = append([]byte{byte('0' + n%10)}, digits...)
	}
	return string(digits)
}

func TestAPercentageNeverFalls(t *testing.T) {
	tests := []struct {
		name string
		play func(p *player)
		want []int64 // totals of the lines after the first two, in MB
	}{
		{"a left-out file comes after all: none until it is made up for", func(p *player) {
			p.see(bytes(200 * mb))
			p.see(also(estimate(1000*mb, sizer.FromHabits), bytes(300*mb)))
			p.see(bytes(400 * mb))
			p.see(bytes(500 * mb))
		}, []int64{400, 0, 0, 1000}},
		{"also over a restart", func(p *player) {
			p.see(bytes(200 * mb))
			p.see(also(estimate(1000*mb, sizer.FromHabits), bytes(300*mb)))
			p.restart(time.Second)
			p.see(nil)
			p.see(bytes(400 * mb))
			p.see(bytes(600 * mb))
		}, []int64{400, 0, 0, 1000}},
		{"what is equal doesn't fall", func(p *player) {
			p.see(bytes(200 * mb))
			p.see(also(estimate(600*mb, sizer.FromHabits), bytes(300*mb)))
		}, []int64{400, 600}},
		{"a total that shrinks is told at once", func(p *player) {
			p.see(bytes(200 * mb))
			p.see(also(estimate(350*mb, sizer.FromHabits), bytes(300*mb)))
		}, []int64{400, 350}},
		{"what says that bytes were lost begins anew", func(p *player) {
			p.see(bytes(200 * mb))
			p.see(bytes(0))
			p.see(bytes(10 * mb))
			p.see(bytes(300 * mb))
		}, []int64{400, 400, 400}},
		{"bytes lost without a word leave it out", func(p *player) {
			p.see(bytes(200 * mb))
			p.see(also(tidy, bytes(20*mb), func(l *sizer.Look) { l.Failed = 1 }))
			p.until(time.Hour)
		}, []int64{400, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			p.see(also(by(vllm), estimate(400*mb, sizer.FromHabits), bytes(50*mb)))
			tt.play(p)
			var got []int64
			for _, e := range p.events[2:] {
				if e.Kind != Keepalive {
					got = append(got, e.Total/mb)
				}
				if e.Total == 0 && (e.TotalSource != sizer.NoTotal || e.Left != 0) {
					t.Errorf("something is left of the total: %+v", e)
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("totals %v, want %v: %v", got, tt.want, p.told())
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("totals %v, want %v: %v", got, tt.want, p.told())
					break
				}
			}
		})
	}
}

// Random totals and bytes, restarts between: no percentage that is told falls
// but behind a line that says why, and none is above 100.0.
func TestRandomTotals(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := play(rt, defaults)
		p.see(by(vllm))
		for range rapid.IntRange(1, 40).Draw(rt, "moves") {
			change := func(l *sizer.Look) {
				l.Total = rapid.Int64Range(0, 2*gb).Draw(rt, "total")
				l.TotalSource = rapid.SampledFrom([]sizer.Source{sizer.FromListing, sizer.FromHabits, sizer.FromLoader}).Draw(rt, "source")
			}
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1:
				p.see(bytes(p.look.Bytes + rapid.Int64Range(0, 300*mb).Draw(rt, "grown")))
			case 2:
				p.see(change)
			case 3:
				p.see(func(l *sizer.Look) { l.Bytes = rapid.Int64Range(0, l.Bytes).Draw(rt, "kept") })
			case 4:
				p.see(rapid.SampledFrom([]func(*sizer.Look){by(vllm), killed, tidy}).Draw(rt, "who"))
			case 5:
				p.restart(time.Duration(rapid.IntRange(0, 100).Draw(rt, "down")) * time.Second)
				p.see(nil)
			}
			p.until(p.now.Sub(p.start) + time.Duration(rapid.IntRange(0, 200).Draw(rt, "seconds"))*time.Second)
		}
		highest := int64(0)
		for _, e := range p.events {
			told, ok := sizer.FormatPercent(e.Bytes, e.Total)
			if e.Kind == Restarted {
				highest = 0
			}
			if !ok {
				continue
			}
			if now := permille(e.Bytes, e.Total); now < highest || now > 1000 {
				rt.Fatalf("%s of %s told after %d tenths: %v", told, e.Kind, highest, p.told())
			} else {
				highest = now
			}
		}
	})
}

func TestWhatHasEndedProvesNoEstimate(t *testing.T) {
	for _, source := range []sizer.Source{sizer.FromHabits, sizer.FromLoader} {
		p := play(t, defaults)
		p.see(also(by(vllm), estimate(400*mb, source), bytes(50*mb)))
		p.see(also(tidy, bytes(400*mb)))
		p.until(time.Minute)
		e := p.last(Ended)
		if e.Total != 0 || e.FilesDone != 2 || e.Files != 9 {
			t.Errorf("%s: %d bytes, %d of %d files", source, e.Total, e.FilesDone, e.Files)
		}
	}
}

func TestALoaderWithAllItsWeightsIsCompleteWhenItIsQuiet(t *testing.T) {
	settled := func(l *sizer.Look) { l.Settled = sizer.ProvenByLoader }
	t.Run("D16 while its server runs", func(t *testing.T) {
		p := play(t, defaults)
		p.see(also(by(vllm), estimate(400*mb, sizer.FromLoader), bytes(400*mb)))
		p.until(time.Minute)
		p.see(func(l *sizer.Look) { settled(l); l.Locked, l.Partials = false, 0 })
		p.until(time.Hour)
		p.want("0s preparing 400", "0s started 400", "0s progress 400", "1m30s completed 400")
		if e := p.last(Completed); e.Proof != sizer.ProvenByLoader || e.Total != 400*mb {
			t.Errorf("proven by %q, total %d", e.Proof, e.Total)
		}
	})
	t.Run("not before, and not with a failure or a file of another size", func(t *testing.T) {
		for what, spoil := range map[string]func(*sizer.Look){
			"locked":     func(l *sizer.Look) { l.Locked = true },
			"failed":     func(l *sizer.Look) { l.Failed = 1 },
			"unfinished": func(l *sizer.Look) { l.Unfinished = 1 },
			"mismatched": func(l *sizer.Look) { l.Mismatched = &sizer.Mismatch{} },
		} {
			p := play(t, defaults)
			p.see(also(by(vllm), estimate(400*mb, sizer.FromLoader), bytes(400*mb)))
			p.see(also(settled, func(l *sizer.Look) { l.Locked, l.Partials = false, 0 }, spoil))
			p.until(5 * time.Minute)
			if p.count(Completed) > 0 {
				t.Errorf("%s: told %v", what, p.told())
			}
		}
	})
}

func TestALoaderThatLacksWeightsMayTakeItsTime(t *testing.T) {
	p := play(t, defaults)
	lacking := func(l *sizer.Look) { l.Locked, l.Partials, l.Lacking, l.Awaited = false, 0, true, true }
	p.see(also(by(vllm), estimate(400*mb, sizer.FromLoader), bytes(mb)))
	p.see(lacking)
	p.until(5 * time.Minute)
	p.see(also(by(vllm), bytes(150*mb)))
	p.see(lacking)
	p.until(time.Hour)
	p.want("0s preparing 1", "0s started 1", "5m0s progress 150", "15m0s ended 150")
}
