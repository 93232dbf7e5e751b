package tracker

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"progressd/internal/trace"
	"progressd/sizer"
)

// TestRateOnTraces holds the estimate against what is true, looked at as often
// as progressd does while something is written, and as rarely as a poll.
func TestRateOnTraces(t *testing.T) {
	for _, kind := range trace.Kinds() {
		for _, every := range []time.Duration{500 * time.Millisecond, 5 * time.Second} {
			t.Run(fmt.Sprint(kind.Name, " every ", every), func(t *testing.T) {
				var errs []float64
				for seed := range uint64(8) {
					errs = append(errs, rateErrors(t, kind, seed, every)...)
				}
				slices.Sort(errs)
				median, p95 := errs[len(errs)/2], errs[len(errs)*95/100]
				t.Logf("median %.4f, p95 %.4f of %d", median, p95, len(errs))
				if median > .03 || p95 > .10 {
					t.Errorf("error %.4f and %.4f, want at most 3%% and 10%%", median, p95)
				}
			})
		}
	}
}

func rateErrors(t *testing.T, kind trace.Kind, seed uint64, every time.Duration) []float64 {
	t.Helper()
	var s Speed
	var errs []float64
	start := time.Now()
	for look := range kind.Looks(seed, every) {
		now := start.Add(look.At)
		s.Add(now, look.Bytes, named(look))
		rate := s.PerSecond(now)
		if look.Speed == 0 && look.Changed() > rateCut+every && rate != 0 {
			t.Errorf("%v: a rate of %d after more than a minute of nothing", look.At, rate)
		}
		if rate > 0 && look.Settled && look.Speed > 0 {
			errs = append(errs, math.Abs(float64(rate)/look.Speed-1))
		}
	}
	return errs
}

