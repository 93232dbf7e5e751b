package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/live"
	"progressd/record"
	"progressd/socket"
)

// A trial plays to a waiter, on a clock of its own.
type trial struct {
	t   *testing.T
	w   *waiter
	now time.Time
}

var usual = waitRules{appear: time.Minute}

func try(t *testing.T, rules waitRules, models ...string) *trial {
	t.Helper()
	repos, err := parseModels(models)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return &trial{t, newWaiter(repos, rules, now), now}
}

func download(model string, state record.State) record.Download {
	return record.Download{Key: "k-" + model, State: state, Record: record.Record{Model: model, RepoType: "model", Message: string(state)}}
}

func (p *trial) stands(all ...record.Download) {
	p.w.hear(live.Update{Standing: &live.Standing{Downloads: all}}, p.now)
}

func (p *trial) tells(model, event string) {
	p.w.hear(live.Update{Key: "k-" + model, Event: &record.Record{Event: event, Model: model, RepoType: "model", Message: event}}, p.now)
}

func (p *trial) level(d record.Download) { p.w.hear(live.Update{Level: &d}, p.now) }

func (p *trial) loses() {
	p.w.hear(live.Update{Lost: &live.Lost{Err: errors.New("gone"), Since: p.now}}, p.now)
}

// after lets time pass, and answers whoever is to be asked for.
func (p *trial) after(d time.Duration, answers ...record.Download) (asked int) {
	p.now = p.now.Add(d)
	for _, t := range p.w.pass(p.now) {
		asked++
		var all []socket.Answered
		for _, a := range answers {
			if t.is(a.Record) {
				all = append(all, socket.Answered{Download: a})
			}
		}
		p.w.answered(t, all, nil, p.now)
	}
	return asked
}

// goesOn checks that it waits.
func (p *trial) goesOn() {
	p.t.Helper()
	if len(p.w.waiting()) == 0 {
		p.t.Fatalf("it has ended with %d: %+v", p.w.status(), p.w.targets[0].last)
	}
}

func (p *trial) ends(status int, message string) {
	p.t.Helper()
	if n := len(p.w.waiting()); n > 0 {
		p.t.Fatalf("it waits for %d", n)
	}
	if got := p.w.status(); got != status {
		p.t.Errorf("exit status %d, want %d", got, status)
	}
	if got := worded(p.w.targets[0].known(p.now), p.w.targets[0].status).Message; got != message {
		p.t.Errorf("it says %q, want %q", got, message)
	}
}

func TestWaitForADownload(t *testing.T) {
	p := try(t, usual, "org/a")
	p.stands()
	if n := p.after(0); n != 1 {
		t.Errorf("asked for %d", n)
	}
	p.after(59 * time.Second)
	p.tells("org/a", "preparing")
	p.after(24 * time.Hour) // however long it takes
	p.tells("org/other", "completed")
	p.tells("org/a", "stalled")
	p.tells("org/a", "moving")
	p.goesOn()
	p.tells("org/a", "completed")
	p.ends(0, "completed")
}

func TestWaitForWhatIsThere(t *testing.T) {
	p := try(t, usual, "org/a")
	p.stands(download("org/a", record.Interrupted)) // of a former attempt
	p.after(0, download("org/a", record.Completed))
	p.ends(0, "completed")
}

func TestWaitForWhatDoesNotBegin(t *testing.T) {
	five := int64(5e6)
	partial := download("org/a", record.Partial)
	partial.Bytes, partial.Message = &five, ""
	for _, c := range []struct {
		name    string
		stands  []record.Download
		answer  []record.Download
		rules   waitRules
		status  int // -1: it goes on
		message string
	}{
		{"unknown", nil, nil, usual, 4, "No download has begun: nothing of it is on disk"},
		{"a part is there", nil, []record.Download{partial}, usual, 4, "No download has begun: 5.0MB on disk"},
		{"interrupted before", []record.Download{download("org/a", record.Interrupted)}, []record.Download{download("org/a", record.Interrupted)}, usual, 1, "interrupted"},
		{"ended before", []record.Download{download("org/a", record.Ended)}, []record.Download{download("org/a", record.Ended)}, usual, 1, "ended"},
		{"interrupted before, and tried again", []record.Download{download("org/a", record.Interrupted)}, []record.Download{download("org/a", record.Interrupted)},
			waitRules{appear: time.Minute, untilCompleted: true}, -1, ""},
		{"unknown, though it is tried again", nil, nil, waitRules{appear: time.Minute, untilCompleted: true}, 4, "No download has begun: nothing of it is on disk"},
		{"without any time", nil, nil, waitRules{}, 4, "No download has begun: nothing of it is on disk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := try(t, c.rules, "org/a")
			p.stands(c.stands...)
			p.after(0, c.answer...)
			if c.rules.appear > 0 {
				p.goesOn()
				if n := p.after(c.rules.appear-time.Second, c.answer...); n > 0 {
					t.Errorf("asked for in between")
				}
				p.goesOn()
				p.after(time.Second, c.answer...)
			}
			if c.status < 0 {
				p.after(24*time.Hour, c.answer...)
				p.goesOn()
				return
			}
			p.ends(c.status, c.message)
		})
	}
}

