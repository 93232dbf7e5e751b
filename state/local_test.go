package state

import (
	"fmt"
	"testing"

	"progressd/hfcache"
	"progressd/tracker"
)

// A directory's log is named by the directory, and keeps its name when what is
// downloaded there becomes known, over a restart, and where a second directory
// or a model of the cache has the same name.
func TestLogsOfLocalDirectoriesKeepTheirNames(t *testing.T) {
	local := func(rel string) hfcache.Repo {
		repo, ok := hfcache.LocalRepo(rel)
		if !ok {
			t.Fatalf("%q is no directory", rel)
		}
		return repo
	}
	cases := []struct {
		root string
		repo hfcache.Repo
		want string
	}{
		{"/data", local("llama"), "llama@local.log"},
		{"/data", local("a/llama"), "llama@local@" + hexHash("/data/a/llama")[:8] + ".log"},
		{"/data", local("b/llama"), "llama@local@" + hexHash("/data/b/llama")[:8] + ".log"},
		{"/srv/llama", local("."), "llama@local@" + hexHash("/srv/llama")[:8] + ".log"},
		{"/data", hfcache.Repo{Type: hfcache.Model, ID: "llama"}, "llama.log"},
		{"/data", local("\x1b[2J\n"), "__2J_@local.log"},
		{"/.hidden", local("."), "_hidden@local.log"},
	}
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	for life := range 3 {
		l, log, _ := start(s)
		for i, c := range cases {
			ep := record(fmt.Sprint("e", i), c.repo, i)
			ep.Root = c.root
			if life > 0 {
				ep.Checkpoint.Name = llama
			}
			// The event says what the lines call it.
			e := event(ep, tracker.Preparing)
			e.Repo, e.Root = ep.Named(), ep.Repo.Within(ep.Root)
			l.Commit(&ep, []tracker.Event{e})
			l.pass()
			if got := log.events[i].Log; got != c.want || !safeName(got) {
				t.Errorf("life %d, %s %v: got %q, want %q", life, c.root, c.repo, got, c.want)
			}
		}
		kill(s)
		s, _ = openStore(t, dir, &testDisk{})
	}
}

// What is told of a directory at rest has its log, and its name, too.
func TestLeftoversOfALocalDirectoryAtRest(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), &testDisk{})
	l, log, _ := start(s)
	repo, _ := hfcache.LocalRepo("org/my model")
	l.Commit(nil, []tracker.Event{{ID: "x", Kind: tracker.OrphansFound, At: day, Root: "/data", Repo: repo, Count: 1}})
	l.pass()
	e := log.events[0]
	if e.Log != "my_model@local.log" || e.Repo.ID != "my_model" || e.Repo.Type != hfcache.Model || e.Root != "/data/org/my%20model" {
		t.Errorf("event %+v", e)
	}
	if got := s.Reported(); len(got) != 1 || got[0].Repo != repo || got[0].Root != "/data" {
		t.Errorf("reported %+v", got)
	}
}
