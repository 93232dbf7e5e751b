package tracker

import (
	"math"
	"slices"
	"time"

	"progressd/sizer"
)

// Bytes reach the disk in plateaus and jumps, so an average over time swings
// wildly. From one jump to another, far enough apart, it doesn't.
const (
	rateSpan    = 30 * time.Second // between the two increases compared, at least
	rateLeast   = 10 * time.Second // the same, while there are no older ones
	rateKept    = 5 * time.Minute  // how long increases are kept
	rateMost    = 32               // how many are kept
	rateSpacing = 2 * time.Second  // finer ones are merged
	rateCut     = 60 * time.Second // after which a flat line means no rate, at least
	// An increase came at some time between two looks: what is compared lies
	// so many times as far apart as they do, at once and with time.
	rateLeastGaps, rateSpanGaps = 4, 12
)

// rate estimates the speed at which a count of bytes grows. The zero value is
// ready. It takes less than 1 KB.
type rate struct {
	first time.Time // the first look; all other times are since then
	// looked is the newest look, bytes what it showed, and late how long
	// before the newest increase was the look that didn't show it yet.
	looked, late time.Duration
	bytes        int64
	grown        []increase // oldest first
}

// increase is a count of bytes when a look found that it had grown to that. A
// download keeps up to 64 of them or more, so it is small.
type increase struct {
	bytes int64
	ms    uint32 // since the first look
	nth   uint32 // of all, also of those that aren't kept
}

func (in increase) at() time.Duration { return time.Duration(in.ms) * time.Millisecond }

// rateLongest is after how long a rate begins afresh, for what increase.ms can
// hold.
const rateLongest = 30 * 24 * time.Hour

// add notes the count of bytes at a look, also one that has not grown. What the
// first look shows came at an unknown time and is no speed. A decrease begins
// afresh: what was lost says nothing.
func (r *rate) add(at time.Time, bytes int64) {
	if r.first.IsZero() || bytes < r.bytes || at.Sub(r.first) > rateLongest {
		*r = rate{first: at, bytes: bytes, grown: r.grown[:0]}
		return
	}
	now := at.Sub(r.first)
	if now < r.looked {
		return
	}
	late := now - r.looked
	r.looked = now
	if bytes > r.bytes {
		r.bytes, r.late = bytes, late
		r.note(increase{bytes: bytes, ms: uint32(now.Milliseconds())}) //nolint:gosec // see rateLongest
	}
}

func (r *rate) note(in increase) {
	n := len(r.grown)
	if n > 0 {
		in.nth = r.grown[n-1].nth + 1
	}
	switch {
	case n >= 2 && in.at()-r.grown[n-1].at() > r.cut():
		// There was no speed any more: the pause is no part of the next one.
		r.grown = r.grown[:0]
	case n >= 2 && in.at()-r.grown[n-2].at() < rateSpacing:
		r.grown[n-1] = in
		return
	}
	old := 0
	for len(r.grown)-old > 1 && in.at()-r.grown[old+1].at() > rateKept {
		old++
	}
	r.grown = slices.Delete(r.grown, 0, old)
	if len(r.grown) == rateMost {
		r.thin()
	}
	r.grown = append(r.grown, in)
}

// thin drops the increase that says least beside its neighbours: of the older
// ones, fewer are enough.
func (r *rate) thin() {
	newest, drop, least := r.grown[len(r.grown)-1].at(), 0, math.Inf(1)
	for i := 1; i < len(r.grown)-1; i++ {
		apart, age := r.grown[i+1].at()-r.grown[i-1].at(), newest-r.grown[i].at()
		if share := float64(apart) / float64(age); share < least {
			drop, least = i, share
		}
	}
	r.grown = slices.Delete(r.grown, drop, drop+1)
}

func (r *rate) reset() { *r = rate{grown: r.grown[:0]} }

// perSecond is the speed in bytes a second, 0 if it can't be told: what came
// between the newest increase and one at least span before, or while there is
// none the oldest, if that is at least least before.
func (r *rate) perSecond(now time.Time, least, span time.Duration) int64 {
	n := len(r.grown)
	if n < 2 || now.Sub(r.first)-r.grown[n-1].at() > r.cut() {
		return 0
	}
	newest, from := r.grown[n-1], r.grown[0]
	if newest.at()-from.at() < max(least, rateLeastGaps*r.late) {
		return 0
	}
	span = max(span, rateSpanGaps*r.late)
	for _, in := range slices.Backward(r.grown[:n-1]) {
		if newest.at()-in.at() >= span {
			from = in
			break
		}
	}
	return perSecond(newest.bytes-from.bytes, newest.at()-from.at())
}

// cut is how long the count may be flat before there is no rate: three times
// the median gap, since plateaus of a minute are the normal thing for Xet.
func (r *rate) cut() time.Duration {
	gaps := make([]time.Duration, 0, rateMost)
	for i := 1; i < len(r.grown); i++ {
		gaps = append(gaps, r.grown[i].at()-r.grown[i-1].at())
	}
	slices.Sort(gaps)
	return max(rateCut, 3*gaps[len(gaps)/2])
}

// plateau is how long the count is flat in the mean, or has been so far.
func (r *rate) plateau() time.Duration {
	n := len(r.grown)
	if n < 2 {
		return r.looked
	}
	return (r.grown[n-1].at() - r.grown[0].at()) / time.Duration(r.grown[n-1].nth-r.grown[0].nth)
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

// sample is a number of bytes that had come by a moment, all of them since another.
// Both are since minute.first; from is below 0 where nobody looked before.
type sample struct {
	from, at time.Duration
	bytes    int64
}

// minute sums the bytes of the last 60 s. The zero value is ready.
type minute struct {
	first   time.Time
	arrived []sample
}

// minuteSpacing is how far apart samples are at least, to bound the memory.
const minuteSpacing = 2 * time.Second

// add notes bytes that arrived between two looks, together where they come
// closely. from is zero where there was no look before.
func (m *minute) add(from, at time.Time, bytes int64) {
	if bytes <= 0 {
		return
	}
	if m.first.IsZero() {
		m.first = at
	}
	s := sample{at.Sub(m.first) - 2*time.Minute, at.Sub(m.first), bytes}
	if !from.IsZero() {
		s.from = from.Sub(m.first)
	}
	if n := len(m.arrived); n > 0 && s.at-m.arrived[n-1].at < minuteSpacing {
		m.arrived[n-1].bytes = sizer.AddSaturating(m.arrived[n-1].bytes, bytes)
		return
	}
	m.drop(at)
	m.arrived = append(m.arrived, s)
}

// sum is what arrived in the 60 s before now, in bytes. sure is false where some of
// it may have come before: while no daemon ran, the disk could not be read, or polls
// are that far apart.
func (m *minute) sum(now time.Time) (sum int64, sure bool) {
	m.drop(now)
	sure = true
	for _, s := range m.arrived {
		sum = sizer.AddSaturating(sum, s.bytes)
		sure = sure && now.Sub(m.first)-s.from <= time.Minute+minuteSpacing
	}
	return sum, sure
}

func (m *minute) drop(now time.Time) {
	since := now.Sub(m.first)
	m.arrived = slices.DeleteFunc(m.arrived, func(s sample) bool { return since-s.at >= time.Minute })
}