// What became whole without a word is found by the last look.
func TestTheLastLookMayFindItWhole(t *testing.T) {
	p := try(t, usual, "org/a")
	p.stands()
	p.after(0)
	p.after(time.Minute, download("org/a", record.Completed))
	p.ends(0, "completed")
}

func TestWaitEndsBadly(t *testing.T) {
	for _, event := range []string{"interrupted", "failed", "ended", "removed"} {
		p := try(t, usual, "org/a")
		p.stands(download("org/a", record.Downloading))
		p.tells("org/a", event)
		p.ends(1, event)
		p = try(t, waitRules{appear: time.Minute, untilCompleted: true}, "org/a")
		p.stands(download("org/a", record.Downloading))
		p.tells("org/a", event)
		p.after(24 * time.Hour)
		p.goesOn()
		p.tells("org/a", "moving")
		p.tells("org/a", "completed")
		p.ends(0, "completed")
	}
}

func TestWaitMayEndWithAStall(t *testing.T) {
	stall := waitRules{appear: time.Minute, failOnStall: true}
	for name, play := range map[string]func(*trial){
		"told":         func(p *trial) { p.stands(download("org/a", record.Downloading)); p.tells("org/a", "stalled") },
		"at the start": func(p *trial) { p.stands(download("org/a", record.Stalled)) },
		"by its level": func(p *trial) { p.stands(); p.level(download("org/a", record.Stalled)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := try(t, stall, "org/a")
			play(p)
			p.ends(3, "stalled")
			p = try(t, usual, "org/a")
			play(p)
			p.goesOn()
		})
	}
}

func TestWaitOverALostDaemon(t *testing.T) {
	t.Run("for good", func(t *testing.T) {
		p := try(t, usual, "org/a")
		p.stands(download("org/a", record.Downloading))
		p.after(time.Hour)
		p.loses()
		p.after(nobodyFor - time.Second)
		p.loses()
		if p.w.nobody(p.now) {
			t.Error("given up too soon")
		}
		if p.after(time.Second); !p.w.nobody(p.now) || p.w.why().Error() != "gone" {
			t.Error("not given up")
		}
	})
	t.Run("before one was heard", func(t *testing.T) {
		p := try(t, usual, "org/a")
		if n := p.after(nobodyFor); n > 0 || !p.w.nobody(p.now) || p.w.why() == nil {
			t.Errorf("asked for %d", n)
		}
	})
	t.Run("again and again", func(t *testing.T) {
		p := try(t, usual, "org/a")
		for range 5 {
			p.stands(download("org/a", record.Downloading))
			p.loses()
			if p.after(20 * time.Second); p.w.nobody(p.now) {
				t.Error("given up")
			}
		}
		p.goesOn()
	})
	for state, status := range map[record.State]int{record.Interrupted: 1, record.Failed: 1, record.Ended: 1, record.Downloading: -1, record.Stalled: -1} {
		t.Run(fmt.Sprint("it was ", state, " meanwhile"), func(t *testing.T) {
			p := try(t, usual, "org/a")
			p.stands(download("org/a", record.Downloading))
			p.loses()
			p.after(5 * time.Second)
			p.stands(download("org/a", state))
			if status < 0 {
				p.goesOn()
				return
			}
			p.ends(status, string(state))
		})
	}
	t.Run("it is unknown to the one after", func(t *testing.T) {
		p := try(t, usual, "org/a")
		p.stands(download("org/a", record.Downloading))
		p.loses()
		p.after(5 * time.Second)
		p.stands()
		p.goesOn()
		p.after(0, download("org/a", record.Completed))
		p.ends(0, "completed")
	})
}

// What was given up without a line may begin once more.
func TestWaitForWhatIsGone(t *testing.T) {
	p := try(t, usual, "org/a")
	p.stands(download("org/a", record.Preparing))
	p.w.hear(live.Update{Gone: "k-org/a"}, p.now)
	p.after(0)
	p.goesOn()
	p.after(time.Minute)
	p.ends(4, "preparing")
}

func TestWaitForSeveral(t *testing.T) {
	p := try(t, usual, "org/a", "org/b", "datasets/org/a", "org/a")
	if len(p.w.targets) != 3 {
		t.Fatalf("%d targets", len(p.w.targets))
	}
	set := download("org/a", record.Downloading)
	set.RepoType, set.Key = "dataset", "k-set"
	p.stands(download("org/a", record.Downloading), set)
	p.tells("org/a", "completed")
	p.goesOn()
	p.after(0)
	p.after(time.Minute) // org/b never came
	p.goesOn()
	p.w.hear(live.Update{Key: "k-set", Event: &record.Record{Event: "interrupted", Model: "org/a", RepoType: "dataset"}}, p.now)
	p.ends(1, "completed")
	var each []int
	for _, t := range p.w.targets {
		each = append(each, t.status)
	}
	if fmt.Sprint(each) != "[0 4 1]" {
		t.Errorf("%v", each)
	}
}

