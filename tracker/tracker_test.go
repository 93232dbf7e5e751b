package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
	"progressd/sizer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// commits records what the tracker commits.
type commits struct {
	episodes []*Episode
	events   []Event
}

func (c *commits) Commit(ep *Episode, events []Event) {
	c.episodes = append(c.episodes, ep)
	c.events = append(c.events, events...)
}

// told are the events as "repo kind", keepalives left out.
func (c *commits) told() []string {
	var lines []string
	for _, e := range c.events {
		if e.Kind != Keepalive {
			lines = append(lines, strings.TrimSpace(e.Repo.ID+" "+string(e.Kind)))
		}
	}
	return lines
}

func (c *commits) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(c.told(), lines) {
		t.Errorf("told\n\t%s\nwant\n\t%s", strings.Join(c.told(), "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// engine is a running tracker in a bubble of its own time.
type engine struct {
	commits
	t      *testing.T
	looks  chan sizer.Look
	roots  chan RootChange
	status []string
	stop   func()
}

func runEngine(t *testing.T, restored []Episode, alive func()) *engine {
	t.Helper()
	e := &engine{looks: make(chan sizer.Look), roots: make(chan RootChange)}
	hooks := Hooks{Status: func(s string) { e.status = append(e.status, s) }, Alive: alive, AliveEvery: 10 * time.Second}
	tr := New(defaults, &e.commits, hooks, slog.New(slog.DiscardHandler))
	tr.Restore(restored, time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- tr.Run(ctx, e.looks, e.roots) }()
	e.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	return e
}

// see sends a look of a model and waits until it is judged.
func (e *engine) see(root, id string, changes ...func(*sizer.Look)) {
	look := sizer.Look{
		Root: root, Repo: hfcache.Repo{Type: hfcache.Model, ID: id}, At: time.Now(), InPlay: true, Play: "p1",
	}
	also(changes...)(&look)
	e.looks <- look
	synctest.Wait()
}

func pass(d time.Duration) {
	<-time.After(d) // the bubble's time, not ours
	synctest.Wait()
}

func proof(l *sizer.Look) { l.Proof = sizer.ProvenByListing }
func rest(l *sizer.Look)  { *l = sizer.Look{Root: l.Root, Repo: l.Repo, At: l.At} }

func TestAPlayIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		e.see("/hub", "a/b", rest)
		e.see("/hub", "a/b", func(l *sizer.Look) { l.Unreadable = errors.New("EIO") })
		e.see("/hub", "a/b", func(l *sizer.Look) { l.Gone = true })
		e.want(t)
		e.see("/hub", "a/b", by(vllm), bytes(50*mb), proof)
		// The play lingers on, without anything new ...
		e.see("/hub", "a/b", by(vllm), proof, func(l *sizer.Look) { l.Bytes = 50 * mb })
		e.see("/hub", "a/b", func(l *sizer.Look) { l.Bytes = 50 * mb })
		// ... until something comes, which is an episode of its own.
		e.see("/hub", "a/b", by(vllm), func(l *sizer.Look) { l.Bytes, l.Arrived = 70*mb, 20*mb })
		e.see("/hub", "a/b", by(vllm), proof, func(l *sizer.Look) { l.Bytes = 70 * mb })
		e.see("/hub", "a/b", rest)
		e.see("/hub", "a/b", by(vllm), proof, func(l *sizer.Look) { l.Play, l.Bytes = "p2", 80*mb })
		e.see("/hub", "a/b", func(l *sizer.Look) { l.Gone = true })
		e.stop()
		e.want(t, "a/b preparing", "a/b started", "a/b completed",
			"a/b preparing", "a/b resumed", "a/b completed",
			"a/b preparing", "a/b started", "a/b completed")
		if resumed := e.events[4]; resumed.Bytes != 50*mb {
			t.Errorf("resumed from %d", resumed.Bytes)
		}
	})
}

