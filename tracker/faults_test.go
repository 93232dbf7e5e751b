package tracker

import (
	"errors"
	"testing"
	"time"
	"unsafe"

	"progressd/sizer"
)

func TestFaults(t *testing.T) {
	tests := []struct {
		name string
		play func(p *player)
		want []string
	}{
		{"D1 partial vanishes and no blob comes", func(p *player) {
			p.see(also(by(vllm), bytes(150*mb)))
			p.see(also(tidy, bytes(0), func(l *sizer.Look) { l.Failed = 1 }))
			p.until(time.Hour)
		}, []string{"0s preparing 150", "0s started 150", "0s progress 150", "1m0s interrupted 0"}},
		{"D1 partial vanishes while nobody looks: the loss alone speaks against completion", func(p *player) {
			p.see(also(by(vllm), bytes(150*mb)))
			p.restart(time.Minute)
			p.see(also(tidy, bytes(20*mb)))
			p.until(time.Hour)
		}, []string{"0s preparing 150", "0s started 150", "0s progress 150", "2m0s interrupted 20"}},
		{"D2 retry from 0 under a new name", func(p *player) {
			p.see(also(by(vllm), bytes(350*mb)))
			p.see(also(bytes(0), func(l *sizer.Look) { l.Locked, l.Partials, l.Failed = false, 0, 1 }))
			p.until(10 * time.Second)
			p.see(also(by(vllm), bytes(10*mb)))
			p.until(20 * time.Second)
			p.see(bytes(390 * mb))
			p.see(bytes(400 * mb))
		}, []string{"0s preparing 350", "0s started 350", "0s progress 350", "10s restarted 0", "20s progress 400"}},
		{"D4 partial truncated in place", func(p *player) {
			p.see(also(by(vllm), bytes(550*mb)))
			p.until(10 * time.Second)
			p.see(func(l *sizer.Look) { l.Bytes, l.Arrived = 130*mb, 10*mb })
			p.see(bytes(150 * mb))
		}, []string{"0s preparing 550", "0s started 550", "0s progress 550", "10s restarted 120"}},
		{"D5 files of another revision that were there are no news", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(5 * time.Minute)
			p.see(func(l *sizer.Look) { l.Base, l.Bytes = 500*mb, 550*mb })
			p.until(10 * time.Minute)
		}, []string{"0s preparing 50", "0s started 50", "10m0s stalled 550"}},
		{"D6 a blob on its way to the shared store is no loss", func(p *player) {
			p.see(also(by(vllm), bytes(150*mb)))
			p.see(also(tidy, func(l *sizer.Look) { l.Bytes = 20 * mb }))
			p.see(also(by(vllm), func(l *sizer.Look) { l.Bytes = 150 * mb }))
		}, []string{"0s preparing 150", "0s started 150", "0s progress 150"}},
		{"D9 repository removed while active", func(p *player) {
			p.see(also(by(vllm), bytes(150*mb)))
			p.see(func(l *sizer.Look) { *l = sizer.Look{Root: l.Root, Repo: l.Repo, Gone: true} })
			p.until(time.Hour)
		}, []string{"0s preparing 150", "0s started 150", "0s progress 150", "0s removed 150"}},
		{"D11 killed", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(30 * time.Second)
			p.see(killed)
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "1m30s interrupted 50"}},
		{"D11 paused and resumed", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(20 * time.Minute)
			p.see(bytes(60 * mb))
			p.see(also(tidy, func(l *sizer.Look) { l.Proof = sizer.ProvenByListing }))
		}, []string{"0s preparing 50", "0s started 50", "10m0s stalled 50", "20m0s moving 60", "20m0s completed 60"}},
		{"D12 done between two polls", func(p *player) {
			p.see(also(bytes(150*mb), func(l *sizer.Look) { l.Proof = sizer.ProvenByListing }))
		}, []string{"0s preparing 150", "0s started 150", "0s completed 150"}},
		{"D13 many steps between two looks", func(p *player) {
			p.see(also(by(vllm), bytes(1)))
			p.see(bytes(9*gb + 1))
		}, []string{"0s preparing 0", "0s started 0", "0s progress 9000"}},
		{"D15 finished blob of another size", func(p *player) {
			p.see(also(by(vllm), listing(gb, 9, 0), bytes(950*mb)))
			p.until(10 * time.Second)
			p.see(also(tidy, func(l *sizer.Look) {
				l.Mismatched, l.Proof = &sizer.Mismatch{Path: "a", Got: 1, Want: 2}, sizer.ProvenByListing
			}))
			p.until(time.Hour)
		}, []string{"0s preparing 950", "0s started 950", "0s progress 950", "40s size-differs 950", "40s ended 950"}},
		{"D15 is said once over a restart, and proof doesn't outweigh it", func(p *player) {
			wrong := func(l *sizer.Look) {
				l.Mismatched, l.Proof = &sizer.Mismatch{Path: "a", Got: 1, Want: 2}, sizer.ProvenByListing
			}
			p.see(also(by(vllm), listing(gb, 9, 0), bytes(950*mb), wrong))
			p.until(defaults.QuietAfter)
			p.restart(5 * time.Second)
			p.see(also(tidy, wrong))
			p.until(time.Hour)
		}, []string{"0s preparing 950", "0s started 950", "0s progress 950", "30s size-differs 950", "1m5s ended 950"}},
		{"D15 a file that is copied in grows: it is accused when it no longer does", func(p *player) {
			p.see(also(by(vllm), listing(gb, 9, 0), bytes(950*mb)))
			for got := range int64(20) {
				p.see(also(tidy, bytes(950*mb+got), func(l *sizer.Look) { l.Mismatched = &sizer.Mismatch{Path: "a", Got: got, Want: 21} }))
				p.until(time.Duration(got+1) * 5 * time.Second)
			}
			p.see(also(tidy, func(l *sizer.Look) { l.Mismatched, l.Proof = nil, sizer.ProvenByListing }))
		}, []string{"0s preparing 950", "0s started 950", "0s progress 950", "1m40s completed 950"}},
		{"D16 wanted subset known", func(p *player) {
			p.see(also(by(cli), listing(100*mb, 2, 2), func(l *sizer.Look) { l.WantedKnown = true }))
			p.see(also(tidy, listing(100*mb, 2, 0), bytes(100*mb), func(l *sizer.Look) { l.Proof = sizer.ProvenByRequest }))
		}, []string{"0s preparing 0", "0s started 0", "0s completed 100"}},
		{"D16 wanted subset unknown, or ctrl-c", func(p *player) {
			p.see(also(by(vllm), listing(gb, 9, 9)))
			p.see(also(tidy, listing(gb, 9, 5), bytes(90*mb)))
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "30s ended 90"}},
		{"D16 a loader's choice known, its server runs on", func(p *player) {
			p.see(also(by(vllm), listing(gb, 9, 9)))
			p.see(also(listing(gb, 9, 5), bytes(90*mb), func(l *sizer.Look) {
				l.Locked, l.Partials, l.Settled = false, 0, sizer.ProvenByLoader
			}))
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "30s completed 90"}},
		{"D16 a loader without a listing that has its configuration and no weights", func(p *player) {
			p.see(also(by(vllm), bytes(1)))
			p.see(func(l *sizer.Look) { l.Locked, l.Partials, l.FilesDone, l.Lacking, l.Awaited = false, 0, 1, true, true })
			p.until(5 * time.Minute)
			p.see(also(by(vllm), bytes(150*mb), func(l *sizer.Look) { l.Lacking, l.Awaited = false, false }))
			p.see(func(l *sizer.Look) { l.Locked, l.Partials, l.FilesDone, l.Whole = false, 0, 2, true })
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "5m0s progress 150", "5m30s unlisted 150", "5m30s completed 150"}},
		{"D16 a loader without a listing, gone before its weights", func(p *player) {
			p.see(also(by(vllm), bytes(1)))
			p.see(also(tidy, func(l *sizer.Look) { l.FilesDone, l.Lacking = 1, true }))
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "30s ended 0"}},
		{"D16 a loader stopped by ctrl-c", func(p *player) {
			p.see(also(by(vllm), listing(gb, 9, 9)))
			p.see(also(listing(gb, 9, 5), bytes(90*mb), func(l *sizer.Look) { l.Locked, l.Partials, l.Lacking, l.Awaited = false, 0, true, true }))
			p.until(time.Minute)
			p.see(also(tidy, func(l *sizer.Look) { l.Lacking, l.Awaited = false, false }))
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "1m0s ended 90"}},
		{"R7 unreadable for an hour: no verdict of silence", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(9 * time.Minute)
			p.see(func(l *sizer.Look) { l.Unreadable = errors.New("EIO") })
			p.until(time.Hour)
			p.see(func(l *sizer.Look) { l.Unreadable = nil })
			p.until(61*time.Minute - time.Second)
		}, []string{"0s preparing 50", "0s started 50"}},
		{"R8 no look for an hour: no verdict of silence", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(9 * time.Minute)
			p.blind(time.Hour)
			p.until(60*time.Minute + 40*time.Second)
		}, []string{"0s preparing 50", "0s started 50"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			tt.play(p)
			p.want(tt.want...)
		})
	}
	t.Run("D19 a disk that is full, or too small, is named by the verdict", testDiskFull)
	t.Run("T1 wall clock a year forth and back", testWallClock)
	t.Run("T2 suspend for an hour", testSuspend)
	t.Run("V2 total below what is on disk", testTotalDropped)
	t.Run("V2 total negative", testTotalNegative)
}

