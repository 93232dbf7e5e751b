package state

import (
	"log/slog"
	"os"
	"testing"

	"progressd/hfcache"
	"progressd/tracker"
)

func TestAVolatileStoreServesALedgerAndTouchesNoDisk(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := Volatile(slog.New(slog.DiscardHandler))
	repo := hfcache.Repo{Type: hfcache.Model, ID: "org/name"}
	s.NameLog("/hub", repo, "given.log")
	ep := tracker.Episode{ID: "e", Root: "/hub", Repo: repo, Phase: tracker.PhaseOver}
	event := tracker.Event{ID: "e-1", Kind: tracker.Completed, Root: "/hub", Repo: repo}
	s.await([]string{"log"})
	told := s.note([]tracker.Episode{ep}, []telling{{"e", event}})
	if len(told) != 1 || told[0].Log != "given.log" {
		t.Fatalf("%+v", told)
	}
	if err := placing(s, "e-1", tracker.Position{Inode: 7}); err != nil {
		t.Error(err)
	}
	if at, ok := s.Placed("e-1"); !ok || at.Inode != 7 {
		t.Errorf("%+v, %v", at, ok)
	}
	s.Written("e-1", "log")
	if len(s.episodes) != 0 {
		t.Errorf("%d episodes are left", len(s.episodes))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left on disk: %v, %v", entries, err)
	}
}

func TestLogNamesAreKept(t *testing.T) {
	dir, repo := t.TempDir(), hfcache.Repo{Type: hfcache.Model, ID: "org/name"}
	log := slog.New(slog.DiscardHandler)
	for range 2 {
		s, err := Open(dir, newAccounts(), log)
		if err != nil {
			t.Fatal(err)
		}
		one, other := s.LogName("/a", repo), s.LogName("/b", repo)
		if one != "org--name.log" || other == one {
			t.Errorf("%s and %s", one, other)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
