package tracker

import "time"

// Settings are the limits by which downloads are judged.
type Settings struct {
	// Step is how many bytes lie between two progress lines; 0 lets it
	// follow the total.
	Step int64
	// Keepalive is how long a model's log may be silent while its download
	// is active.
	Keepalive time.Duration
	// StallAfter is how long no byte may come while the downloader lives,
	// or while nothing can be known of it.
	StallAfter time.Duration
	// InterruptAfter is how long no byte may come once the downloader is
	// known to be gone.
	InterruptAfter time.Duration
	// QuietAfter is how long a cache lies still before that means an end.
	QuietAfter time.Duration
}

// leastStep is the smallest automatic step, in bytes: what users are used to.
const leastStep = 100_000_000

// step is the distance of two progress lines for a total in bytes, 0 if that
// is unknown. An automatic one is 1% of the total rounded up to 1, 2 or 5
// times a power of ten.
func (s Settings) step(total int64) int64 {
	if s.Step > 0 {
		return s.Step
	}
	percent := total / 100
	if total%100 > 0 {
		percent++
	}
	for power := int64(leastStep); ; power *= 10 {
		for _, factor := range [...]int64{1, 2, 5} {
			if percent <= factor*power {
				return factor * power
			}
		}
	}
}

// reached is the highest multiple of the step that bytes have come to.
func (s Settings) reached(bytes, total int64) int64 {
	step := s.step(total)
	return max(bytes, 0) / step * step
}
