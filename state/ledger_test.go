package state

import (
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"progressd/tracker"
)

func TestStateIsOnDiskBeforeTheLine(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, osDisk{})
	ep := record("e1", llama, 1)
	ep.Announced = 100
	var seen []episodeRecord
	check := outletFunc(func(e tracker.Event) {
		seen = append(seen, *newestEpisode(recordsOf(t, dir, root), "e1"))
	})
	l := NewLedger(s, []Outlet{{"log", check}}, slog.New(slog.DiscardHandler))
	l.replay()
	commit(l, ep, tracker.Progress)
	commit(l, over(ep), tracker.Completed)
	if len(seen) != 2 || seen[0].Episode.Announced != 100 || seen[0].Episode.Over() {
		t.Fatalf("at the first line the disk had %+v", seen)
	}
	if last := seen[1]; !last.Episode.Over() || len(last.Pending) != 1 || last.Pending[0].Event.Log == "" {
		t.Errorf("at the verdict the disk had %+v", last)
	}
}

func TestCommitsThatWaitCoalesce(t *testing.T) {
	on := &testDisk{}
	s, _ := openStore(t, t.TempDir(), on)
	l, log, _ := start(s)
	ep := record("e1", llama, 1)
	var want []string
	for i := range 5 {
		ep.Seq = i
		id := fmt.Sprint("p", i)
		want = append(want, id)
		l.Commit(&ep, []tracker.Event{{ID: id, Kind: tracker.Progress, Root: root}})
	}
	l.pass()
	same(t, "writes", on.takeOps(), "rewrite root")
	same(t, "events", log.ids(), want...)
	if got := s.Episodes()[0].Seq; got != 4 {
		t.Errorf("the record of seq %d was written, want 4", got)
	}
}

func TestCommitKeepsNothingOfTheEngine(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), &testDisk{})
	l, _, _ := start(s)
	ep := record("e1", llama, 1)
	ep.Warned = map[tracker.Kind]bool{}
	l.Commit(&ep, nil)
	ep.Warned[tracker.OrphansFound] = true
	ep.Checkpoint.Revisions[0] = "changed"
	l.pass()
	if got := s.Episodes()[0]; len(got.Warned) > 0 || got.Checkpoint.Revisions[0] != "abc" {
		t.Errorf("the record changed after its commit: %+v", got)
	}
}

func TestEventsOfARootPassWithoutALog(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), &testDisk{})
	l, log, journal := start(s)
	l.Commit(nil, []tracker.Event{{ID: "gone", Kind: tracker.RootGone, Root: root}})
	l.pass()
	same(t, "log", log.ids(), "gone")
	same(t, "journal", journal.ids(), "gone")
	if got := log.events[0].Log; got != "" {
		t.Errorf("an event of a root goes to log %q", got)
	}
}

// The engine must go on, and lose no verdict, while the disk hangs.
func TestCommitNeverBlocks(t *testing.T) {
	hang, hanging := make(chan struct{}), make(chan struct{}, 1)
	on := &testDisk{before: func(string, string) error {
		select {
		case hanging <- struct{}{}:
		default:
		}
		<-hang
		return nil
	}}
	said := &diagnostics{}
	s, _ := openStore(t, t.TempDir(), on)
	log := &told{}
	l := NewLedger(s, []Outlet{{"log", log}}, said.logger())
	stop := run(t, l)
	ep := record("e1", llama, 1)
	l.Commit(&ep, nil)
	<-hanging
	for i := range maxTellings/2 + 10 {
		l.Commit(&ep, []tracker.Event{{ID: fmt.Sprint("p", i), Kind: tracker.Progress, Root: root}})
	}
	other := record("e2", llama, 1)
	other.Root = "/other"
	l.Commit(&other, []tracker.Event{event(other, tracker.Progress)})
	end := over(ep)
	l.Commit(&end, []tracker.Event{event(end, tracker.Completed)})
	close(hang)
	stop()
	got := log.ids()
	if len(got) != maxTellings/2+2 || got[0] != "p0" || got[len(got)-1] != "e1-completed" {
		t.Errorf("%d events passed, the last is %q", len(got), got[len(got)-1])
	}
	if !slices.Contains(got, "e2-progress") {
		t.Error("another root's line was dropped")
	}
	said.wantCount(t, "count=10", 1)
}

func TestEndPassesOnWhatWasCommitted(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	log := &told{}
	l := NewLedger(s, []Outlet{{"log", log}}, slog.New(slog.DiscardHandler))
	stop := run(t, l)
	ep := record("e1", llama, 1)
	for i := range 100 {
		ep.Seq = i
		l.Commit(&ep, []tracker.Event{{ID: fmt.Sprint(i), Kind: tracker.Progress}})
	}
	stop()
	if got := log.ids(); len(got) != 100 || !slices.Contains(got, "99") {
		t.Errorf("%d of 100 events passed", len(got))
	}
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	if got := s.Episodes(); len(got) != 1 || got[0].Seq != 99 {
		t.Errorf("the disk has %+v", got)
	}
}

func TestDiskIsTriedAgainWithoutBeingAsked(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		broken := true
		on := &testDisk{before: func(string, string) error {
			tries.Add(1)
			if broken {
				return syscall.ENOSPC
			}
			return nil
		}}
		s, said := openStore(t, dir, on)
		log := &told{}
		l := NewLedger(s, []Outlet{{"log", log}}, said.logger())
		stop := run(t, l)
		ep := record("e1", llama, 1)
		l.Commit(&ep, []tracker.Event{event(ep, tracker.Preparing)})
		synctest.Wait()
		same(t, "told all the same", log.ids(), "e1-preparing")
		before := tries.Load()
		for range 50 {
			l.Commit(&ep, nil)
			synctest.Wait()
		}
		if now := tries.Load(); now > before {
			t.Errorf("a broken disk was tried %d times more for 50 commits", now-before)
		}
		passTime(10 * lastRetry)
		said.wantCount(t, "level=WARN", 1)
		if n := tries.Load(); n < 10 || n > 20 {
			t.Errorf("tried %d times in 10 minutes", n)
		}
		s.mu.Lock()
		broken = false
		s.mu.Unlock()
		passTime(lastRetry)
		said.wantCount(t, "state can be written again", 1)
		stop()
	})
	s, _ := openStore(t, dir, &testDisk{})
	if got := s.Episodes(); len(got) != 1 {
		t.Errorf("the disk has %+v", got)
	}
}

// A sink that was switched off between two lives holds nothing up.
func TestOnlySinksThatAreThereAreAwaited(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	commit(l, over(record("e1", llama, 1)), tracker.Completed)
	s.Written("e1-completed", "log")
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	NewLedger(s, []Outlet{{"log", &told{}}}, slog.New(slog.DiscardHandler)).replay()
	same(t, "records left", left(t, dir, root))
}

func TestVerdictsGoAgainToThoseThatLackThem(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	first, second := record("e1", llama, 1), record("e2", qwen, 2)
	commit(l, first, tracker.Preparing, tracker.Stalled)
	commit(l, over(second), tracker.Preparing, tracker.Completed)
	commit(l, over(first), tracker.Removed)
	s.Written("e1-stalled", "journal")
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	l, log, journal := start(s)
	same(t, "log", log.ids(), "e1-stalled", "e1-removed", "e2-completed")
	same(t, "journal", journal.ids(), "e1-removed", "e2-completed")
	commit(l, over(first), tracker.Removed)
	if n := len(log.events); n != 3 {
		t.Errorf("a verdict judged again was told again: %d events", n)
	}
}

// passTime lets the time of a synctest bubble pass.
func passTime(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
