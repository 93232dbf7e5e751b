package tracker

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"progressd/sizer"
)

// asOrdered lets time pass to so long after the start, ticking, with looks only
// where they are ordered.
func (p *player) asOrdered(at time.Duration) {
	end := p.start.Add(at)
	for tick := p.now.Add(beat); p.now.Before(end); {
		next := tick
		if by := p.d.lookBy(); !by.IsZero() && by.Before(next) {
			next = by
		}
		if next.After(p.now) {
			p.now = next
		}
		if by := p.d.lookBy(); !by.IsZero() && !p.now.Before(by) {
			p.see(nil)
		}
		if !p.now.Before(tick) {
			p.events = append(p.events, p.d.tick(p.now)...)
			tick = tick.Add(beat)
		}
	}
}

// waiting is each verdict that is waited for: how it comes to that, and how long.
var waiting = []struct {
	name  string
	begin func(p *player)
	want  Kind
	after func(Settings) time.Duration
}{
	{"completed", func(p *player) { p.see(tidy) }, Completed, func(s Settings) time.Duration { return s.QuietAfter }},
	{"ended", func(p *player) { p.see(also(tidy, listing(gb, 9, 5))) }, Ended, func(s Settings) time.Duration { return s.QuietAfter }},
	{"interrupted", func(p *player) { p.see(killed) }, Interrupted, func(s Settings) time.Duration { return s.InterruptAfter }},
	{"stalled", func(p *player) { p.see(nil) }, Stalled, func(s Settings) time.Duration { return s.StallAfter }},
	{"interrupted, by whom isn't known", func(p *player) {
		p.see(func(l *sizer.Look) { l.Locked, l.Downloaders, l.Alive = false, nil, nil })
	}, Interrupted, func(s Settings) time.Duration { return s.StallAfter }},
}

// times are what may be configured.
func times() []Settings {
	set := func(quiet, interrupt, stall time.Duration) Settings {
		s := defaults
		s.QuietAfter, s.InterruptAfter, s.StallAfter = quiet, interrupt, stall
		return s
	}
	return []Settings{
		defaults, set(100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond),
		set(time.Second, 2*time.Second, 3*time.Second), set(13*time.Second, 14*time.Second, 15*time.Second),
		set(20*time.Minute, 10*time.Minute, time.Minute), set(3*time.Hour, 24*time.Hour, 2*time.Hour),
	}
}

func TestTheLookThatIsOrderedBringsTheVerdict(t *testing.T) {
	for _, set := range times() {
		for _, w := range waiting {
			p := play(t, set)
			p.see(also(by(vllm), bytes(50*mb)))
			w.begin(p)
			p.asOrdered(w.after(set) + time.Minute)
			if got := p.last(w.want).At.Sub(p.start); got != w.after(set) {
				t.Errorf("%s after %v, want %v", w.name, got, w.after(set))
			}
		}
	}
}

// T2, and a daemon that was stopped: what nobody saw is no evidence.
func TestAStandstillIsNoPartOfAnyWait(t *testing.T) {
	const pause = time.Hour
	for _, set := range times() {
		for _, w := range waiting {
			limit := w.after(set)
			for _, at := range []time.Duration{0, limit / 3, limit - limit/9} {
				p := play(t, set)
				p.see(also(by(vllm), bytes(50*mb)))
				w.begin(p)
				p.asOrdered(at)
				if len(p.events) > 2 && p.events[len(p.events)-1].Kind == w.want {
					continue // it was short enough to come before
				}
				p.jump(pause)
				p.events = append(p.events, p.d.tick(p.now)...)
				p.asOrdered(pause + limit + time.Minute)
				if got := p.last(w.want).At.Sub(p.start) - pause; got < limit || got > limit+closely+beat {
					t.Errorf("%s %v after, want %v; it stood still after %v", w.name, got, limit, at)
				}
			}
		}
	}
}

// A reader that takes longer than it is asked for delays a verdict; one that
// hangs brings none.
func TestASlowReaderIsBelievedAtItsOwnRhythm(t *testing.T) {
	const every = 20 * time.Second
	for _, w := range waiting {
		p := play(t, defaults)
		p.every = every
		p.see(also(by(vllm), bytes(50*mb)))
		w.begin(p)
		p.until(w.after(defaults) + time.Minute)
		limit := w.after(defaults)
		if got := p.last(w.want).At.Sub(p.start); got < limit || got > limit+2*every {
			t.Errorf("%s after %v, want %v", w.name, got, limit)
		}
	}
}

