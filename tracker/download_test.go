package tracker

import (
	"testing"
	"time"

	"progressd/downloader"
	"progressd/sizer"
)

// TestLines plays one history for each rule of when a line is due.
func TestLines(t *testing.T) {
	tests := []struct {
		name string
		play func(p *player)
		want []string
	}{
		{"an empty partial begins a download", func(p *player) {
			p.see(by(vllm))
		}, []string{"0s preparing 0", "0s started 0"}},
		{"what was there before is resumed, its steps are told", func(p *player) {
			p.see(also(by(vllm), func(l *sizer.Look) { l.Base, l.Bytes = 550*mb, 560*mb }))
			p.until(10 * time.Second)
			p.see(bytes(599 * mb))
			p.see(bytes(600 * mb))
		}, []string{"0s preparing 560", "0s resumed 550", "10s progress 600"}},
		{"a step at the first look comes after started", func(p *player) {
			p.see(also(by(vllm), bytes(150*mb)))
		}, []string{"0s preparing 150", "0s started 150", "0s progress 150"}},
		{"each step once, many at once make one line", func(p *player) {
			p.see(by(vllm))
			for i, n := range []int64{99, 100, 150, 199, 850, 850, 901} {
				p.until(time.Duration(i+1) * 5 * time.Second)
				p.see(bytes(n * mb))
			}
		}, []string{"0s preparing 0", "0s started 0", "10s progress 100", "25s progress 850", "35s progress 901"}},
		{"proof completes at once, whatever else is due", func(p *player) {
			p.see(also(by(vllm), listing(gb, 9, 9)))
			p.until(10 * time.Second)
			p.see(also(bytes(gb), listing(gb, 9, 0), func(l *sizer.Look) { l.Proof = sizer.ProvenByListing }))
			p.until(2 * time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "10s completed 1000"}},
		{"no listing, tidy and quiet: completed after an info line", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(10 * time.Second)
			p.see(also(tidy, bytes(99*mb)))
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "40s unlisted 99", "40s completed 99"}},
		{"quiet begins anew with every byte and lock", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(10 * time.Second)
			p.see(tidy)
			p.until(35 * time.Second)
			p.see(bytes(60 * mb))
			p.until(60 * time.Second)
			p.see(by(vllm))
			p.until(70 * time.Second)
			p.see(tidy)
			p.until(99 * time.Second)
		}, []string{"0s preparing 50", "0s started 50"}},
		{"a command line program that still runs is not finished", func(p *player) {
			p.see(also(by(cli), bytes(50*mb)))
			p.until(10 * time.Second)
			p.see(func(l *sizer.Look) { l.Locked, l.Partials = false, 0 })
			p.until(9 * time.Minute)
			p.see(tidy)
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "9m30s unlisted 50", "9m30s completed 50"}},
		{"a server that lives on after its download is finished: a whole model", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(10 * time.Second)
			p.see(also(idle, func(l *sizer.Look) { l.Whole = true }))
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "40s unlisted 50", "40s completed 50"}},
		{"a gap in shard numbers ends without success", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb), func(l *sizer.Look) { l.ShardGap = true }))
			p.until(10 * time.Second)
			p.see(tidy)
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "40s ended 50"}},
		{"wanted files missing and nobody at it: interrupted, not ended", func(p *player) {
			p.see(also(by(cli), listing(gb, 9, 5), func(l *sizer.Look) { l.WantedKnown = true }))
			p.until(10 * time.Second)
			p.see(tidy)
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "1m10s interrupted 0"}},
		{"no downloader known: interrupted after the long limit", func(p *player) {
			p.see(also(bytes(50*mb), func(l *sizer.Look) { l.Partials = 1 }))
			p.until(2 * time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "10m0s interrupted 50"}},
		{"alive but its lock let go beside a dead partial: the long limit", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.see(func(l *sizer.Look) { l.Locked = false })
			p.until(2 * time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "10m0s interrupted 50"}},
		{"locked by somebody unseen is never interrupted", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(10 * time.Second)
			p.see(func(l *sizer.Look) { l.Alive = []bool{false} })
			p.until(2 * time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "10m0s stalled 50"}},
		{"stalled once per silence, then moving, then again", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(30 * time.Minute)
			p.see(bytes(60 * mb))
			p.until(41 * time.Minute)
		}, []string{"0s preparing 50", "0s started 50", "10m0s stalled 50", "30m0s moving 60", "40m0s stalled 60"}},
		{"moving again tells its step too", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(10 * time.Minute)
			p.see(bytes(250 * mb))
			p.see(bytes(260 * mb))
			p.see(bytes(300 * mb))
		}, []string{"0s preparing 50", "0s started 50", "10m0s stalled 50", "10m0s moving 250", "10m0s progress 300"}},
		{"interrupted, then new bytes: moving, the same episode", func(p *player) {
			p.see(also(by(vllm), bytes(150*mb)))
			p.see(killed)
			p.until(5 * time.Minute)
			p.see(also(by(vllm), bytes(190*mb)))
			p.until(6 * time.Minute)
			p.see(bytes(210 * mb))
		}, []string{"0s preparing 150", "0s started 150", "0s progress 150", "1m0s interrupted 150", "5m0s moving 190", "6m0s progress 210"}},
		{"interrupted, then bytes lost to a new attempt: restarted", func(p *player) {
			p.see(also(by(vllm), bytes(550*mb)))
			p.see(killed)
			p.until(5 * time.Minute)
			p.see(also(by(vllm), func(l *sizer.Look) { l.Bytes, l.Arrived = 130*mb, 10*mb }))
			p.until(6 * time.Minute)
			p.see(bytes(540 * mb))
			p.see(bytes(600 * mb))
		}, []string{"0s preparing 550", "0s started 550", "0s progress 550", "1m0s interrupted 550", "5m0s restarted 120", "6m0s progress 600"}},
		{"interrupted, then a lock for a file that is there: nothing", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.see(killed)
			p.until(5 * time.Minute)
			p.see(func(l *sizer.Look) { l.Locked, l.Partials = true, 0 })
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "1m0s interrupted 50"}},
		{"interrupted, then a new attempt without a byte gets its own time", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.see(killed)
			p.until(5 * time.Minute)
			p.see(by(vllm))
			p.until(20 * time.Minute)
		}, []string{"0s preparing 50", "0s started 50", "1m0s interrupted 50", "5m0s moving 50", "15m0s stalled 50"}},
		{"bytes of somebody unseen behind a dead downloader: the long limit", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(10 * time.Second)
			p.see(also(killed, bytes(51*mb))) // its last ones
			p.until(20 * time.Second)
			p.see(bytes(60 * mb))
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "10m20s interrupted 60"}},
		{"the last bytes of a dead downloader are its own", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(10 * time.Second)
			p.see(also(killed, bytes(51*mb)))
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "1m10s interrupted 51"}},
		{"a downloader that is seen is no stranger", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.see(killed)
			p.see(bytes(60 * mb))
			p.until(30 * time.Second)
			p.see(also(by(cli), bytes(61*mb)))
			p.see(killed)
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "1m30s interrupted 61"}},
		{"a new downloader has as long as its predecessor had", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.until(9 * time.Minute)
			p.see(by(cli))
			p.until(15 * time.Minute)
			p.see(nil) // the same one
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "19m0s stalled 50"}},
		{"interrupted and its partials tidied away by hand: never completed", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.see(killed)
			p.until(5 * time.Minute)
			p.see(tidy)
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "1m0s interrupted 50"}},
		{"orphans are told once, right before the verdict", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb), func(l *sizer.Look) { l.Orphans, l.OrphanBytes = 3, 5*gb }))
			p.see(killed)
			p.until(2 * time.Minute)
			p.see(also(by(vllm), bytes(60*mb)))
			p.see(func(l *sizer.Look) { l.Proof = sizer.ProvenByRequest })
		}, []string{"0s preparing 50", "0s started 50", "1m0s orphans 50", "1m0s interrupted 50", "2m0s moving 60", "2m0s completed 60"}},
		{"the facts stand when the repository is no more in play", func(p *player) {
			p.see(also(by(vllm), bytes(50*mb)))
			p.see(tidy)
			p.see(func(l *sizer.Look) { *l = sizer.Look{Root: l.Root, Repo: l.Repo} })
			p.until(time.Hour)
		}, []string{"0s preparing 50", "0s started 50", "30s unlisted 50", "30s completed 50"}},
		{"an empty file is a download too, of which nothing tells that it is whole", func(p *player) {
			p.see(also(by(vllm), func(l *sizer.Look) { l.FilesDone = 1 }))
			p.see(tidy)
			p.until(time.Hour)
		}, []string{"0s preparing 0", "0s started 0", "30s ended 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			tt.play(p)
			p.want(tt.want...)
		})
	}
}

