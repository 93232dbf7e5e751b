package tracker

import "time"

// leastTrust is how long a gap between two looks may always be: twice the
// usual poll interval.
const leastTrust = 10 * time.Second

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

// reached reports whether the condition has held for so long.
func (w *stopwatch) reached(limit time.Duration) bool {
	return w.running && w.elapsed >= limit
}

// clocks are what verdicts of silence are judged by. They count only what was
// witnessed: a file system that can't be read, a machine that stood still and
// a daemon that was stopped are no evidence against a download.
type clocks struct {
	checked time.Time
	gap     time.Duration

	// silent: no byte came. gone: nor is there any downloader left. quiet:
	// nothing is under way and no byte came.
	silent, gone, quiet stopwatch
}

// pass moves the clocks on to now and returns how much of the time since they
// were last moved counts: at most twice the gap before, which follows any
// poll interval but not a suspend.
func (c *clocks) pass(now time.Time) time.Duration {
	gap := now.Sub(c.checked)
	if c.checked.IsZero() || gap < 0 {
		gap = 0
	}
	trusted := min(gap, max(leastTrust, 2*c.gap))
	c.checked, c.gap = now, gap
	return trusted
}

// blind says that from the look before to the next one nothing is witnessed.
func (c *clocks) blind() { c.checked = time.Time{} }

// moved says that something happened: all waiting begins anew.
func (c *clocks) moved() {
	c.silent.stop()
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
