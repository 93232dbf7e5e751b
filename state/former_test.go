package state

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"progressd/tracker"
)

// formerDir is a state directory as the version before has left it: two roots
// with a baseline, a repository each, a download under way and one whose verdict
// the log lacks.
func formerDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, stateFile), `{"version":1,"roots":[
		{"path":"/cache/hub","inode":7,"since":"2026-01-01T00:00:00Z"},
		{"path":"/cache/hub","inode":8,"since":"2026-01-02T00:00:00Z"},
		{"path":"/other","inode":9,"since":"2026-01-03T00:00:00Z"}],"repos":[
		{"root":"/cache/hub","type":"model","id":"org/llama","since":"2026-01-04T00:00:00Z","log":"org--llama.log","number":3,"leftovers":"2026-01-05T00:00:00Z"},
		{"root":"/other","type":"model","id":"org/llama","log":"org--llama@12345678.log"}]}`)
	write(t, filepath.Join(dir, episodesDir, "e4.json"), `{"version":1,"number":4,"episode":{"id":"e4","root":"/other","repo":{"type":"model","id":"org/llama"},
		"play":"p","began":"2026-03-01T12:00:00Z","announced":5,"memory":{"since":"2026-03-01T12:00:00Z","play":"p"}}}   `)
	write(t, filepath.Join(dir, episodesDir, "e5.json"), `{"version":1,"number":5,"episode":{"id":"e5","root":"/cache/hub","repo":{"type":"model","id":"org/qwen"},"over":true,
		"play":"q","memory":{"since":"2026-03-02T12:00:00Z"}},"pending":[{"event":{"id":"e5-completed","kind":"completed","root":"/cache/hub","repo":{"type":"model","id":"org/qwen"},"log":"org--qwen.log"},
		"position":{"dev":1,"inode":2,"size":3,"line":"x"},"written":["journal"]}]}`)
	return dir
}

func TestTheStateOfTheVersionBeforeIsTakenOver(t *testing.T) {
	dir := formerDir(t)
	for life := range 3 {
		s, said := openStore(t, dir, &testDisk{})
		said.wantCount(t, "level=", 0)
		for inode, path := range map[uint64]string{7: root, 8: root, 9: "/other"} {
			if since, known := s.Root(path, numbered(inode)); !known || since.Month() != time.January {
				t.Errorf("life %d: baseline of %d: %v, %v", life, inode, since, known)
			}
		}
		if m, known := s.Repo(root, home, llama); !known || m.Since.Day() != 4 {
			t.Errorf("life %d: repository: %+v, %v", life, m, known)
		}
		if m, known := s.Repo("/other", numbered(9), llama); !known || m.Play != "p" {
			t.Errorf("life %d: repository under way: %+v, %v", life, m, known)
		}
		if got := s.Episodes(); len(got) != 1 || got[0].ID != "e4" || got[0].Announced != 5 {
			t.Errorf("life %d: episodes %+v", life, got)
		}
		if got := s.Reported(); len(got) != 1 || got[0].At.Day() != 5 {
			t.Errorf("life %d: leftovers %+v", life, got)
		}
		if got := s.LogName("/other", llama); got != "org--llama@12345678.log" {
			t.Errorf("life %d: log %s", life, got)
		}
		_, log, journal := start(s)
		same(t, "for the log", log.ids(), "e5-completed")
		same(t, "for the journal", journal.ids())
		if at, placed := s.Placed("e5-completed"); !placed || at.Size != 3 {
			t.Errorf("life %d: placed at %+v, %v", life, at, placed)
		}
		if got := files(t, dir, ""); !slices.Equal(got, []string{lockFile, rootsDir}) {
			t.Errorf("life %d: files %v", life, got)
		}
		kill(s)
	}
}

// Killed in the middle of that, it goes on with those roots that lack.
func TestATakeOverThatWasKilledIsFinished(t *testing.T) {
	dir := formerDir(t)
	s, _ := openStore(t, dir, &testDisk{before: func(_, path string) error {
		if filepath.Base(path) == filepath.Base(newRecords("/other").file()) {
			return os.ErrPermission
		}
		return nil
	}})
	l, _, _ := start(s)
	commit(l, over(record("e6", llama, 9)), tracker.Completed)
	s.flush()
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	_, known := s.Root("/other", numbered(9))
	if got := ids(s.pendingFor("log")); !known || !slices.Equal(got, []string{"e5-completed", "e6-completed"}) || len(s.Episodes()) != 1 {
		t.Errorf("root known: %v, pending %v, episodes %+v", known, got, s.Episodes())
	}
	same(t, "files", files(t, dir, ""), lockFile, rootsDir)
}