func TestVerdictsSayWhoAndHowLong(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.until(10 * time.Minute)
	if e := p.last(Stalled); e.Downloader == nil || e.Downloader.PID != 4242 || !e.DownloaderAlive || e.Silence != 10*time.Minute {
		t.Errorf("stalled tells %+v", e)
	}
	p.see(killed)
	p.until(15 * time.Minute)
	if e := p.last(Interrupted); e.Downloader == nil || e.DownloaderAlive || e.Silence != 11*time.Minute {
		t.Errorf("interrupted tells %+v", e)
	}
}

func TestCompletedTellsTheMeanOfTheRun(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), func(l *sizer.Look) { l.Base, l.Bytes = gb, gb }))
	p.until(100 * time.Second)
	p.see(bytes(2 * gb))
	p.until(110 * time.Second)
	p.see(also(tidy, func(l *sizer.Look) { l.Proof = sizer.ProvenByListing }))
	e := p.last(Completed)
	if e.Took != 100*time.Second || e.Rate != 10*mb || e.Proof != sizer.ProvenByListing || e.Left != 0 {
		t.Errorf("took %v at %d, proof %q, left %v", e.Took, e.Rate, e.Proof, e.Left)
	}
}

func TestAPlayThatTakesOverKeepsTheRun(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.until(100 * time.Second)
	p.see(bytes(550 * mb))
	p.see(killed)
	p.until(300 * time.Second)
	// What the first attempt brought was there before the second play; what
	// another revision shares with this one is no sign of life.
	p.see(func(l *sizer.Look) { l.Play, l.Base, l.Bytes = "p2", 720*mb, 720*mb })
	p.until(400 * time.Second)
	p.see(also(by(vllm), bytes(740*mb)))
	p.until(500 * time.Second)
	p.see(also(bytes(1000*mb), func(l *sizer.Look) { l.Proof = sizer.ProvenByListing }))
	p.want("0s preparing 50", "0s started 50", "1m40s progress 550", "2m40s interrupted 550", "6m40s moving 740", "8m20s completed 1000")
	if e := p.last(Completed); e.Took != 500*time.Second || e.Fetched != 950*mb || e.Rate != 1_900_000 {
		t.Errorf("took %v at %d", e.Took, e.Rate)
	}
}

