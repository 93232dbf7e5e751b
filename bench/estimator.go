package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"progressd/internal/trace"
	"progressd/sizer"
	"progressd/tracker"
)

// An estimator is told what each look shows and gives a speed in bytes a
// second, 0 if it can't tell.
type estimator interface {
	Add(at time.Time, look trace.Look)
	PerSecond(now time.Time) int64
}

const (
	average = "moving average (0.3 of each 5 s)"
	window  = "window of 30 s"
)

// estimators are those that are compared, each ready for a new trace.
func estimators() map[string]func() estimator {
	return map[string]func() estimator{
		us:      func() estimator { return &ours{} },
		average: func() estimator { return &movingAverage{} },
		window:  func() estimator { return &slidingWindow{} },
	}
}

// estimator holds the speed that progressd tells, and that of two usual ways,
// against what is true, on made-up traces. It depends on no machine.
func (b *bench) estimator(context.Context) error {
	traces := b.scale.traces
	for _, every := range []time.Duration{500 * time.Millisecond, 5 * time.Second} {
		out := b.report.section(fmt.Sprintf("Estimator: error of the speed told, a look every %v, %d traces of 20 minutes each", every, traces))
		out.tail = 0.95
		out.explain("Made-up traces, the same in every run. Looks at which no speed is told don't count.")
		for _, kind := range trace.Kinds() {
			estimate(out, kind, every, traces)
		}
	}
	return nil
}

// estimate adds the rows of one kind of trace.
func estimate(out *section, kind trace.Kind, every time.Duration, traces int) {
	all := []string{us, average, window}
	judged := make(map[string]*judgement)
	for _, who := range all {
		judged[who] = judge(kind, every, traces, estimators()[who])
		reach := ""
		if kind.Bursts && who == us {
			reach = "median 3%, p95 10%"
		}
		out.add(kind.Name, who, share, judged[who].errs, reach)
	}
	for _, who := range all {
		switch {
		case kind.Name == trace.Slowdown:
			out.add("until the slowdown is told within 10%", who, seconds, judged[who].noticed, "")
		case kind.Name == trace.Stall:
			out.add("until the stall is told, or no speed", who, seconds, judged[who].noticed, "")
		case kind.Bursts && who != us:
			out.times(kind.Name+": "+who+" / progressd", judged[who].errs, judged[us].errs)
		}
	}
}

// share is a share of what is true, of which the smallest differences mean
// nothing.
func share(v float64) string { return fmt.Sprintf("%.2f%%", v*100) }

// A judgement is what the traces of a kind have shown of an estimator.
type judgement struct {
	errs    series // of each look, as a share of what is true
	noticed series // how long a change of the speed went unnoticed, in seconds
}

func judge(kind trace.Kind, every time.Duration, traces int, fresh func() estimator) *judgement {
	j := &judgement{}
	for seed := range uint64(traces) {
		e, start, noticed := fresh(), time.Now(), false
		for look := range kind.Looks(seed, every) {
			now := start.Add(look.At)
			e.Add(now, look)
			told := float64(e.PerSecond(now))
			if look.Settled && look.Speed > 0 && told > 0 {
				j.errs = append(j.errs, math.Abs(told/look.Speed-1))
			}
			if look.Changed() < 0 || noticed {
				continue
			}
			off := math.Abs(told - look.Speed)
			if noticed = off <= 0.1*look.Speed || look.Speed == 0 && told < 2e6; noticed {
				j.noticed = append(j.noticed, look.Changed().Seconds())
			}
		}
	}
	return j
}

// ours is what progressd itself asks.
type ours struct{ tracker.Speed }

func (o *ours) Add(at time.Time, look trace.Look) {
	var files []sizer.InFlight
	for i, bytes := range look.Files {
		files = append(files, sizer.InFlight{Etag: strconv.Itoa(i), Bytes: bytes})
	}
	o.Speed.Add(at, look.Bytes, files)
}

// movingAverage weighs each new sample of 5 s with 0.3, the sum of those
// before with the rest.
type movingAverage struct {
	at      time.Time
	bytes   int64
	samples int
	speed   float64
}

func (m *movingAverage) Add(at time.Time, look trace.Look) {
	bytes := look.Bytes
	if m.at.IsZero() {
		m.at, m.bytes = at, bytes
		return
	}
	d := at.Sub(m.at)
	if d < 5*time.Second {
		return
	}
	speed := float64(bytes-m.bytes) / d.Seconds()
	if m.samples++; m.samples > 1 {
		speed = 0.3*speed + 0.7*m.speed
	}
	m.at, m.bytes, m.speed = at, bytes, speed
}

func (m *movingAverage) PerSecond(time.Time) int64 { return int64(m.speed) }

// slidingWindow divides what came in the last 30 s by them.
type slidingWindow struct {
	at    []time.Time
	bytes []int64
}

func (w *slidingWindow) Add(at time.Time, look trace.Look) {
	w.at, w.bytes = append(w.at, at), append(w.bytes, look.Bytes)
	for len(w.at) > 2 && at.Sub(w.at[1]) >= 30*time.Second {
		w.at, w.bytes = w.at[1:], w.bytes[1:]
	}
}

func (w *slidingWindow) PerSecond(time.Time) int64 {
	last := len(w.at) - 1
	if last < 1 {
		return 0
	}
	return int64(float64(w.bytes[last]-w.bytes[0]) / w.at[last].Sub(w.at[0]).Seconds())
}
