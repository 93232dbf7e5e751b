package tracker

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"progressd/sizer"
)

// fly is a change that shows files in flight.
func fly(files ...sizer.InFlight) func(*sizer.Look) {
	return func(l *sizer.Look) { l.InFlight, l.Partials = files, len(files) }
}

// stream lets 10 MB come every second for so long.
func (p *player) stream(d time.Duration) {
	for end := p.now.Add(d); p.now.Before(end); {
		p.jump(time.Second)
		p.events = append(p.events, p.d.tick(p.now)...)
		p.see(bytes(p.look.Bytes + 10*mb))
	}
}

func TestProgressTellsTheSpeedOfTheDownloadAndOfItsFiles(t *testing.T) {
	p := play(t, defaults)
	a, b := sizer.InFlight{Etag: "1", Name: "a", Size: gb}, sizer.InFlight{Etag: "2", Name: "b"}
	p.see(also(by(vllm), listing(2*gb, 2, 2), fly(a, b)))
	for range 60 {
		p.jump(time.Second)
		a.Bytes, b.Bytes = a.Bytes+8*mb, b.Bytes+2*mb
		p.see(also(bytes(p.look.Bytes+10*mb), fly(a, b)))
	}
	e := p.last(Progress)
	if e.Rate != 10*mb || e.Left != 140*time.Second || e.Partials != 2 {
		t.Errorf("told %+v", e)
	}
	if got, want := fmt.Sprint(e.InFlight), "[{a 480000000 1000000000 8000000} {b 120000000 0 2000000}]"; got != want {
		t.Errorf("in flight %s, want %s", got, want)
	}
	p.jump(time.Second)
	c := sizer.InFlight{Etag: "3", Name: "a", Size: gb, Bytes: 50 * mb}
	p.see(also(bytes(p.look.Bytes+100*mb), fly(c)))
	if e := p.last(Progress); len(e.InFlight) != 1 || e.InFlight[0].Rate != 0 {
		t.Errorf("another file has the speed of the one before: %+v", e.InFlight)
	}
	if n := len(p.d.speed.files); n != 1 {
		t.Errorf("%d files are remembered", n)
	}
}

func TestOneFileThatHangsDoesNotSilenceTheRest(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), fly(sizer.InFlight{Etag: "1"}, sizer.InFlight{Etag: "2"})))
	p.stream(time.Hour)
	if e := p.last(Progress); e.Rate != 10*mb {
		t.Errorf("rate %d", e.Rate)
	}
}

func TestNoSpeedWhereNothingMoves(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		play func(p *player)
	}{
		{Keepalive, func(p *player) { p.until(92 * time.Second) }},
		{Stalled, func(p *player) { p.until(2 * time.Minute) }},
		{Interrupted, func(p *player) { p.see(killed); p.until(time.Hour) }},
		{Ended, func(p *player) { p.see(tidy); p.until(time.Hour) }},
		{Removed, func(p *player) {
			p.see(func(l *sizer.Look) { *l = sizer.Look{Root: l.Root, Repo: l.Repo, Gone: true} })
		}},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			set := defaults // verdicts come while a speed would still be known
			set.StallAfter, set.InterruptAfter, set.QuietAfter = 40*time.Second, 20*time.Second, 10*time.Second
			set.Keepalive = 30 * time.Second
			p := play(t, set)
			file := sizer.InFlight{Etag: "1", Name: "a", Size: 2 * gb}
			p.see(also(by(vllm), listing(2*gb, 2, 1), fly(file)))
			for range 60 {
				p.jump(time.Second)
				file.Bytes += 10 * mb
				p.see(also(bytes(file.Bytes), fly(file)))
			}
			if e := p.last(Progress); e.Rate == 0 || e.Left == 0 || e.InFlight[0].Rate == 0 {
				t.Fatalf("nothing to take away: %+v", e)
			}
			tt.play(p)
			e := p.last(tt.kind)
			if e.Rate != 0 || e.Left != 0 || len(e.InFlight) > 0 && e.InFlight[0].Rate != 0 {
				t.Errorf("told %+v", e)
			}
		})
	}
}

func TestAKeepaliveOfAMovingDownloadTellsItsSpeed(t *testing.T) {
	set := defaults
	set.Step = 100 * gb
	p := play(t, set)
	p.see(by(vllm))
	p.stream(2 * time.Minute)
	if e := p.last(Keepalive); e.Rate != 10*mb || e.Left != 0 {
		t.Errorf("told %+v", e)
	}
}

func TestWhatWasThereIsNoSpeed(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), func(l *sizer.Look) { l.Base, l.Bytes = 500*gb, 500*gb }))
	p.stream(5 * time.Second)
	p.see(func(l *sizer.Look) { l.Base, l.Bytes = l.Base+100*gb, l.Bytes+100*gb }) // of another revision
	p.stream(25 * time.Second)
	if e := p.last(Progress); e.Rate != 10*mb {
		t.Errorf("rate %d", e.Rate)
	}
}

