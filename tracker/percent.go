package tracker

import (
	"math/bits"

	"progressd/sizer"
)

// tell settles what the events say of the total. A percentage never falls
// within an episode: where the total has grown, or bytes went without a word,
// the lines go on without one until it is above the highest that was told.
// Only what says that bytes were lost begins anew.
func (d *download) tell(events []Event) []Event {
	for i := range events {
		e := &events[i]
		if e.Kind == TotalDropped {
			continue
		}
		if e.Kind == Restarted {
			d.ep.Told = 0
		}
		told := permille(e.Bytes, e.Total)
		// What has ended by itself proves no estimate.
		if told < d.ep.Told || e.Kind == Ended && e.TotalSource.Estimate() {
			e.Total, e.TotalSource, e.Left = 0, sizer.NoTotal, 0
			continue
		}
		d.ep.Told = told
	}
	return events
}

// shown is the total that a line told now would have, 0 if none.
func (d *download) shown() int64 {
	if permille(d.ep.Bytes, d.total()) < d.ep.Told {
		return 0
	}
	return d.total()
}

// permille is how many thousandths of the total the bytes are, rounded half
// up as a percentage with one decimal is; 0 if there is none to be told.
func permille(bytes, total int64) int64 {
	if bytes <= 0 || total <= 0 || bytes > total {
		return 0
	}
	hi, lo := bits.Mul64(uint64(bytes), 1000)
	q, r := bits.Div64(hi, lo, uint64(total))
	if r >= uint64(total)-r {
		q++
	}
	return int64(q) //nolint:gosec // at most 1000
}