// named gives each file of the trace a name.
func named(look trace.Look) (files []sizer.InFlight) {
	for i, bytes := range look.Files {
		files = append(files, sizer.InFlight{Etag: strconv.Itoa(i), Bytes: bytes})
	}
	return files
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
		{"without a look", nil, 0, 0},
		{"of what was there at the first look", []add{{0, 5000}, {1, 5010}, {12, 5120}, {13, 5130}}, 13, 10},
		{"before two increases", []add{{0, 0}, {60, 600}}, 60, 0},
		{"within ten seconds", []add{{0, 0}, {1, 40}, {10, 90}}, 10, 0},
		{"but then", []add{{0, 0}, {3, 30}, {10, 100}, {13, 130}}, 13, 0},
		{"of what isn't growth", []add{{0, 0}, {1, 10}, {4, 40}, {10, 40}, {20, 40}}, 20, 0},
		{"a minute after the last growth, not before", []add{{0, 0}, {1, 10}, {12, 10}, {13, 130}}, 73, 10},
		{"a minute after the last growth", []add{{0, 0}, {1, 10}, {12, 10}, {13, 130}}, 74, 0},
		{"three median gaps after it, where these are long", []add{{0, 0}, {49, 0}, {50, 500}, {99, 500}, {100, 1000}}, 250, 10},
		{"after them", []add{{0, 0}, {49, 0}, {50, 500}, {99, 500}, {100, 1000}}, 251, 0},
		{"right after a pause", []add{{0, 0}, {1, 10}, {12, 120}, {13, 130}, {113, 130}, {114, 140}}, 114, 0},
		{"of the pause, later", []add{{0, 0}, {1, 10}, {12, 120}, {13, 130}, {113, 130}, {114, 140}, {124, 230}, {125, 250}}, 125, 10},
		{"after a decrease", []add{{0, 0}, {10, 100}, {20, 200}, {30, 100}, {31, 110}}, 31, 0},
		{"of old times", []add{{0, 0}, {1, 0}, {10, 1000}, {20, 2000}, {59, 2000}, {60, 2080}}, 60, 2},
		{"while it can't be known when within a long gap it grew", []add{{0, 0}, {10, 100}, {20, 200}, {30, 300}}, 30, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r rate
			for _, a := range tt.adds {
				r.add(start.Add(time.Duration(a.at)*time.Second), a.bytes)
			}
			if got := r.perSecond(start.Add(time.Duration(tt.at)*time.Second), rateLeast, rateSpan); got != tt.want {
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
		m.add(now.Add(-50*time.Millisecond), now, 1)
	}
	if len(r.grown) > rateMost || len(m.arrived) > 30 {
		t.Errorf("%d and %d samples kept", len(r.grown), len(m.arrived))
	}
	if got := r.perSecond(now, rateLeast, rateSpan); got < 19 || got > 20 {
		t.Errorf("rate %d, want 20", got)
	}
	if got, sure := m.sum(now); !sure || got < 1180 || got > 1200 {
		t.Errorf("last minute %d, want about 1200", got)
	}
	m.add(now, now, math.MaxInt64)
	m.add(now, now.Add(2*time.Second), math.MaxInt64)
	if got, _ := m.sum(now.Add(2 * time.Second)); got != math.MaxInt64 {
		t.Errorf("sum %d", got)
	}
}

// TestRateIsNeverAboveWhatArrived holds random counts of bytes against the
// fastest that any ten seconds of them were.
func TestRateIsNeverAboveWhatArrived(t *testing.T) {
	type look struct {
		at    time.Time
		bytes int64
	}
	rapid.Check(t, func(rt *rapid.T) {
		var r rate
		var looks []look
		now, bytes := time.Now(), rapid.Int64Range(0, gb).Draw(rt, "there")
		for range rapid.IntRange(1, 80).Draw(rt, "looks") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 40_000).Draw(rt, "ms")) * time.Millisecond)
			if rapid.IntRange(0, 9).Draw(rt, "lost") == 0 {
				bytes -= rapid.Int64Range(0, bytes).Draw(rt, "less")
			} else if rapid.Bool().Draw(rt, "grows") {
				bytes += rapid.Int64Range(0, 3*gb).Draw(rt, "more")
			}
			r.add(now, bytes)
			if n := len(looks); n > 0 && bytes < looks[n-1].bytes {
				looks = nil
			}
			looks = append(looks, look{now, bytes})
			span := time.Duration(rapid.IntRange(30, 300).Draw(rt, "span")) * time.Second
			var fastest int64
			for i, from := range looks {
				for _, to := range looks[i:] {
					if d := to.at.Sub(from.at); d >= rateLeast {
						fastest = max(fastest, perSecond(to.bytes-from.bytes, d))
					}
				}
			}
			later := now.Add(time.Duration(rapid.IntRange(0, 400).Draw(rt, "later")) * time.Second)
			if rate := r.perSecond(later, rateLeast, span); rate < 0 || rate > fastest {
				rt.Fatalf("rate %d, at most %d came a second in %+v", rate, fastest, looks)
			}
		}
	})
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

// What came in between two looks may have come right behind the first.
func TestTheLastMinuteIsKnownOnlyWhereLooksAreClose(t *testing.T) {
	now := time.Now()
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	for name, tt := range map[string]struct {
		from   time.Time
		at, by int
		sum    int64
		sure   bool
	}{
		"looked at all the time":          {at(0), 1, 30, 10, true},
		"once a minute":                   {at(0), 60, 60, 10, true},
		"a poll of ten minutes":           {at(-540), 60, 60, 10, false},
		"no look before":                  {time.Time{}, 1, 30, 10, false},
		"no look before, and a while ago": {time.Time{}, 1, 62, 0, true},
	} {
		var m minute
		m.add(tt.from, at(tt.at), 10)
		if sum, sure := m.sum(at(tt.by)); sum != tt.sum || sure != tt.sure {
			t.Errorf("%s: %d, %t", name, sum, sure)
		}
	}
}