// wallSet returns the time with its wall clock set forth, the monotonic one
// left alone: no function of package time does that.
func wallSet(tb testing.TB, at time.Time, forth time.Duration) time.Time {
	tb.Helper()
	type layout struct {
		wall uint64 // 1 bit flag, 33 bits of seconds, 30 bits of nanoseconds
		ext  int64
		loc  *time.Location
	}
	set := at
	(*layout)(unsafe.Pointer(&set)).wall += uint64(forth/time.Second) << 30
	if set.Sub(at) != 0 || set.Round(0).Sub(at.Round(0)) != forth {
		tb.Skip("the layout of time.Time is another one here")
	}
	return set
}

func testWallClock(t *testing.T) {
	const year = 365 * 24 * time.Hour
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.until(time.Minute)
	p.now = wallSet(t, p.now, year)
	p.until(5 * time.Minute)
	p.now = wallSet(t, p.now, -2*year)
	p.until(9*time.Minute + 59*time.Second)
	if p.count(Stalled) != 0 || p.count(Keepalive) != 9 {
		t.Errorf("told %v", p.told())
	}
	p.until(10 * time.Minute)
	if e := p.last(Stalled); e.Silence != 10*time.Minute {
		t.Errorf("stalled after %v", e.Silence)
	}
	ep := p.d.episode()
	if age := p.now.Round(0).Sub(ep.LastByteAt); age != 10*time.Minute {
		t.Errorf("the record tells of a byte %v ago", age)
	}
}