func TestQuietProofIsNamed(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.see(tidy)
	p.until(time.Minute)
	if e := p.last(Completed); e.Proof != ProvenByQuiet {
		t.Errorf("proof %q", e.Proof)
	}
}

func TestKeepalive(t *testing.T) {
	tests := []struct {
		name string
		play func(p *player)
		want int
		at   time.Duration // of the last one
	}{
		{"every minute while no byte comes", func(p *player) {
			p.see(by(vllm))
			p.until(5*time.Minute + time.Second)
		}, 5, 5 * time.Minute},
		{"none while other lines come", func(p *player) {
			p.see(by(vllm))
			for i := range int64(10) {
				p.until(time.Duration(i) * 59 * time.Second)
				p.see(bytes(i * 100 * mb))
			}
		}, 0, 0},
		{"goes on while stalled", func(p *player) {
			p.see(by(vllm))
			p.until(20*time.Minute + time.Second)
		}, 19, 20 * time.Minute}, // stalled itself was the line of the tenth
		{"never for a downloader that is gone", func(p *player) {
			p.see(by(vllm))
			p.until(30 * time.Second)
			p.see(killed)
			p.until(time.Hour)
		}, 0, 0},
		{"ends with interrupted", func(p *player) {
			p.see(func(l *sizer.Look) { l.Partials = 1 })
			p.until(time.Hour)
		}, 9, 9 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			tt.play(p)
			if n := p.count(Keepalive); n != tt.want {
				t.Fatalf("%d keepalives, want %d: %v", n, tt.want, p.told())
			}
			if tt.want > 0 && p.last(Keepalive).At.Sub(p.start) != tt.at {
				t.Errorf("the last at %v, want %v", p.last(Keepalive).At.Sub(p.start), tt.at)
			}
		})
	}
}

