package tracker

import (
	"math"
	"slices"
	"time"
)

// Bytes reach the disk in plateaus and jumps, so an average over time swings
// wildly. From one jump to another, far enough apart, it doesn't.
const (
	rateSpan    = 30 * time.Second // between the two increases compared, at least
	rateKept    = 5 * time.Minute  // how long samples are kept
	rateLeast   = 10 * time.Second // what three samples must span before anything is said
	rateSpacing = time.Second      // finer samples are merged: it bounds the memory
	rateCut     = 60 * time.Second // after which a flat line means no rate, at least
)

// sample is a count of bytes at the moment it had grown to that.
type sample struct {
	at    time.Time
	bytes int64
}

// rate estimates the speed of a download from its count of bytes. The zero
// value is ready.
type rate struct {
	samples []sample
}

// add notes the count of bytes at a look. A decrease begins afresh: what was
// lost says nothing about the speed.
func (r *rate) add(at time.Time, bytes int64) {
	n := len(r.samples)
	switch {
	case n == 0:
	case bytes < r.samples[n-1].bytes:
		r.reset()
	case bytes == r.samples[n-1].bytes:
		return
	case n >= 2 && at.Sub(r.samples[n-2].at) < rateSpacing:
		r.samples[n-1] = sample{at, bytes}
		return
	}
	r.samples = append(r.samples, sample{at, bytes})
	old := 0
	for len(r.samples)-old > 2 && at.Sub(r.samples[old+1].at) > rateKept {
		old++
	}
	r.samples = slices.Delete(r.samples, 0, old)
}

func (r *rate) reset() { r.samples = r.samples[:0] }

// perSecond is the speed in bytes a second, 0 if it can't be told.
func (r *rate) perSecond(now time.Time) int64 {
	n := len(r.samples)
	if n < 3 {
		return 0
	}
	newest := r.samples[n-1]
	if newest.at.Sub(r.samples[0].at) < rateLeast || now.Sub(newest.at) > r.cut() {
		return 0
	}
	from := r.samples[0]
	for _, s := range slices.Backward(r.samples[:n-1]) {
		if newest.at.Sub(s.at) >= rateSpan {
			from = s
			break
		}
	}
	return perSecond(newest.bytes-from.bytes, newest.at.Sub(from.at))
}

// cut is how long the count may be flat before there is no rate: three times
// the median gap, since plateaus of a minute are the normal thing for Xet.
func (r *rate) cut() time.Duration {
	gaps := make([]time.Duration, 0, len(r.samples))
	for i := 1; i < len(r.samples); i++ {
		gaps = append(gaps, r.samples[i].at.Sub(r.samples[i-1].at))
	}
	slices.Sort(gaps)
	return max(rateCut, 3*gaps[len(gaps)/2])
}

// perSecond divides without overflow and without a float; 0 if there is
// nothing to divide.
func perSecond(bytes int64, d time.Duration) int64 {
	ms := d.Milliseconds()
	switch {
	case bytes <= 0 || ms <= 0:
		return 0
	case bytes > math.MaxInt64/1000:
		return bytes / ms * 1000
	default:
		return bytes * 1000 / ms
	}
}

// longestLeft bounds the time left: beyond it the number means nothing.
const longestLeft = 1000 * time.Hour

// timeLeft is how long bytes take at a speed, 0 if that can't be told.
func timeLeft(bytes, perSecond int64) time.Duration {
	if bytes <= 0 || perSecond <= 0 {
		return 0
	}
	seconds := bytes / perSecond
	if seconds >= int64(longestLeft/time.Second) {
		return longestLeft
	}
	return max(time.Duration(seconds)*time.Second, time.Second)
}

// minute sums the bytes of the last 60 s. The zero value is ready.
type minute struct {
	arrived []sample
}

// add notes bytes that arrived, in steps of a second to bound the memory.
func (m *minute) add(at time.Time, bytes int64) {
	if bytes <= 0 {
		return
	}
	if n := len(m.arrived); n > 0 && at.Sub(m.arrived[n-1].at) < rateSpacing {
		m.arrived[n-1].bytes = saturated(m.arrived[n-1].bytes, bytes)
		return
	}
	m.arrived = append(m.arrived, sample{at, bytes})
	m.drop(at)
}

// sum is what arrived in the 60 s before now, in bytes.
func (m *minute) sum(now time.Time) int64 {
	m.drop(now)
	var sum int64
	for _, s := range m.arrived {
		sum = saturated(sum, s.bytes)
	}
	return sum
}

func (m *minute) drop(now time.Time) {
	m.arrived = slices.DeleteFunc(m.arrived, func(s sample) bool { return now.Sub(s.at) >= time.Minute })
}

// saturated adds two counts that are not negative.
func saturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
