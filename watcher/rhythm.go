package watcher

import "time"

// together is when that which recurs with this period is due after now: at the
// next multiple of it, unless that is almost here. So what recurs with periods
// that divide one another is due together, and the machine wakes once for it.
// All times are since one beginning.
func together(now, period time.Duration) time.Duration {
	next := now.Truncate(period) + period
	if next-now < period/8 {
		next += period
	}
	return next
}

// dividing is the longest period that whole is a multiple of and that is no
// longer than that one; whole itself if even that is shorter, or none is given.
func dividing(whole, longest time.Duration) time.Duration {
	if longest <= 0 {
		return whole
	}
	parts := (whole + longest - 1) / longest
	return whole / parts
}
