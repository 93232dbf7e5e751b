package state

import (
	"testing"

	"progressd/sizer"
	"progressd/tracker"
)

// A run of which nothing was seen on disk must not make the files that were
// told before look new.
func TestARunWithoutATraceLeavesTheMemoryAlone(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), osDisk{})
	l, log, journal := start(s)
	ep := record("e1", llama, 1)
	commit(l, over(ep), tracker.Completed)
	confirm := func(id string) { s.Written(id, "log"); s.Written(id, "journal") }
	confirm("e1-completed")
	want := over(ep).Checkpoint.Since
	check := func(when string) {
		t.Helper()
		if m, known := s.Repo(root, home, llama); !known || !m.Since.Equal(want) {
			t.Errorf("%s: since %v, known %v", when, m.Since, known)
		}
	}
	failed := record("e2", llama, 2)
	failed.Play, failed.Checkpoint = "", sizer.Checkpoint{}
	commit(l, failed, tracker.Preparing)
	check("while it runs")
	failed.Phase = tracker.PhaseOver
	commit(l, failed, tracker.Failed)
	check("while its verdict is pending")
	confirm("e2-failed")
	check("afterwards")
	same(t, "log", log.ids(), "e1-completed", "e2-preparing", "e2-failed")
	same(t, "journal", journal.ids(), log.ids()...)
}

func TestWhatComesAfterIsCalledBehindTheLines(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), osDisk{})
	l, log, _ := start(s)
	var before []string
	l.Commit(nil, []tracker.Event{{ID: "a", Kind: tracker.RootGone}})
	l.After(func() { before = log.ids() })
	l.pass()
	same(t, "told before", before, "a")
}