func TestAKeepaliveWaitsForTheLookAfterAStandstill(t *testing.T) {
	tests := []struct {
		name string
		then func(p *player)
		want []Kind
	}{
		{"which brings bytes", func(p *player) { p.see(bytes(1360 * mb)) }, []Kind{Progress}},
		{"which brings nothing", func(p *player) { p.see(nil); p.blind(p.now.Sub(p.start) + time.Second) }, []Kind{Keepalive}},
		{"which was begun before", func(p *player) {
			p.look.At = p.now.Add(-11 * time.Minute)
			p.events = append(p.events, p.d.observe(p.look)...)
			p.events = append(p.events, p.d.tick(p.now)...)
			p.see(bytes(1360 * mb))
		}, []Kind{Progress}},
		{"which doesn't come", func(p *player) { p.blind(p.now.Sub(p.start) + 2*slack) }, []Kind{Keepalive}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, defaults)
			p.see(also(by(vllm), bytes(38*mb)))
			p.until(30 * time.Second)
			before := len(p.events)
			p.jump(11 * time.Minute)
			p.events = append(p.events, p.d.tick(p.now)...)
			if by := p.d.lookBy(); !by.Equal(p.now) {
				t.Errorf("the next look is ordered in %v", by.Sub(p.now))
			}
			tt.then(p)
			var told []Kind
			for _, e := range p.events[before:] {
				told = append(told, e.Kind)
			}
			if !slices.Equal(told, tt.want) {
				t.Errorf("told %v, want %v", told, tt.want)
			}
		})
	}
}

// Where no look comes there is no verdict, and the log is not silent for that.
func TestKeepalivesGoOnWhereTheVerdictDoesNotCome(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.until(9*time.Minute + 55*time.Second)
	p.blind(time.Hour)
	last := p.start
	for _, e := range p.events {
		if gap := e.At.Sub(last); gap > defaults.Keepalive+slack {
			t.Errorf("no line for %v before %v", gap, e.At.Sub(p.start))
		}
		last = e.At
	}
	if p.now.Sub(last) > defaults.Keepalive+slack || p.count(Stalled) > 0 {
		t.Errorf("told %v", p.told())
	}
}

// attentions are what a tracker orders, as text: root, seconds until the look,
// and what interest there is.
func attentions(said []Attention) string {
	var lines []string
	for _, a := range said {
		line := a.Root + " " + [...]string{"settled", "paused", "open"}[a.Interest]
		if !a.By.IsZero() {
			line += " " + a.By.Sub(a.Seen).String()
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

func TestHowCloselyToLookIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []Attention
		e := &engine{t: t, looks: make(chan sizer.Look), roots: make(chan RootChange)}
		tr := New(defaults, &e.commits, Hooks{Attend: func(a Attention) { said = append(said, a) }}, discard)
		restored := Episode{ID: "x", Root: "/old", Repo: model, Play: "p1", Seq: 2, Began: time.Now()}
		tr.Restore([]Episode{restored}, time.Now())
		done := make(chan error)
		go func() { done <- tr.Run(t.Context(), e.looks, e.roots) }()
		want := func(when, lines string) {
			t.Helper()
			synctest.Wait()
			if got := attentions(said); got != lines {
				t.Errorf("%s: %s; want %s", when, got, lines)
			}
			said = nil
		}
		want("before the first look", "/old open")
		e.see("/hub", "a/b", rest)
		want("of what rests", "")
		e.see("/hub", "a/b", by(vllm), bytes(50*mb))
		want("at first", "/hub open 6s")
		e.see("/hub", "a/b", by(vllm), func(l *sizer.Look) { l.Unreadable = errUnreadable })
		want("where nothing can be read", "/hub open")
		for range 27 {
			e.see("/hub", "a/b", by(vllm), tidy, func(l *sizer.Look) { l.Bytes = 50 * mb })
			pass(time.Second)
		}
		said = said[len(said)-1:]
		want("near the end", "/hub open 4s")
		e.roots <- RootChange{Root: "/hub", At: time.Now(), Gone: true}
		want("of a root that went", "/hub open")
		pass(2 * standstill)
		e.roots <- RootChange{Root: "/hub", At: time.Now()}
		pass(2 * beat) // what it holds now is listed first
		want("and came back", "")
		e.see("/hub", "a/b", by(vllm), proof, func(l *sizer.Look) { l.Bytes = 50 * mb })
		want("at the end", "/hub settled 0s")
		e.see("/hub", "a/b", func(l *sizer.Look) { l.Bytes = 50 * mb })
		want("behind it", "/hub settled")
		e.see("/hub", "a/b", rest, func(l *sizer.Look) { l.Gone = true })
		want("of what is gone", "")
		close(e.looks)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestADownloadThatHasStoppedIsWaitedForForADay(t *testing.T) {
	p := play(t, defaults)
	p.see(also(by(vllm), bytes(50*mb)))
	p.see(killed)
	p.until(2 * time.Minute)
	if got := p.d.interest(); got != sizer.Paused || !p.d.lookBy().IsZero() {
		t.Errorf("interrupted: %v, look by %v", got, p.d.lookBy())
	}
	p.jump(23 * time.Hour)
	if p.see(nil); p.d.interest() != sizer.Paused {
		t.Error("given up too soon")
	}
	p.jump(time.Hour)
	if p.see(nil); p.d.interest() != sizer.Settled {
		t.Error("not given up")
	}
	if p.see(bytes(60 * mb)); p.d.interest() != sizer.Open || p.count(Moving) != 1 {
		t.Errorf("told %v", p.told())
	}
}
