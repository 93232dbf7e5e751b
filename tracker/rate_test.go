package tracker

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// trace is what the disk shows at each second beside the true speed.
type trace struct {
	shown []int64
	speed []float64
}

// traced makes a trace of 40 MB/s: steady, in small and in big Xet bursts,
// slowing down from 100 to 20 after 300 s, or standing still from 300 to 480.
func traced(kind string, seed uint64) trace {
	rnd := rand.New(rand.NewPCG(seed, 1))
	between := func(a, b float64) float64 { return a + (b-a)*rnd.Float64() }
	var tr trace
	net, shown, flush := 0.0, 0.0, 0.0
	for t := 0.0; net < 60e9 && t < 7200; {
		speed, plateau := 40e6, 0.0
		switch {
		case kind == "small bursts":
			plateau = between(2, 16)
		case kind == "big bursts":
			plateau = between(10, 75)
		case kind == "slowdown" && t < 300:
			speed = 100e6
		case kind == "slowdown":
			speed = 20e6
		case kind == "stall" && t >= 300 && t < 480:
			speed = 0
		}
		net = min(60e9, net+speed*between(.9, 1.1))
		t++
		if t >= flush {
			shown, flush = net, t+plateau
		}
		tr.shown, tr.speed = append(tr.shown, int64(shown)), append(tr.speed, speed)
	}
	return tr
}

func TestRateOnTraces(t *testing.T) {
	for _, tt := range []struct {
		kind        string
		median, p95 float64 // of the error, relative
	}{
		{"steady", .02, .04}, {"small bursts", .06, .16}, {"big bursts", .05, .14}, {"slowdown", .02, .04}, {"stall", .02, .04},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			var errs []float64
			for seed := range uint64(8) {
				errs = append(errs, rateErrors(t, tt.kind, traced(tt.kind, seed))...)
			}
			slices.Sort(errs)
			median, p95 := errs[len(errs)/2], errs[len(errs)*95/100]
			t.Logf("median %.3f, p95 %.3f of %d", median, p95, len(errs))
			if median > tt.median || p95 > tt.p95 {
				t.Errorf("error %.3f and %.3f, want at most %.2f and %.2f", median, p95, tt.median, tt.p95)
			}
		})
	}
}

// rateErrors looks at a trace every 5 s, as a poll does.
func rateErrors(t *testing.T, kind string, tr trace) []float64 {
	var r rate
	var errs []float64
	start := time.Now()
	for i := 4; i < len(tr.shown); i += 5 {
		now := start.Add(time.Duration(i+1) * time.Second)
		r.add(now, tr.shown[i])
		rate := r.perSecond(now)
		if kind == "stall" && i >= 365 && i < 480 && rate != 0 {
			t.Errorf("%d s: a rate of %d after more than a minute of nothing", i, rate)
		}
		settled := i >= 30 && (kind != "slowdown" || i >= 335 || i < 295) && (kind != "stall" || i < 300 || i >= 540)
		if rate > 0 && settled {
			errs = append(errs, math.Abs(float64(rate)/tr.speed[i]-1))
		}
	}
	return errs
}

func TestRateSaysNothing(t *testing.T) {
	start := time.Now()
	type add struct {
		at    int // seconds
		bytes int64
	}
	for _, tt := range []struct {
		name string
		adds []add
		at   int
		want int64
	}{
		{"without samples", nil, 0, 0},
		{"with two samples", []add{{0, 0}, {60, 600}}, 60, 0},
		{"within ten seconds", []add{{0, 0}, {4, 40}, {9, 90}}, 9, 0},
		{"but then", []add{{0, 0}, {4, 40}, {10, 100}}, 10, 10},
		{"of what isn't growth", []add{{0, 0}, {4, 40}, {10, 40}, {20, 40}}, 20, 0},
		{"a minute after the last growth, not before", []add{{0, 0}, {4, 40}, {10, 100}}, 70, 10},
		{"a minute after the last growth", []add{{0, 0}, {4, 40}, {10, 100}}, 71, 0},
		{"three median gaps after it, where these are long", []add{{0, 0}, {50, 500}, {100, 1000}}, 250, 10},
		{"after them", []add{{0, 0}, {50, 500}, {100, 1000}}, 251, 0},
		{"after a decrease", []add{{0, 0}, {10, 100}, {20, 200}, {30, 100}, {31, 110}}, 31, 0},
		{"of old times", []add{{0, 0}, {10, 1000}, {20, 2000}, {60, 2100}}, 60, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r rate
			for _, a := range tt.adds {
				r.add(start.Add(time.Duration(a.at)*time.Second), a.bytes)
			}
			if got := r.perSecond(start.Add(time.Duration(tt.at) * time.Second)); got != tt.want {
				t.Errorf("rate %d, want %d", got, tt.want)
			}
		})
	}
}

func TestRateIsBounded(t *testing.T) {
	var r rate
	var m minute
	now := time.Now()
	for i := range int64(100_000) {
		now = now.Add(50 * time.Millisecond)
		r.add(now, i)
		m.add(now, 1)
	}
	if len(r.samples) > 700 || len(m.arrived) > 61 {
		t.Errorf("%d and %d samples kept", len(r.samples), len(m.arrived))
	}
	if got := r.perSecond(now); got < 19 || got > 20 {
		t.Errorf("rate %d, want 20", got)
	}
	if got := m.sum(now); got < 1180 || got > 1200 {
		t.Errorf("last minute %d, want about 1200", got)
	}
	m.add(now, math.MaxInt64)
	m.add(now.Add(2*time.Second), math.MaxInt64)
	if got := m.sum(now.Add(2 * time.Second)); got != math.MaxInt64 {
		t.Errorf("sum %d", got)
	}
}

func TestPerSecondAndTimeLeft(t *testing.T) {
	for _, tt := range []struct {
		bytes int64
		d     time.Duration
		want  int64
	}{
		{1000, time.Second, 1000}, {0, time.Second, 0}, {-5, time.Second, 0}, {5, 0, 0}, {5, -1, 0}, {1, time.Hour, 0},
		{math.MaxInt64, time.Second, math.MaxInt64 / 1000 * 1000}, {math.MaxInt64, time.Hour, math.MaxInt64 / 3_600_000 * 1000},
	} {
		if got := perSecond(tt.bytes, tt.d); got != tt.want {
			t.Errorf("%d in %v: %d, want %d", tt.bytes, tt.d, got, tt.want)
		}
	}
	for _, tt := range []struct {
		bytes, rate int64
		want        time.Duration
	}{{100, 10, 10 * time.Second}, {1, 10, time.Second}, {0, 10, 0}, {10, 0, 0}, {-1, 10, 0}, {math.MaxInt64, 1, longestLeft}} {
		if got := timeLeft(tt.bytes, tt.rate); got != tt.want {
			t.Errorf("%d at %d: %v, want %v", tt.bytes, tt.rate, got, tt.want)
		}
	}
}