// D18: models of several roots at once.
func TestFaultsOfMany(t *testing.T) {
	t.Run("D18 lines are never mixed up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := runEngine(t, nil, nil)
			for i := range int64(20) {
				for _, root := range []string{"/a", "/b"} {
					for m := range int64(3) {
						// The count tells whose it is in its lower digits.
						mark := int64(len(root+fmt.Sprint(m))) + m*10 + int64(root[1])*1000
						e.see(root, fmt.Sprintf("o/m%d", m), by(vllm), func(l *sizer.Look) {
							l.Bytes, l.Arrived = i*150*mb+mark, 150*mb
						})
					}
				}
				pass(5 * time.Second)
			}
			e.stop()
			for _, ev := range e.events {
				m := int64(ev.Repo.ID[3] - '0')
				if mark := int64(3) + m*10 + int64(ev.Root[1])*1000; ev.Bytes%mb != mark {
					t.Errorf("%s %s tells of %d", ev.Root, ev.Repo.ID, ev.Bytes)
				}
			}
			if len(e.events) < 6*20 {
				t.Errorf("only %d lines", len(e.events))
			}
		})
	})
	t.Run("R3 a root that is away has no verdicts and no keepalives", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := runEngine(t, nil, nil)
			e.see("/a", "o/m", by(vllm), bytes(mb))
			e.roots <- RootChange{Gone: true, Root: "/a", At: time.Now()}
			synctest.Wait()
			before := len(e.events)
			pass(2 * time.Hour)
			if len(e.events) != before {
				t.Errorf("told %v meanwhile", e.told())
			}
			e.roots <- RootChange{Root: "/a", At: time.Now()}
			e.see("/a", "o/m", by(vllm), func(l *sizer.Look) { l.Bytes = mb })
			for range 10 * 12 {
				pass(5 * time.Second)
				e.see("/a", "o/m", by(vllm), func(l *sizer.Look) { l.Bytes = mb })
			}
			e.stop()
			e.want(t, "o/m preparing", "o/m started", "root-gone", "root-back", "o/m stalled")
			for _, ev := range e.events {
				if ev.ID == "" {
					t.Errorf("%s has no id", ev.Kind)
				}
			}
		})
	})
}

func TestStatusAndPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pulses := 0
		e := runEngine(t, nil, func() { pulses++ })
		synctest.Wait()
		pass(time.Minute)
		e.see("/a", "o/m", by(vllm), listing(gb, 9, 9), bytes(614*mb))
		e.see("/a", "o/other", by(vllm), bytes(350*mb)) // too soon to be told
		pass(statusEvery)
		e.see("/a", "o/m", by(vllm), proof, bytes(gb))
		pass(statusEvery)
		e.see("/a", "o/other", by(vllm), proof, bytes(gb))
		pass(time.Minute)
		e.stop()
		want := []string{"no downloads", "1 download: o/m 61.4%", "2 downloads: o/m 61.4%, o/other 350MB", "1 download: o/other 350MB", "no downloads"}
		if !slices.Equal(e.status, want) {
			t.Errorf("status %q, want %q", e.status, want)
		}
		if pulses < 11 || pulses > 13 {
			t.Errorf("%d pulses in 2 minutes, want 12", pulses)
		}
	})
}

func TestTimeAloneBringsKeepalives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		e.see("/a", "o/m", by(vllm))
		pass(5*time.Minute + time.Second)
		e.stop()
		if n := len(e.events); n != 2+5 {
			t.Errorf("%d lines in 5 minutes, want preparing, started and 5 keepalives", n)
		}
	})
}

func TestNothingWakesAnIdleEngine(t *testing.T) {
	tr := New(defaults, &commits{}, Hooks{}, slog.New(slog.DiscardHandler))
	now := time.Now()
	look := sizer.Look{Root: "/a", Repo: model, At: now, InPlay: true, Partials: 1}
	want := func(ticking bool, when string) {
		t.Helper()
		if tr.ticking() != ticking {
			t.Errorf("%s: ticking is %v", when, !ticking)
		}
	}
	want(false, "at first")
	tr.observe(look)
	want(true, "with a download")
	tr.root(RootChange{Gone: true, Root: "/a", At: now})
	want(false, "with its root gone")
	tr.root(RootChange{Root: "/a", At: now})
	want(true, "with its root back")
	for range 130 { // interrupted meanwhile
		look.At = look.At.Add(5 * time.Second)
		tr.observe(look)
	}
	want(false, "with an interrupted download")
	look.Arrived, look.Bytes = 1, 1
	tr.observe(look)
	want(true, "when it moves again")
	look.Proof = sizer.ProvenByListing
	tr.observe(look)
	want(false, "when it is complete")
}

