package tracker

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"progressd/sizer"
)

func TestAStalledDownloadTellsWhetherItsDownloaderIsStopped(t *testing.T) {
	for name, stopped := range map[string][]int{
		"running":                  nil,
		"stopped":                  {vllm.PID},
		"another one, not the one": {vllm.PID + 1},
	} {
		p := play(t, defaults)
		p.see(also(by(vllm), bytes(50*mb), func(l *sizer.Look) { l.Stopped = stopped }))
		p.until(11 * time.Minute)
		if e := p.last(Stalled); e.DownloaderStopped != (name == "stopped") || !e.DownloaderAlive {
			t.Errorf("%s: stopped %v, alive %v", name, e.DownloaderStopped, e.DownloaderAlive)
		}
	}
}

func TestAnEndedDownloadNamesWhatIsNotThere(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb), listing(gb, 9, 5)))
	p.see(also(tidy, func(l *sizer.Look) { l.Absent = []sizer.Absent{{Path: "b.bin", Size: mb}, {Path: "README.md"}} }))
	p.until(time.Hour)
	if e := p.last(Ended); !slices.Equal(e.Absent, []string{"b.bin", "README.md"}) {
		t.Errorf("not there: %q", e.Absent)
	}
	if e := p.last(Started); e.Absent != nil {
		t.Errorf("not there at the start: %q", e.Absent)
	}
}

func TestEmptyLeftoversAreNoMatter(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.see(also(tidy, proof, func(l *sizer.Look) { l.Orphans = 2 }))
	p.want("0s preparing 50", "0s started 50", "0s completed 50")
}

// What can't be seen isn't said to bring nothing: bytes may come all the while.
func TestWhatCannotBeReadIsNotCalledSilent(t *testing.T) {
	for what, c := range map[string]struct {
		hide func(p *player)
		why  string
	}{
		"a cache that can't be read": {func(p *player) {
			p.see(func(l *sizer.Look) { l.Unreadable = fmt.Errorf("open /hub/a: %w", syscall.EACCES) })
			p.until(3 * time.Minute)
		}, "permission denied"},
		"a disk that hangs": {func(p *player) { p.blind(3 * time.Minute) }, "no look at it has come back"},
	} {
		p := play(t, defaults)
		p.see(also(by(vllm), bytes(50*mb)))
		p.until(5 * time.Second)
		c.hide(p)
		e := p.last(Keepalive)
		if e.Reason != c.why || e.Silence < 30*time.Second || e.Silence > 3*time.Minute || e.Rate != 0 {
			t.Errorf("%s: %+v", what, e)
		}
		if n := p.count(Keepalive); n != 2 && n != 3 {
			t.Errorf("%s: told %d times in 3 minutes", what, n)
		}
		p.see(func(l *sizer.Look) { l.Unreadable = nil })
		p.until(5 * time.Minute)
		if e := p.last(Keepalive); e.Reason != "" {
			t.Errorf("%s: after its end: %+v", what, e)
		}
	}
}

// "hf cache prune" under a client takes the partial from under it: that is said at
// once, and not that a new attempt has begun.
func TestAPartialThatIsRemovedUnderItsDownloaderIsReported(t *testing.T) {
	for what, c := range map[string]struct {
		after func(p *player)
		want  time.Duration // 0: not said
	}{
		"it holds its lock":    {nil, 25 * time.Second},
		"it has begun another": {func(p *player) { p.see(also(by(cli), bytes(mb))) }, 0},
		"it is gone":           {func(p *player) { p.see(killed) }, 0},
		"it let its lock go":   {func(p *player) { p.see(func(l *sizer.Look) { l.Locked = false }) }, 0},
	} {
		p := play(t, defaults)
		p.see(also(by(cli), bytes(50*mb)))
		p.until(10 * time.Second)
		p.see(also(by(cli), bytes(700), func(l *sizer.Look) { l.Partials = 0 }))
		p.until(13 * time.Second)
		if c.after != nil {
			c.after(p)
		}
		p.until(50 * time.Second)
		for _, e := range p.events {
			removed := e.Kind == Restarted && e.Cause == CauseRemoved
			switch {
			case removed && (c.want == 0 || e.At.Sub(p.start) > c.want || !e.DownloaderAlive || e.Lost != 50*mb):
				t.Errorf("%s: %v after the start: %+v", what, e.At.Sub(p.start), e)
			case removed:
				c.want = 0
			}
		}
		if c.want != 0 {
			t.Errorf("%s: not said: %v", what, p.told())
		}
	}
}
