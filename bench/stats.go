package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A series is what was measured of one thing, in its unit.
type series []float64

// quantile is the value below or at which the share q of a sorted copy lies
// (nearest rank), NaN for none.
func (s series) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle value, or the mean of the two in the middle.
func (s series) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (s series) min() float64 { return s.quantile(0) }
func (s series) max() float64 { return s.quantile(1) }

// over is how many times as much s is as other: the medians against each
// other, the least against the most, and the most against the least.
func (s series) over(other series) series {
	return series{s.min() / other.max(), s.median() / other.median(), s.max() / other.min()}
}

// total is all of it, as one value.
func (s series) total() series {
	var sum float64
	for _, v := range s {
		sum += v
	}
	return series{sum}
}

// scaled is s times a factor.
func (s series) scaled(factor float64) series {
	out := make(series, len(s))
	for i, v := range s {
		out[i] = v * factor
	}
	return out
}

func durations(all []time.Duration) series {
	out := make(series, len(all))
	for i, d := range all {
		out[i] = d.Seconds()
	}
	return out
}

// A unit says how a value becomes text.
type unit func(float64) string

func seconds(v float64) string {
	switch {
	case v < 0.0001:
		return fmt.Sprintf("%.3g µs", v*1e6)
	case v < 1:
		return digits(v*1e3) + " ms"
	default:
		return digits(v) + " s"
	}
}

func megabytes(v float64) string { return fmt.Sprintf("%.1f MB", v/1e6) }
func octets(v float64) string    { return fmt.Sprintf("%.0f B", v) }
func count(v float64) string     { return digits(v) }
func times(v float64) string     { return digits(v) + "×" }
func percent(v float64) string   { return digits(v*100) + "%" }

// factor is a ratio near 1, of which the small difference matters.
func factor(v float64) string { return fmt.Sprintf("%.3f", v) }

// digits shows three significant digits of what is below 1000, and all before
// the point of what is above.
func digits(v float64) string {
	if math.Abs(v) >= 999.5 { // three digits of it would be 1e+03
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