func testSuspend(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(1)))
	for i := range int64(60) {
		p.until(time.Duration(i+1) * 5 * time.Second)
		p.see(bytes(i * 50 * mb))
	}
	before := len(p.events)
	p.jump(time.Hour)
	p.events = append(p.events, p.d.tick(p.now)...)
	p.events = append(p.events, p.d.tick(p.now)...)
	p.see(nil)
	p.until(time.Hour + 5*time.Minute + 30*time.Second)
	p.see(bytes(3100 * mb))
	told := p.events[before:]
	if len(told) != 2 || told[0].Kind != Keepalive || told[1].Kind != Progress {
		t.Errorf("told %v", p.told()[before:])
	}
	if rate := told[1].Rate; rate > 11*mb {
		t.Errorf("absurd speed %d", rate)
	}
}

func testTotalDropped(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), listing(200*mb, 2, 2), bytes(50*mb)))
	p.see(bytes(201 * mb))
	p.see(bytes(310 * mb))
	p.see(listing(gb, 2, 2))
	p.see(bytes(410 * mb))
	p.want("0s preparing 50", "0s started 50", "0s total-dropped 201", "0s progress 201", "0s progress 310", "0s progress 410")
	if e := p.last(TotalDropped); e.Total != 200*mb {
		t.Errorf("the warning names a total of %d", e.Total)
	}
	if e := p.last(Progress); e.Total != 0 || e.TotalSource != sizer.NoTotal {
		t.Errorf("the total came back: %d", e.Total)
	}
}

func testTotalNegative(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), listing(-1, 2, 2), bytes(150*mb), func(l *sizer.Look) { l.Base = -5 }))
	p.see(func(l *sizer.Look) { l.Bytes, l.Arrived = -3, -7 })
	for _, e := range p.events {
		if e.Total != 0 || e.Bytes < 0 || e.Lost < 0 {
			t.Errorf("told %+v", e)
		}
	}
	p.want("0s preparing 150", "0s started 150", "0s progress 150", "0s restarted 0")
}
