package state

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
	"progressd/tracker"
)

var (
	mounted = fsys.Identity{FS: 0xef53, Volume: 7, Inode: 2, Birth: 100}
	spare   = fsys.Identity{FS: 0xef53, Volume: 8, Inode: 2, Birth: 100}
)

// at is a record whose repository lies in that directory.
func at(ep tracker.Episode, home fsys.Identity) tracker.Episode {
	ep.Home = home
	return ep
}

func TestEachDirectoryAtAPathHasABaselineOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, osDisk{})
	baselines := map[fsys.Identity]time.Time{mounted: day, spare: day.Add(time.Hour)}
	for home, since := range baselines {
		if err := s.NoteRoot(root, home, since); err != nil {
			t.Fatal(err)
		}
	}
	kill(s)
	s, _ = openStore(t, dir, osDisk{})
	for home, want := range baselines {
		if since, known := s.Root(root, home); !known || !since.Equal(want) {
			t.Errorf("%+v: got %v, %v, want %v", home, since, known, want)
		}
	}
}

func TestOfTwoBaselinesThatOfTheSureDirectoryIsTaken(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), &testDisk{})
	s.of(root).baselines = []baseline{
		{Identity: mounted, Since: day},
		{Identity: numbered(2), Since: day.Add(time.Hour)}, // of an older version
	}
	if since, _ := s.Root(root, mounted); !since.Equal(day) {
		t.Errorf("got %v", since)
	}
}

func TestWhatIsRememberedBelongsToADirectory(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	first, second := at(record("e1", llama, 1), mounted), at(record("e2", llama, 10), spare)
	check := func(home fsys.Identity, want tracker.Episode) {
		t.Helper()
		for _, life := range []string{"", " after a restart"} {
			m, known := s.Repo(root, home, llama)
			if known != (want.ID != "") || !m.Since.Equal(want.Checkpoint.Since) {
				t.Errorf("%+v%s: got %+v, %v", home, life, m, known)
			}
			kill(s)
			s, _ = openStore(t, dir, &testDisk{})
			l, _, _ = start(s)
		}
	}
	commit(l, first, tracker.Preparing)
	check(mounted, first)
	check(spare, tracker.Episode{})
	commit(l, second, tracker.Preparing)
	check(mounted, first)
	check(spare, second)
	if open := s.Episodes(); len(open) != 2 || open[0].Home != mounted || open[1].Home != spare {
		t.Errorf("open are %+v", open)
	}
	commit(l, over(second), tracker.Completed)
	for _, sink := range []string{"log", "journal"} {
		s.Written("e2-completed", sink)
	}
	check(mounted, first)
	check(spare, over(second))
}

func TestFilesOfAVersionThatKnewNoDirectoriesAreRead(t *testing.T) {
	for _, c := range []struct {
		name, roots string
		home        fsys.Identity
	}{
		{"one directory was seen", `{"path":"/cache/hub","inode":2,"since":"2026-03-01T12:00:00Z"}`, numbered(2)},
		{"two were", `{"path":"/cache/hub","inode":2,"since":"2026-03-01T12:00:00Z"},{"path":"/cache/hub","inode":9,"since":"2026-03-01T13:00:00Z"}`, fsys.Identity{}},
		{"none was", ``, fsys.Identity{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(filepath.Join(dir, episodesDir), 0o700); err != nil {
				t.Fatal(err)
			}
			write(stateFile, `{"version":1,"roots":[`+c.roots+`],"repos":[{"root":"/cache/hub","type":"model","id":"org/qwen","since":"2026-03-01T12:30:00Z","number":1}]}`)
			write(episodesDir+"/e2.json", `{"version":1,"number":2,"episode":{"id":"e2","root":"/cache/hub","repo":{"type":"model","id":"org/llama"},`+
				`"play":"p","began":"2026-03-01T12:40:00Z","seq":2,"memory":{"since":"2026-03-01T12:41:00Z","play":"p"}}}`)
			s, said := openStore(t, dir, &testDisk{})
			said.wantCount(t, "WARN", 0)
			open := s.Episodes()
			if len(open) != 1 || open[0].Home != c.home {
				t.Fatalf("open are %+v", open)
			}
			for _, repo := range []hfcache.Repo{qwen, llama} {
				if m, known := s.Repo(root, mounted, repo); !known || m.Since.IsZero() {
					t.Errorf("%s is not remembered: %+v", repo.ID, m)
				}
			}
			if since, known := s.Root(root, mounted); known != (c.roots != "") || known && !since.Equal(day) {
				t.Errorf("the baseline is %v, %v", since, known)
			}
		})
	}
}