func TestStatusNamesAFew(t *testing.T) {
	tr := New(defaults, &commits{}, Hooks{}, slog.New(slog.DiscardHandler))
	for i := range 10 {
		look := sizer.Look{Root: "/a", Repo: hfcache.Repo{ID: fmt.Sprintf("o/m%d", i)}, At: time.Now(), InPlay: true}
		tr.observe(look)
	}
	text := tr.describe()
	if !strings.HasPrefix(text, "10 downloads: o/m0 0B, ") || !strings.HasSuffix(text, ", o/m7 0B, ...") {
		t.Errorf("status %q", text)
	}
}

func TestBytesAreNotedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		for i := range int64(120) { // a minute
			e.see("/a", "o/m", by(vllm), bytes(i))
			pass(500 * time.Millisecond)
		}
		if n := len(e.episodes); n < 5 || n > 8 {
			t.Errorf("%d commits in a minute", n)
		}
		n := len(e.episodes)
		e.see("/a", "o/m", by(vllm), bytes(119), func(l *sizer.Look) { l.Checkpoint.Failed = 1 })
		if len(e.episodes) != n+1 || e.episodes[n].Checkpoint.Failed != 1 {
			t.Error("what the sizer learned was not noted at once")
		}
		e.see("/a", "o/m", by(vllm), bytes(200), func(l *sizer.Look) { l.Checkpoint.Failed = 1 })
		e.stop()
		if last := e.episodes[len(e.episodes)-1]; last.Bytes != 200 || last.Over() {
			t.Errorf("stopped at %+v", last)
		}
	})
}

func TestRestoredEpisodesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		e.see("/a", "o/m", by(vllm), bytes(150*mb))
		e.see("/a", "o/done", by(vllm), bytes(50*mb), proof)
		e.stop()
		var records []Episode
		for _, ep := range e.episodes {
			records = append(records, *ep)
		}
		pass(time.Hour)
		next := runEngine(t, records[len(records)-3:], nil)
		pass(time.Hour) // not a word before it is looked at
		next.see("/a", "o/m", by(vllm), func(l *sizer.Look) { l.Bytes = 150 * mb })
		next.see("/a", "o/m", by(vllm), bytes(200*mb))
		next.stop()
		next.want(t, "o/m progress")
		if last := next.episodes[len(next.episodes)-1]; !last.Over() && last.ID != records[0].ID {
			t.Errorf("the episode became another one: %s", last.ID)
		}
	})
}

func TestRunEndsWithItsLooks(t *testing.T) {
	tr := New(defaults, &commits{}, Hooks{}, slog.New(slog.DiscardHandler))
	looks := make(chan sizer.Look)
	close(looks)
	if err := tr.Run(t.Context(), looks, nil); err != nil {
		t.Error(err)
	}
}

func TestWhatCompletesAPlayThatWasToldAsEndedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		subset := func(l *sizer.Look) { l.Bytes, l.Total, l.Files, l.FilesDone, l.Missing = 20*mb, 50*mb, 2, 1, 1 }
		e.see("/hub", "a/b", subset, func(l *sizer.Look) { l.Arrived = 20 * mb })
		for range 9 {
			pass(5 * time.Second)
			e.see("/hub", "a/b", subset)
		}
		e.see("/hub", "a/b", proof, func(l *sizer.Look) { l.Bytes, l.Total, l.Arrived = 50*mb, 50*mb, 30*mb })
		e.stop()
		e.want(t,
			"a/b preparing", "a/b started", "a/b ended",
			"a/b preparing", "a/b resumed", "a/b completed")
	})
}

func TestARevisionThatIsLetGoIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		e.see("/hub", "a/b", func(l *sizer.Look) {
			l.Bytes, l.Arrived, l.FilesDone, l.Checkpoint.Revisions = 70*mb, 70*mb, 3, []string{"b", "a"}
		})
		for range 9 {
			pass(5 * time.Second)
			e.see("/hub", "a/b", func(l *sizer.Look) { l.Bytes, l.FilesDone, l.Checkpoint.Revisions = 50*mb, 2, []string{"b"} })
		}
		e.stop()
		e.want(t, "a/b preparing", "a/b started", "a/b unlisted", "a/b completed")
	})
}