func TestARestartLosesSamplesOnly(t *testing.T) {
	p := play(t, defaults)
	p.see(by(vllm))
	p.stream(time.Minute)
	p.restart(time.Hour)
	p.see(bytes(p.look.Bytes + 30*gb)) // came meanwhile
	p.see(bytes(p.look.Bytes + 100*mb))
	if e := p.last(Progress); e.Rate != 0 {
		t.Errorf("right after it, a rate of %d", e.Rate)
	}
	p.stream(20 * time.Second)
	if e := p.last(Progress); e.Rate != 10*mb {
		t.Errorf("then a rate of %d", e.Rate)
	}
}

func TestNoAbsurdSpeedAfterAPause(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause func(p *player)
	}{
		{"T1 wall clock a year forth", func(p *player) { p.now = wallSet(t, p.now, 365*24*time.Hour) }},
		{"T1 wall clock a year back", func(p *player) { p.now = wallSet(t, p.now, -365*24*time.Hour) }},
		{"T2 no look for an hour, and nothing came", func(p *player) { p.jump(time.Hour) }},
		{"T2 no look for an hour, and it went on", func(p *player) {
			p.jump(time.Hour)
			p.see(bytes(p.look.Bytes + 36*gb))
		}},
		{"stalled for an hour", func(p *player) { p.until(time.Hour) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			p.see(by(vllm))
			p.stream(5 * time.Minute)
			tt.pause(p)
			for range 60 {
				p.stream(time.Second)
				if e := p.d.event(Progress); e.Rate > 10*mb {
					t.Fatalf("a rate of %d %v after it", e.Rate, p.now.Sub(p.start))
				}
			}
			if e := p.last(Progress); e.Rate < 9*mb {
				t.Errorf("a minute after it, a rate of %d", e.Rate)
			}
		})
	}
}

func TestTheMeanOfARun(t *testing.T) {
	done := also(tidy, func(l *sizer.Look) { l.Proof = sizer.ProvenByListing })
	for _, tt := range []struct {
		name    string
		play    func(p *player)
		took    time.Duration
		fetched int64
	}{
		{"counts pauses", func(p *player) { p.until(time.Hour); p.stream(time.Second) }, time.Hour + time.Second, 1010 * mb},
		{"counts a restart", func(p *player) { p.restart(time.Minute); p.see(nil); p.stream(time.Second) }, 161 * time.Second, 1010 * mb},
		{"is none where the last bytes came while nobody watched", func(p *player) {
			p.restart(time.Hour)
			p.see(bytes(2 * gb))
			p.restart(time.Minute)
		}, 0, 0},
		{"is one if more come then", func(p *player) {
			p.restart(time.Hour)
			p.see(bytes(2 * gb))
			p.stream(time.Second)
		}, time.Hour + 101*time.Second, 2010 * mb},
		{"survives a clock set back a day over a restart", func(p *player) { p.restart(-24 * time.Hour); p.see(nil); p.stream(time.Second) }, 101 * time.Second, 1010 * mb},
		{"survives a clock set back a little over a restart", func(p *player) { p.restart(-99 * time.Second); p.see(nil); p.stream(time.Second) }, 101 * time.Second, 1010 * mb},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			p.see(by(vllm))
			p.stream(100 * time.Second)
			tt.play(p)
			p.see(done)
			if e := p.last(Completed); e.Took != tt.took || e.Fetched != tt.fetched || e.Rate != perSecond(tt.fetched, tt.took) {
				t.Errorf("took %v for %d, %d a second", e.Took, e.Fetched, e.Rate)
			}
		})
	}
	t.Run("leaves out what had come before the first look", func(t *testing.T) {
		p := play(t, defaults)
		p.see(also(by(vllm), bytes(10*gb)))
		p.stream(10 * time.Second)
		p.see(done)
		if e := p.last(Completed); e.Rate != 10*mb || e.Fetched != 100*mb {
			t.Errorf("%d at %d a second", e.Fetched, e.Rate)
		}
	})
	t.Run("is none of a moment", func(t *testing.T) {
		p := play(t, defaults)
		p.see(by(vllm))
		p.jump(999 * time.Millisecond)
		p.see(also(bytes(gb), done))
		if e := p.last(Completed); e.Rate != 0 || e.Took != 0 {
			t.Errorf("took %v at %d", e.Took, e.Rate)
		}
	})
}

// What an older version has left in the state directory is read: files in
// flight were names only, and no record told how long the run took.
func TestWhatAnOlderVersionWroteIsRead(t *testing.T) {
	var e Event
	if err := json.Unmarshal([]byte(`{"id":"x-1","kind":"stalled","in_flight":["a","b"],"rate":5}`), &e); err != nil || e.ID != "x-1" || e.InFlight != nil {
		t.Errorf("the event is %+v, %v", e, err)
	}
	p := play(t, defaults)
	p.see(by(vllm))
	p.stream(100 * time.Second)
	ep := p.d.episode()
	ep.Took, ep.Ahead, ep.Unwatched = 0, 0, false
	p.jump(time.Minute)
	p.d = restoreDownload(defaults, ep, p.now)
	p.see(nil)
	p.stream(time.Second)
	p.see(also(tidy, func(l *sizer.Look) { l.Proof = sizer.ProvenByListing }))
	if e := p.last(Completed); e.Took != 161*time.Second || e.Fetched != 1010*mb {
		t.Errorf("took %v for %d", e.Took, e.Fetched)
	}
}
