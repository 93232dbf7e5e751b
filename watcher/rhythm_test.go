package watcher

import (
	"testing"
	"time"
)

func TestWhatRecursIsDueTogether(t *testing.T) {
	poll := 5 * time.Second
	steady := dividing(poll, 900*time.Millisecond)
	if steady > 900*time.Millisecond || poll%steady > time.Microsecond {
		t.Errorf("a poll each %v isn't a multiple of %v", poll, steady)
	}
	if got := dividing(500*time.Millisecond, 900*time.Millisecond); got != 500*time.Millisecond {
		t.Errorf("polls each 500ms, looks each %v", got)
	}
	if got := dividing(poll, 0); got != poll {
		t.Errorf("with no longest period: each %v", got)
	}
	for _, tt := range []struct{ now, period, want time.Duration }{
		{0, time.Second, time.Second},
		{3 * time.Millisecond, time.Second, time.Second},
		{600 * time.Millisecond, time.Second, time.Second},
		{time.Second, time.Second, 2 * time.Second},
		// Almost here is too soon.
		{900 * time.Millisecond, time.Second, 2 * time.Second},
		{12 * time.Second, poll, 15 * time.Second},
	} {
		if got := together(tt.now, tt.period); got != tt.want {
			t.Errorf("after %v, each %v: %v, want %v", tt.now, tt.period, got, tt.want)
		}
	}
}
