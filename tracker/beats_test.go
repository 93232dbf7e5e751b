package tracker

import (
	"testing"
	"testing/synctest"
	"time"
)

// Looks that come about as often as beats take their place.
func TestLooksStandInForBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats()
		defer b.stop()
		b.want(true)
		fired, stood := 0, 0
		end := time.After(time.Minute)
		looks := time.NewTicker(900 * time.Millisecond)
		defer looks.Stop()
		for {
			select {
			case now := <-b.due:
				b.passed(now)
				fired++
				continue
			case now := <-looks.C:
				if b.near(now) {
					stood++
				}
				continue
			case <-end:
			}
			break
		}
		if fired > 0 || stood != 66 {
			t.Errorf("%d beats, and %d looks that stood in for one, want 0 and 66", fired, stood)
		}
	})
}

// However many looks of one download come, the others' time passes.
func TestLooksOfOneLetTheTimeOfOthersPass(t *testing.T) {
	for _, gap := range []time.Duration{20 * time.Millisecond, 500 * time.Millisecond, 740 * time.Millisecond, 900 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			e := runEngine(t, nil, nil)
			e.see("/silent", "o/m", by(vllm))
			began := time.Now()
			for time.Since(began) < time.Minute+time.Second+gap {
				e.see("/busy", "o/other", by(vllm), bytes(mb))
				pass(gap)
			}
			e.stop()
			alive := 0
			for _, event := range e.events {
				if event.Root == "/silent" && event.Kind == Keepalive {
					alive++
				}
			}
			if alive != 1 {
				t.Errorf("a look of another each %v: %d keepalives in a minute, want 1", gap, alive)
			}
		})
	}
}
