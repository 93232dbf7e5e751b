package tracker

import "time"

const (
	// closely is how soon an active download has to be looked at again,
	// however seldom anything is polled: silence is believed as far as it was
	// seen. It is a little longer than the usual poll interval, which then
	// does all the looking.
	closely = 6 * time.Second
	// LongRest is a rest of whoever looks that is longer than what is ordered.
	LongRest = closely
	// slack is how late a look may come that was ordered.
	slack = 4 * time.Second
	// standstill is a time without any beat that tells that nothing ran here.
	standstill = 2 * lookAhead
	// pauseLasts is how long a download that has stopped is still waited
	// for: paused over night, it is the same one in the morning.
	pauseLasts = 24 * time.Hour
)

// stopwatch adds up how long a condition was seen to hold. The zero value
// stands still.
type stopwatch struct {
	running bool
	elapsed time.Duration
}

// run says that the condition holds, step after it was last asked for.
func (w *stopwatch) run(step time.Duration) {
	if w.running {
		w.elapsed += step
	}
	w.running = true
}

func (w *stopwatch) stop() { *w = stopwatch{} }

// left is how much longer the condition has to hold to have held for so long.
func (w *stopwatch) left(limit time.Duration) time.Duration {
	return max(limit-w.elapsed, 0)
}

// clocks are what verdicts of silence are judged by. They count only what was
// witnessed: a file system that can't be read, a machine that stood still and
// a daemon that was stopped are no evidence against a download.
type clocks struct {
	checked time.Time
	// rhythm is how much of the gap before the newest look was believed.
	rhythm time.Duration

	// silent: no byte came. working: though somebody is at it. gone: nor is there any
	// downloader left. quiet: nothing is under way and no byte came.
	silent, working, gone, quiet stopwatch
}

// pass moves the clocks on to a look at now and returns how much of the time
// since the one before counts: as far as looks are ordered, or rest was planned.
// Where they take longer than that, time and again, their own rhythm is followed;
// one that hangs is not.
func (c *clocks) pass(now time.Time, rest time.Duration) time.Duration {
	if c.checked.IsZero() {
		c.checked = now
	}
	gap := max(now.Sub(c.checked), 0)
	c.rhythm = min(gap, max(closely+slack, rest+slack, 2*c.rhythm))
	c.checked = c.checked.Add(gap)
	return c.rhythm
}

// resume says that nothing ran from the last look until now: nothing of that was
// witnessed.
func (c *clocks) resume(now time.Time) {
	if !c.checked.IsZero() {
		c.checked = now
	}
}

// blind says that from the look before to the next one nothing is witnessed.
func (c *clocks) blind() { c.checked = time.Time{} }

// moved says that something happened: all waiting begins anew.
func (c *clocks) moved() {
	c.silent.stop()
	c.working.stop()
	c.gone.stop()
	c.quiet.stop()
}

// between returns how long ago then was by wall clocks of two lives of the
// daemon, which may have been set in between: never negative, never absurd.
func between(then, now time.Time, most time.Duration) time.Duration {
	if then.IsZero() {
		return 0
	}
	return min(max(now.Round(0).Sub(then.Round(0)), 0), most)
}
