package tracker

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/sizer"
)

// To describe what is going on takes the longer the more there is of it.
func TestAStatusIsHeldAgainstWhatIsGoingOnNowAndThen(t *testing.T) {
	var said []string
	tr := New(defaults, &commits{}, Hooks{Status: func(s string) { said = append(said, s) }}, slog.New(slog.DiscardHandler))
	now := time.Now()
	want := func(pending bool, lines ...string) {
		t.Helper()
		if !slices.Equal(said, lines) || tr.status.pending != pending {
			t.Fatalf("said %q, pending %v; want %q, %v", said, tr.status.pending, lines, pending)
		}
	}
	tr.publish(now)
	want(false, "no downloads")
	tr.publish(now.Add(5 * statusEvery)) // nothing has changed
	tr.observe(playing("org/a", now, 5_000_000))
	tr.publish(now.Add(5*statusEvery + statusEvery/2))
	want(true, "no downloads")
	tr.publish(now.Add(6 * statusEvery))
	want(false, "no downloads", "1 download: org/a 5.0MB")
}

func TestAStatusNamesTheFirstFewByName(t *testing.T) {
	var said string
	tr := New(defaults, &commits{}, Hooks{Status: func(s string) { said = s }}, slog.New(slog.DiscardHandler))
	now := time.Now()
	for i := range mostNamed + 2 {
		id := fmt.Sprintf("org/%c", 'j'-i)
		tr.observe(playing(id, now, 1_000_000))
	}
	tr.publish(now)
	if want := "10 downloads: org/a 1.0MB, org/b 1.0MB, org/c 1.0MB, org/d 1.0MB, org/e 1.0MB, org/f 1.0MB, org/g 1.0MB, org/h 1.0MB, ..."; said != want {
		t.Errorf("said %q, want %q", said, want)
	}
}

func playing(id string, at time.Time, bytes int64) sizer.Look {
	return sizer.Look{
		Root: "/r", Repo: hfcache.Repo{Type: hfcache.Model, ID: id}, At: at,
		InPlay: true, Play: "1", Bytes: bytes, Partials: 1, Locked: true,
	}
}