// badContents are what may lie where a record should.
func badContents(limit int) map[string]string {
	return map[string]string{
		"empty":       "",
		"truncated":   `{"version":1,"ro`,
		"NULs":        strings.Repeat("\x00", 4096),
		"newer":       `{"version":3,"roots":"all"}`,
		"no version":  `{}`,
		"other types": `{"version":1,"roots":7,"episode":7}`,
		"trailing":    `{"version":1}{}`,
		"array":       `[1,2]`,
		"too big":     `{"version":1}` + strings.Repeat(" ", limit),
	}
}

func testBadState(t *testing.T) {
	for name, content := range badContents(maxStateBytes) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, stateFile), content)
			s, said := openStore(t, dir, &testDisk{})
			checkAside(t, dir, stateFile, content)
			said.wantCount(t, "level=", 1)
			said.wantCount(t, "level=WARN", 1)
			if err := s.NoteRoot(root, numbered(7), day); err != nil {
				t.Error(err)
			}
			kill(s)
			s, said = openStore(t, dir, &testDisk{})
			if _, known := s.Root(root, numbered(7)); !known {
				t.Error("what came after is not remembered")
			}
			said.wantCount(t, "level=", 0)
			checkAside(t, dir, stateFile, content)
		})
	}
	t.Run("no file at all", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, stateFile, "in it"), 0o700); err != nil {
			t.Fatal(err)
		}
		s, said := openStore(t, dir, &testDisk{})
		said.wantCount(t, "level=WARN", 1)
		if err := s.NoteRoot(root, numbered(7), day); err != nil {
			t.Error(err)
		}
	})
	t.Run("link", func(t *testing.T) {
		dir, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
		write(t, target, `{"version":1}`)
		if err := os.Symlink(target, filepath.Join(dir, stateFile)); err != nil {
			t.Fatal(err)
		}
		_, said := openStore(t, dir, &testDisk{})
		said.wantCount(t, "level=WARN", 1)
	})
	t.Run("unreadable", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root can read everything")
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, stateFile), `{"version":1}`)
		if err := os.Chmod(filepath.Join(dir, stateFile), 0); err != nil {
			t.Fatal(err)
		}
		_, said := openStore(t, dir, &testDisk{})
		said.wantCount(t, "level=WARN", 1)
		if got := files(t, dir, stateFile+asideMark); len(got) != 1 {
			t.Errorf("kept aside: %v", got)
		}
	})
}

func testBadEpisode(t *testing.T) {
	contents := badContents(maxLineBytes)
	contents["no episode"] = `{"version":1}`
	contents["another's"] = `{"version":1,"episode":{"id":"else","repo":{"type":"model","id":"a/b"}}}`
	for name, content := range contents {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, _ := openStore(t, dir, &testDisk{})
			l, _, _ := start(s)
			commit(l, record("good", llama, 1), tracker.Preparing)
			kill(s)
			write(t, filepath.Join(dir, episodesDir, "bad.json"), content)
			s, said := openStore(t, dir, &testDisk{})
			said.wantCount(t, "level=WARN", 1)
			checkAside(t, filepath.Join(dir, episodesDir), "bad.json", content)
			if got := s.Episodes(); len(got) != 1 || got[0].ID != "good" {
				t.Errorf("the good one beside it: %+v", got)
			}
			kill(s)
			_, said = openStore(t, dir, &testDisk{})
			said.wantCount(t, "level=", 0)
		})
	}
}

func TestRecordsOfTheVersionBeforeAreBounded(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, episodesDir), 0o700); err != nil {
		t.Fatal(err)
	}
	// Links to one file take no room.
	good := `{"version":1,"number":1,"episode":{"id":"e1","repo":{"type":"model","id":"a/b"}}}`
	write(t, filepath.Join(dir, "good"), good)
	for i := range maxEpisodes + 5 {
		name := filepath.Join(dir, episodesDir, fmt.Sprint("e", i, episodeSuffix))
		if err := os.Link(filepath.Join(dir, "good"), name); err != nil {
			t.Fatal(err)
		}
	}
	names, err := namesOf(filepath.Join(dir, episodesDir), episodeSuffix, maxEpisodes)
	if err == nil || len(names) != maxEpisodes {
		t.Errorf("%d names, error %v", len(names), err)
	}
}

func TestEpisodeFilesHaveSafeNames(t *testing.T) {
	for _, id := range []string{"", ".", "..", "../x", "a/b", "a\nb", "a b", strings.Repeat("x", 300), "é"} {
		if got := formerFile(id); got != hexHash(id)+episodeSuffix {
			t.Errorf("%q lies in %q", id, got)
		}
	}
	if got := formerFile("0a-1_b"); got != "0a-1_b.json" {
		t.Errorf("got %q", got)
	}
}
