package state

import (
	"slices"
	"testing"
	"time"

	"progressd/tracker"
)

func TestWhenLeftoversWereToldIsRemembered(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, osDisk{})
	l, log, _ := start(s)
	ep := record("e1", llama, 1)
	atEnd := event(ep, tracker.OrphansFound)
	atEnd.At = day
	l.Commit(&ep, []tracker.Event{atEnd})
	daily := tracker.Event{ID: "o1", Kind: tracker.OrphansFound, Root: root, Repo: qwen, At: day.Add(time.Hour)}
	l.Commit(nil, []tracker.Event{daily})
	l.Commit(nil, []tracker.Event{{ID: "r1", Kind: tracker.RootGone, Root: root, At: day}})
	l.pass()
	if len(log.events) != 3 || log.events[1].Log == "" {
		t.Fatalf("passed on %+v", log.events)
	}
	kill(s)
	s, _ = openStore(t, dir, osDisk{})
	want := []tracker.Reported{{Root: root, Repo: llama, At: day}, {Root: root, Repo: qwen, At: day.Add(time.Hour)}}
	if got := s.Reported(); !slices.EqualFunc(got, want, func(a, b tracker.Reported) bool {
		return a.Root == b.Root && a.Repo == b.Repo && a.At.Equal(b.At)
	}) {
		t.Errorf("remembered %v, want %v", got, want)
	}
	if _, known := s.Repo(root, home, qwen); known {
		t.Error("a repository without a download has a memory")
	}
}