// In two caches: one may yet succeed.
func TestWaitForOneInTwoCaches(t *testing.T) {
	other := download("org/a", record.Downloading)
	other.Key = "k2"
	p := try(t, usual, "org/a")
	p.stands(download("org/a", record.Downloading), other)
	p.tells("org/a", "interrupted")
	p.goesOn()
	p.w.hear(live.Update{Key: "k2", Event: &record.Record{Event: "completed", Model: "org/a", RepoType: "model", Message: "completed"}}, p.now)
	p.ends(0, "completed")
}

func TestBars(t *testing.T) {
	now := time.Now()
	at := func(bytes, total int64, change ...func(*record.Download)) []record.Download {
		d := download("org/a", record.Downloading)
		d.Bytes, d.Grown = &bytes, now
		if total > 0 {
			d.Total, d.Percent = total, "40.0"
		}
		for _, c := range change {
			c(&d)
		}
		return []record.Download{d}
	}
	moving := func(d *record.Download) { d.Rate, d.SecondsLeft = 1_500_000, 720 }
	for _, c := range []struct {
		name  string
		all   []record.Download
		width int
		want  string
	}{
		{"with a total", at(40, 100, moving), 80, "org/a  [#############.....................]  40.0%  40B/100B  1.5MB/s  ~12m left"},
		{"wide", at(40, 100), 200, "org/a  [################........................]  40.0%  40B/100B"},
		{"narrow", at(40, 100, moving), 40, "org/a  40.0%  40B/100B  1.5MB/s  ~12m le"},
		{"without a total", at(4e9, 0), 80, "org/a  4.0GB"},
		{"all of it", at(100, 100), 50, "org/a  [#######################]  40.0%  100B/100B"},
		{"at most", at(40, 100, moving, func(d *record.Download) { d.TotalSource = "listing-upper-bound" }), 60, "org/a  [#####........]  40.0%  40B/100B  1.5MB/s  <~12m left"},
		{"silent", at(4e9, 0, func(d *record.Download) { d.Grown = now.Add(-65 * time.Second); d.State = record.Stalled }), 80, "org/a  4.0GB  no new data for 1m05s  stalled"},
		{"nothing yet", nil, 80, "org/a  waiting for it to begin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWaiter([]hfcache.Repo{demoOf("org/a")}, usual, now)
			w.hear(live.Update{Standing: &live.Standing{Downloads: c.all}}, now)
			if got := barText(w, now, c.width); got != c.want {
				t.Errorf("%q\nwant\n%q", got, c.want)
			}
			if len(c.want) > c.width {
				t.Errorf("too wide: %d", len(c.want))
			}
		})
	}
	w := newWaiter([]hfcache.Repo{demoOf("org/a"), demoOf("org/b")}, usual, now)
	w.hear(live.Update{Standing: &live.Standing{Downloads: at(40, 100)}}, now)
	w.hear(live.Update{Lost: &live.Lost{Err: errors.New("x")}}, now)
	if got := barText(w, now, 80); got != "[0 of 2 done] org/a  waiting for progressd" {
		t.Errorf("%q", got)
	}
}

func demoOf(id string) hfcache.Repo { return hfcache.Repo{Type: hfcache.Model, ID: id} }

func TestTimesOfThePast(t *testing.T) {
	now := time.Date(2026, 10, 5, 22, 1, 15, 0, time.FixedZone("x", 7200))
	for text, want := range map[string]string{
		"10m": "2026-10-05T21:51:15+02:00", "-10m": "2026-10-05T21:51:15+02:00", "1h30m": "2026-10-05T20:31:15+02:00",
		"15:04": "2026-10-05T15:04:00+02:00", "15:04:05": "2026-10-05T15:04:05+02:00", "2026-10-04": "2026-10-04T00:00:00+02:00",
		"2026-10-04 15:04": "2026-10-04T15:04:00+02:00", "2026-10-04 15:04:05": "2026-10-04T15:04:05+02:00", "2026-10-04T15:04:05Z": "2026-10-04T15:04:05Z",
	} {
		if got, err := parseSince(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s is %v, %v, want %s", text, got, err, want)
		}
	}
	if got, err := parseSince("", now); err != nil || !got.IsZero() {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFilters(t *testing.T) {
	r := record.Record{Event: "stalled", Model: "org/a", Total: 5, Percent: "81.3"}
	for text, want := range map[string]bool{
		"": true, "event=stalled": true, "event=x": false, "event=x event=stalled": true, "event=stalled model=org/b": false,
		"event=stalled model=org/a": true, "total=5": true, "percent=81.3": true, "cause=gated": false, "root=": false,
	} {
		f, err := parseFilter(strings.Fields(text))
		if err != nil || f.takes(r) != want {
			t.Errorf("%q: %v, %v", text, f.takes(r), err)
		}
	}
	for _, text := range []string{"event", "Event=x", "in_flight=x", "=x"} {
		if _, err := parseFilter([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