func TestKeepaliveTellsSilenceOrTheLastMinute(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(mb)))
	p.until(55 * time.Second)
	p.see(bytes(13 * mb))
	p.until(60 * time.Second)
	if e := p.last(Keepalive); e.LastMinute != 12*mb || e.Silence != 0 {
		t.Errorf("last minute %d, silence %v", e.LastMinute, e.Silence)
	}
	p.until(3 * time.Minute)
	if e := p.last(Keepalive); e.LastMinute != 0 || e.Silence != 125*time.Second {
		t.Errorf("last minute %d, silence %v", e.LastMinute, e.Silence)
	}
}

func TestStep(t *testing.T) {
	for _, tt := range []struct{ total, want int64 }{
		{0, 100 * mb}, {gb, 100 * mb}, {10 * gb, 100 * mb}, {10*gb + 1, 200 * mb}, {20 * gb, 200 * mb},
		{21 * gb, 500 * mb}, {51 * gb, gb}, {700 * gb, 10 * gb}, {1<<63 - 1, 100_000_000 * gb},
	} {
		if got := (Settings{}).step(tt.total); got != tt.want {
			t.Errorf("total %d: step %d, want %d", tt.total, got, tt.want)
		}
	}
	if got := (Settings{Step: 7}).step(700 * gb); got != 7 {
		t.Errorf("a step that was set is %d", got)
	}
}

func TestAutomaticStepNeverAnnouncesTwice(t *testing.T) {
	set := defaults
	set.Step = 0
	p := play(t, set)
	p.see(also(by(vllm), bytes(350*mb)))
	p.see(listing(40*gb, 9, 9)) // the step becomes 500MB
	p.see(bytes(450 * mb))
	p.see(bytes(510 * mb))
	p.see(listing(0, 0, 0)) // and 100MB again
	p.see(bytes(590 * mb))
	p.see(bytes(600 * mb))
	p.want("0s preparing 350", "0s started 350", "0s progress 350", "0s progress 510", "0s progress 600")
}

func TestTheLastLivingDownloaderIsNamed(t *testing.T) {
	all := []downloader.Process{{PID: 1}, {PID: 2}, {PID: 3}}
	for _, tt := range []struct {
		alive []bool
		pid   int
		lives bool
	}{{nil, 3, false}, {[]bool{true, true, false}, 2, true}, {[]bool{true}, 1, true}, {[]bool{false, false, false, true}, 3, false}} {
		if p, alive := latest(all, tt.alive); p.PID != tt.pid || alive != tt.lives {
			t.Errorf("%v: pid %d, alive %v", tt.alive, p.PID, alive)
		}
	}
}

// huggingface_hub up to 0.22 shows nothing of a file until it is in its place.
func TestAnAttemptThatCannotBeSeenBeganAgainAllTheSame(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(cli), bytes(150*mb)))
	p.until(10 * time.Second)
	p.see(also(tidy, bytes(20*mb)))
	p.until(20 * time.Second)
	p.see(also(by(vllm), func(l *sizer.Look) { l.Partials = 0 }))
	p.until(2 * time.Minute)
	p.want("0s preparing 150", "0s started 150", "0s progress 150", "1m0s restarted 20")
	if lost := p.last(Restarted).Lost; lost != 150*mb {
		t.Errorf("lost %d", lost)
	}
}
