package tracker

import (
	"testing"
	"time"

	"progressd/sizer"
)

// What may be all, and may not be: nothing is in flight, and the downloader lives.
func TestALivingDownloaderMayBeWaiting(t *testing.T) {
	tests := []struct {
		name string
		play func(p *player)
		want []string
	}{
		{"without a listing: that is said, and stall_after decides", func(p *player) {
			p.see(also(by(vllm), bytes(60*mb)))
			p.until(10 * time.Second)
			p.see(idle)
			p.until(time.Hour)
		}, []string{"0s preparing 60", "0s started 60", "40s idle 60", "10m10s unlisted 60", "10m10s completed 60"}},
		{"the hub has let it wait", func(p *player) {
			p.see(also(by(vllm), bytes(60*mb)))
			p.see(idle)
			p.until(100 * time.Second)
			p.see(also(by(vllm), bytes(90*mb)))
			p.see(idle)
			p.until(150 * time.Second)
			p.see(tidy)
			p.until(time.Hour)
		}, []string{"0s preparing 60", "0s started 60", "30s idle 60", "2m30s unlisted 90", "2m30s completed 90"}},
		{"and dies of it", func(p *player) {
			p.see(also(by(vllm), bytes(60*mb)))
			p.see(idle)
			p.until(100 * time.Second)
			p.see(also(tidy, func(l *sizer.Look) { l.Failed = 1 }))
			p.until(time.Hour)
		}, []string{"0s preparing 60", "0s started 60", "30s idle 60", "2m40s interrupted 60"}},
		{"said once over a restart", func(p *player) {
			p.see(also(by(vllm), bytes(60*mb)))
			p.see(idle)
			p.until(time.Minute)
			p.restart(time.Second)
			p.see(nil)
			p.until(5 * time.Minute)
		}, []string{"0s preparing 60", "0s started 60", "30s idle 60"}},
		{"a card without its data, a configuration without its weights", func(p *player) {
			p.see(also(by(vllm), bytes(mb)))
			p.see(also(idle, func(l *sizer.Look) { l.FilesDone, l.Lacking = 1, true }))
			p.until(time.Hour)
		}, []string{"0s preparing 1", "0s started 1", "30s idle 1", "10m0s ended 1"}},
		{"less than the listing: not ended as long as it may go on", func(p *player) {
			p.see(also(by(vllm), listing(gb, 9, 9)))
			p.see(also(idle, listing(gb, 9, 5), bytes(90*mb)))
			p.until(100 * time.Second)
			p.see(also(by(vllm), bytes(95*mb)))
			p.see(idle)
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "11m40s ended 95"}},
		{"less than the listing: ended when it is gone", func(p *player) {
			p.see(also(by(vllm), listing(gb, 9, 9)))
			p.see(also(idle, listing(gb, 9, 5), bytes(90*mb)))
			p.until(100 * time.Second)
			p.see(tidy)
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "1m40s ended 90"}},
		{"known by no lock: it is no more known to live than to be gone", func(p *player) {
			p.see(bytes(60 * mb))
			p.until(time.Hour)
		}, []string{"0s preparing 60", "0s started 60", "30s unlisted 60", "30s completed 60"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			tt.play(p)
			p.want(tt.want...)
		})
	}
}

func TestNeverBeforeQuietAfterIsItComplete(t *testing.T) {
	set := defaults
	set.QuietAfter, set.StallAfter = 20*time.Minute, 10*time.Minute
	p := play(t, set)
	p.see(also(by(vllm), bytes(60*mb)))
	p.see(idle)
	p.until(time.Hour)
	p.want("0s preparing 60", "0s started 60", "20m0s unlisted 60", "20m0s completed 60")
}

func TestWhoMayBeWaitingIsNamedInTime(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(60*mb)))
	p.see(idle)
	p.asOrdered(time.Minute)
	if e := p.last(Idle); e.At.Sub(p.start) != defaults.QuietAfter || e.Downloader == nil || e.Downloader.PID != 4242 || !e.DownloaderAlive {
		t.Errorf("told after %v: %+v", e.At.Sub(p.start), e)
	}
	p.until(9 * time.Minute)
	if n := p.count(Keepalive); n != 8 {
		t.Errorf("%d keepalives: %v", n, p.told())
	}
}

// Blobs that no snapshot names: a client that is done has linked them.
func TestWhatHasNoLinkIsNotComplete(t *testing.T) {
	unlinked := func(l *sizer.Look) { l.FilesDone, l.Unlinked = 2, 1 }
	for name, tt := range map[string]struct {
		play func(p *player)
		want []string
	}{
		"copied by nobody knows whom": {func(p *player) {
			p.see(also(bytes(60*mb), unlinked))
			p.until(time.Hour)
		}, []string{"0s preparing 60", "0s started 60", "10m0s interrupted 60"}},
		"its client is gone": {func(p *player) {
			p.see(also(by(vllm), bytes(60*mb)))
			p.see(also(tidy, unlinked))
			p.until(time.Hour)
		}, []string{"0s preparing 60", "0s started 60", "1m0s interrupted 60"}},
		"the link comes": {func(p *player) {
			p.see(also(by(vllm), bytes(60*mb)))
			p.see(also(tidy, unlinked))
			p.until(40 * time.Second)
			p.see(func(l *sizer.Look) { l.Unlinked = 0 })
			p.until(time.Hour)
		}, []string{"0s preparing 60", "0s started 60", "40s unlisted 60", "40s completed 60"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, defaults)
			tt.play(p)
			p.want(tt.want...)
		})
	}
	p := runs(t, hf, false)
	p.see(also(plays, by(cli), bytes(10*mb)))
	p.exits(Exit{}, also(tidy, unlinked))
	p.want("0s preparing 0", "0s started 10", "0s ended 10")
}
