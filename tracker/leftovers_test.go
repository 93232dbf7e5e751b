package tracker

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"progressd/sizer"
)

const day = 24 * time.Hour

var (
	errUnreadable = errors.New("EIO")
	discard       = slog.New(slog.DiscardHandler)
)

// littered is a repository at rest with leftovers in it.
func littered(n int) func(*sizer.Look) {
	return func(l *sizer.Look) {
		rest(l)
		l.Orphans, l.OrphanBytes, l.OrphanAge = n, int64(n)*mb, 3*day
	}
}

// poll shows a repository as a poll does, for so long.
func (e *engine) poll(id string, d time.Duration, changes ...func(*sizer.Look)) {
	for end := time.Now().Add(d); time.Now().Before(end); pass(time.Minute) {
		e.see("/hub", id, changes...)
	}
}

func TestLeftovers(t *testing.T) {
	tests := []struct {
		name string
		play func(e *engine)
		want []string
	}{
		{"are told once a day while they lie there", func(e *engine) {
			e.poll("a/b", 2*day+time.Hour, littered(2))
			e.poll("a/b", 2*day, rest)
		}, []string{"a/b orphans", "a/b orphans", "a/b orphans"}},
		{"are told at the end of a download, and a day later", func(e *engine) {
			e.see("/hub", "a/b", by(vllm), bytes(50*mb))
			e.see("/hub", "a/b", tidy, proof, func(l *sizer.Look) { l.Bytes, l.Orphans, l.OrphanBytes = 50*mb, 1, mb })
			e.poll("a/b", day-time.Minute, littered(1))
			e.want(e.t, "a/b preparing", "a/b started", "a/b orphans", "a/b completed")
			e.poll("a/b", time.Hour, littered(1))
		}, []string{"a/b preparing", "a/b started", "a/b orphans", "a/b completed", "a/b orphans"}},
		{"of an interrupted download are told as well", func(e *engine) {
			e.see("/hub", "a/b", by(vllm), bytes(50*mb))
			e.see("/hub", "a/b", by(vllm), killed, func(l *sizer.Look) { l.Bytes = 50 * mb })
			e.poll("a/b", 10*time.Minute, by(vllm), killed, func(l *sizer.Look) { l.Bytes = 50 * mb })
			e.poll("a/b", time.Hour, littered(1))
		}, []string{"a/b preparing", "a/b started", "a/b interrupted", "a/b orphans"}},
		{"are no matter while a download goes on", func(e *engine) {
			e.poll("a/b", time.Hour, by(vllm), func(l *sizer.Look) { l.Bytes, l.Orphans = 50*mb, 3 })
		}, []string{"a/b preparing", "a/b started", "a/b stalled"}},
		{"are no matter while they are empty", func(e *engine) {
			e.poll("a/b", 2*day, rest, func(l *sizer.Look) { l.Orphans, l.OrphanAge = 2, 3*day })
		}, nil},
		{"that can't be looked at are not told", func(e *engine) {
			e.poll("a/b", time.Hour, littered(1), func(l *sizer.Look) { l.Unreadable = errUnreadable })
		}, nil},
		{"that went with their repository are forgotten", func(e *engine) {
			e.poll("a/b", time.Hour, littered(1))
			e.see("/hub", "a/b", rest, func(l *sizer.Look) { l.Gone = true })
			e.poll("a/b", time.Hour, littered(1))
		}, []string{"a/b orphans", "a/b orphans"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := runEngine(t, nil, nil)
				e.t = t
				tt.play(e)
				e.stop()
				e.want(t, tt.want...)
			})
		})
	}
}

func TestLeftoversOfVeryManyRepositoriesComeOneASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		const repos = 50
		for range 2 * repos {
			for n := range repos {
				e.see("/hub", fmt.Sprintf("a/b%d", n), littered(1))
			}
			pass(time.Second)
		}
		e.stop()
		ids := map[string]bool{}
		for i, event := range e.events {
			ids[event.ID] = true
			if i > 0 && event.At.Sub(e.events[i-1].At) < time.Second {
				t.Fatalf("two lines within %v", event.At.Sub(e.events[i-1].At))
			}
		}
		if len(ids) != repos || len(e.events) != repos {
			t.Errorf("%d lines, %d ids of %d repositories", len(e.events), len(ids), repos)
		}
	})
}

func TestLeftoversAreNotToldAgainAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		tr := New(defaults, &e.commits, Hooks{}, discard)
		now := time.Now()
		tr.Remember([]Reported{
			{"/hub", model, now.Add(-23 * time.Hour).Round(0)},
			{"/other", model, now.Add(time.Hour).Round(0)}, // the clock was set back
		})
		look := func(root string, at time.Time) {
			l := sizer.Look{Root: root, Repo: model, At: at}
			l.Orphans, l.OrphanBytes = 1, mb
			tr.observe(l)
		}
		look("/hub", now)
		e.want(t)
		look("/other", now)
		look("/hub", now.Add(time.Hour))
		e.want(t, "org/name orphans", "org/name orphans")
	})
}
