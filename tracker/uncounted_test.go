package tracker

import (
	"testing"
	"time"

	"progressd/sizer"
)

// While bytes may come that can't be counted no line says how long none has come,
// nor for how long none came before.
func TestNoLineSaysHowLongNothingCameWhereThatIsNotKnown(t *testing.T) {
	p := play(t, defaults)
	p.see(also(bytes(50*mb), func(l *sizer.Look) { l.Partials, l.Unseen = 1, true }))
	p.until(5 * time.Minute)
	if e := p.last(Keepalive); p.count(Keepalive) < 4 || e.Silence != 0 || e.LastMinute != 0 {
		t.Errorf("%d keepalives, the last says %v, %d", p.count(Keepalive), e.Silence, e.LastMinute)
	}
	p.see(func(l *sizer.Look) { l.Unseen = false })
	p.until(7 * time.Minute)
	if e := p.last(Keepalive); e.Silence < time.Minute || e.Silence > 2*time.Minute {
		t.Errorf("it says %v", e.Silence)
	}
}

// Who held a lock and can't be found may live on, and wait for the hub.
func TestWhoHeldALockAndCannotBeFoundMayGoOn(t *testing.T) {
	for what, tt := range map[string]struct {
		locks, whole bool
		end          string
	}{
		"locks were seen":              {locks: true, end: "10m0s completed 50"},
		"and all is there by its kind": {locks: true, whole: true, end: "30s completed 50"},
		"no lock was seen":             {end: "30s completed 50"},
		"and all is there":             {whole: true, end: "30s completed 50"},
	} {
		t.Run(what, func(t *testing.T) {
			p := play(t, defaults)
			p.see(also(tidy, bytes(50*mb), func(l *sizer.Look) { l.Memory.Locks, l.Whole = tt.locks, tt.whole }))
			p.until(time.Hour)
			if told := p.told(); told[len(told)-1] != tt.end {
				t.Errorf("told %q, want %s", told, tt.end)
			}
		})
	}
}

// What grew in the root unclaimed is no reason to end a download sooner than quiet
// does, if it is waited for a stall for less.
func TestAnUnclaimedFileEndsNothingBeforeQuietDoes(t *testing.T) {
	set := defaults
	set.StallAfter = 15 * time.Second
	p := play(t, set)
	p.see(also(tidy, bytes(50*mb), func(l *sizer.Look) { l.Unclaimed = 1 }))
	p.until(time.Minute)
	p.want("0s preparing 50", "0s started 50", "30s ended 50")
}
