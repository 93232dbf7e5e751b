package tracker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/sizer"
)

const mb, gb = 1_000_000, 1_000_000_000

var (
	defaults = Settings{
		Step: 100 * mb, Keepalive: time.Minute,
		StallAfter: 10 * time.Minute, InterruptAfter: time.Minute, QuietAfter: 30 * time.Second,
	}
	model = hfcache.Repo{Type: hfcache.Model, ID: "org/name"}
	vllm  = downloader.Process{PID: 4242, Command: "vllm"}
	cli   = downloader.Process{PID: 77, Command: "hf", Request: &downloader.Request{Repo: model}}
)

// reporter is what a test and a random history have in common.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// player plays a history to one download: looks every so often, ticks every
// second, on a clock of its own.
type player struct {
	t          reporter
	set        Settings
	start, now time.Time
	every      time.Duration
	look       sizer.Look
	d          *download
	events     []Event
}

func play(t reporter, set Settings) *player {
	start := time.Now()
	return &player{t: t, set: set, start: start, now: start, every: 5 * time.Second, look: sizer.Look{
		Root: "/hub", Repo: model, At: start, InPlay: true, Play: "p1",
	}}
}

// see changes the facts and looks at once.
func (p *player) see(change func(l *sizer.Look)) {
	if change != nil {
		change(&p.look)
	}
	p.look.At, p.look.Checkpoint.Downloaders = p.now, p.look.Downloaders
	if p.d == nil {
		p.d = newDownload(p.set, p.look, p.look.Base)
	}
	p.follow(func() []Event { return p.d.observe(p.look) })
	p.look.Arrived = 0
}

// follow lets the download do something, and holds the phases that it goes through
// against the table of them.
func (p *player) follow(do func() []Event) {
	p.t.Helper()
	from := p.d.ep.Phase
	p.events = append(p.events, do()...)
	if to := p.d.ep.Phase; !reaches(from, to) {
		p.t.Errorf("from %s to %s", from, to)
	}
}

// reaches reports whether the table leads from one phase to another, by way of
// Active where a new attempt comes to its end at the look that shows it.
func reaches(from, to Phase) bool {
	return to.mayFollow(from) || PhaseActive.mayFollow(from) && to.mayFollow(PhaseActive)
}

// until lets time pass to so long after the start, looking and ticking.
func (p *player) until(at time.Duration) {
	for end := p.start.Add(at); p.now.Before(end); {
		p.now = p.now.Add(time.Second)
		p.follow(func() []Event { return p.d.tick(p.now) })
		if p.now.Sub(p.start)%p.every == 0 {
			p.see(nil)
		}
	}
}

// blind lets time pass to so long after the start, without a look.
func (p *player) blind(at time.Duration) {
	every := p.every
	p.every = 1 << 62
	p.until(at)
	p.every = every
}

// jump moves the clock on at one stroke.
func (p *player) jump(d time.Duration) { p.now = p.now.Add(d) }

// restart ends the process and begins a new one so long after.
func (p *player) restart(down time.Duration) {
	raw, err := json.Marshal(p.d.episode())
	if err != nil {
		p.t.Fatalf("%v", err)
	}
	var ep Episode
	if err := json.Unmarshal(raw, &ep); err != nil {
		p.t.Fatalf("%v", err)
	}
	p.jump(down)
	p.d = restoreDownload(p.set, ep, p.now)
}

// bytes is a change to a count of bytes.
func bytes(n int64) func(*sizer.Look) {
	return func(l *sizer.Look) {
		l.Arrived = max(n-l.Bytes, 0)
		l.Bytes = n
	}
}

// by is a change that shows a downloader at work with its lock.
func by(p downloader.Process) func(*sizer.Look) {
	return func(l *sizer.Look) {
		l.Downloaders, l.Alive = []downloader.Process{p}, []bool{true}
		l.Locked, l.Partials = true, 1
	}
}

// listing is a change that gives a total.
func listing(total int64, files, missing int) func(*sizer.Look) {
	return func(l *sizer.Look) {
		l.Total, l.TotalSource = total, sizer.FromListingAtMost
		l.Files, l.FilesDone, l.Missing = files, files-missing, missing
	}
}

// killed leaves the partial behind, tidy doesn't, neither holds a lock.
func killed(l *sizer.Look) { l.Locked, l.Alive = false, make([]bool, len(l.Downloaders)) }

func tidy(l *sizer.Look) {
	killed(l)
	l.Partials = 0
}

// idle lets go of the lock and lives on.
func idle(l *sizer.Look) { l.Locked, l.Partials = false, 0 }

func also(changes ...func(*sizer.Look)) func(*sizer.Look) {
	return func(l *sizer.Look) {
		for _, change := range changes {
			change(l)
		}
	}
}

// told are the events as text: time since the start, kind and bytes in MB.
func (p *player) told() []string {
	var lines []string
	for _, e := range p.events {
		lines = append(lines, fmt.Sprintf("%v %s %d", e.At.Sub(p.start).Round(time.Second), e.Kind, e.Bytes/mb))
	}
	return lines
}

// want compares what was told with lines, keepalives left out.
func (p *player) want(lines ...string) {
	p.t.Helper()
	told := slices.DeleteFunc(p.told(), func(s string) bool { return strings.Contains(s, string(Keepalive)) })
	if !slices.Equal(told, lines) {
		p.t.Errorf("told\n\t%s\nwant\n\t%s", strings.Join(told, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// last is the newest event of a kind.
func (p *player) last(kind Kind) Event {
	p.t.Helper()
	for _, e := range slices.Backward(p.events) {
		if e.Kind == kind {
			return e
		}
	}
	p.t.Fatalf("no %s was told", kind)
	return Event{}
}

func (p *player) count(kind Kind) (n int) {
	for _, e := range p.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}
