package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"progressd/hfcache"
	"progressd/tracker"
)

func TestFaults(t *testing.T) {
	t.Run("D14 killed at any point", testKilledAnywhere)
	t.Run("D14 killed a thousand times", testKilledOften)
	t.Run("N3 one log file for each", testLogNames)
	t.Run("O2 log can't be written", testLogFails)
	t.Run("P3 second daemon", testSecondDaemon)
	t.Run("P3 a lock that a child being forked holds for a moment", testLockedForAMoment)
	t.Run("P4 bad records of a root", testBadRecords)
	t.Run("P4 bad state file of the version before", testBadState)
	t.Run("P4 bad record of a download of the version before", testBadEpisode)
	t.Run("P4 half written files", testHalfWritten)
	t.Run("P4 bad files are bounded", testBadFilesAreBounded)
	t.Run("P4 too many records", testTooManyRecords)
	t.Run("P4 directory can't be made", testNoDirectory)
	t.Run("P4 directory removed", testDirectoryRemoved)
	t.Run("P4 directory read-only or full", testDiskRefuses)
	t.Run("P4 two open episodes of one repository", testTwins)
}

func testSecondDaemon(t *testing.T) {
	dir := t.TempDir()
	first, _ := openStore(t, dir, &testDisk{})
	said := &diagnostics{}
	_, err := Open(dir, newAccounts(), said.logger())
	want := fmt.Sprintf("another progressd (pid %d) uses the state directory %q: stop it or set [state] dir", os.Getpid(), dir)
	if !errors.Is(err, ErrLocked) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := first.NoteRoot(root, numbered(7), day); err != nil {
		t.Error("the first was harmed:", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	first.Written("late", "log") // a late sink must not take the directory back
	if err := first.NoteRoot(root, numbered(8), day); err == nil {
		t.Error("a closed store says that it wrote")
	}
	second, err := Open(dir, newAccounts(), said.logger())
	if err != nil {
		t.Fatal("after the first's end:", err)
	}
	if _, known := second.Root(root, numbered(7)); !known {
		t.Error("the second knows nothing of the first")
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// badRecords are what may lie where the records of a root should. What is good
// before and after is used.
func badRecords() map[string]string {
	head := `{"head":{"version":2,"root":"/cache/hub","owner":1000}}` + "\n"
	good := `{"baseline":{"inode":7,"since":"2026-01-01T00:00:00Z"}}` + "\n"
	return map[string]string{
		"empty":           "",
		"no head":         good,
		"head of another": `{"head":{"version":2,"root":"/elsewhere","owner":1000}}` + "\n" + good,
		"newer":           `{"head":{"version":3,"root":"/cache/hub"}}` + "\n" + good,
		"NULs":            strings.Repeat("\x00", 4096),
		"torn head":       head[:20],
		"NULs behind":     head + good + strings.Repeat("\x00", 4096) + "\n" + good,
		"too long":        head + good + strings.Repeat(" ", maxLineBytes) + "\n" + good,
		"other types":     head + good + `{"episode":7}` + "\n" + good,
		"no episode":      head + good + `{"episode":{"number":3}}` + "\n" + good,
		"no repository":   head + good + `{"repo":{}}` + "\n" + good,
		"array":           head + good + "[1,2]\n" + good,
		"newer behind":    head + good + `{"head":{"version":3,"root":"/cache/hub"}}` + "\n",
	}
}

func testBadRecords(t *testing.T) {
	for name, content := range badRecords() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := newRecords(root).file()
			write(t, filepath.Join(dir, file), content)
			s, said := openStore(t, dir, &testDisk{})
			checkAside(t, filepath.Join(dir, rootsDir), filepath.Base(file), content)
			said.wantCount(t, "level=", 1)
			said.wantCount(t, "level=WARN", 1)
			_, known := s.Root(root, numbered(7))
			if want := strings.HasPrefix(content, `{"head":{"version":2,"root":"/cache/hub","owner":1000}}`+"\n"); known != want {
				t.Errorf("what is good of it is known: %v, want %v", known, want)
			}
			if err := s.NoteRoot(root, numbered(8), day); err != nil {
				t.Error(err)
			}
			kill(s)
			s, said = openStore(t, dir, &testDisk{})
			if _, known := s.Root(root, numbered(8)); !known {
				t.Error("what came after is not remembered")
			}
			said.wantCount(t, "level=", 0)
		})
	}
	t.Run("no file at all", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, newRecords(root).file(), "in it"), 0o700); err != nil {
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
		write(t, target, `{"head":{"version":2,"root":"/cache/hub"}}`)
		write(t, filepath.Join(dir, rootsDir, "x"), "")
		if err := os.Symlink(target, filepath.Join(dir, newRecords(root).file())); err != nil {
			t.Fatal(err)
		}
		_, said := openStore(t, dir, &testDisk{})
		said.wantCount(t, "level=WARN", 1)
	})
}

// What a kill has left half written is no fault.
func testHalfWritten(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	commit(l, record("e1", llama, 1), tracker.Preparing)
	kill(s)
	path := filepath.Join(dir, newRecords(root).file())
	write(t, path+tempSuffix, `{"head":{"ver`)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"closed":"e1`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s, said := openStore(t, dir, &testDisk{})
	said.wantCount(t, "level=", 0)
	if got := s.Episodes(); len(got) != 1 {
		t.Errorf("got %+v", got)
	}
	same(t, "files", files(t, filepath.Join(dir, rootsDir), ""), filepath.Base(path))
	commit(l, record("e2", qwen, 1), tracker.Preparing)
	if err := s.NoteRoot(root, numbered(7), day); err != nil {
		t.Error(err)
	}
	kill(s)
	s, said = openStore(t, dir, &testDisk{})
	said.wantCount(t, "level=", 0)
	if _, known := s.Root(root, numbered(7)); !known {
		t.Error("what came behind the torn line is not read")
	}
}

func testBadFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 9 {
		write(t, filepath.Join(dir, rootsDir, fmt.Sprint("r", i, asideMark, i+1)), "old")
		write(t, filepath.Join(dir, rootsDir, fmt.Sprint("r", i, recordsSuffix)), "new")
	}
	_, said := openStore(t, dir, &testDisk{})
	if got := files(t, filepath.Join(dir, rootsDir), ""); len(got) != maxAside {
		t.Errorf("kept aside: %v", got)
	}
	said.wantCount(t, "level=WARN", 1)
}

func testTooManyRecords(t *testing.T) {
	dir := quickDir(t)
	for i := range maxRoots + 5 {
		write(t, filepath.Join(dir, fmt.Sprint("r", i, recordsSuffix)), "")
	}
	names, err := recordNames(dir)
	if err == nil || len(names) != maxRoots {
		t.Errorf("%d names, error %v", len(names), err)
	}
}

// The directory can't be made; later it can, and holds what another life left.
func testNoDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	write(t, dir, "a file in the way")
	s, said := openStore(t, dir, &testDisk{})
	l, log, _ := start(s)
	if err := s.NoteRoot(root, numbered(7), day); err == nil {
		t.Error("noted where nothing can be")
	}
	ep := record("e1", llama, 1)
	commit(l, ep, tracker.Preparing)
	commit(l, over(ep), tracker.Completed)
	if err := placing(s, "e1-completed", tracker.Position{}); err == nil {
		t.Error("placed where nothing can be")
	}
	same(t, "told", log.ids(), "e1-preparing", "e1-completed")
	said.wantCount(t, "level=", 1)
	if _, known := s.Root(root, numbered(7)); !known {
		t.Error("a root is forgotten while the daemon lives")
	}

	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, stateFile), `{"version":1}`)
	write(t, filepath.Join(dir, newRecords(root).file()), `{"head":{}}`)
	s.flush()
	said.wantCount(t, "state can be written again", 1)
	checkAside(t, dir, stateFile, `{"version":1}`)
	if got := files(t, dir, rootsDir+asideMark); len(got) != 1 {
		t.Errorf("kept aside: %v", got)
	}
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	if _, known := s.Root(root, numbered(7)); !known {
		t.Error("the root was not written when it could be")
	}
	same(t, "pending", ids(s.pendingFor("log")), "e1-completed")
}

func testDirectoryRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, said := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	if err := s.NoteRoot(root, numbered(7), day); err != nil {
		t.Fatal(err)
	}
	commit(l, record("e1", llama, 1), tracker.Preparing)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	commit(l, record("e2", qwen, 1), tracker.Preparing)
	said.wantCount(t, "level=", 0)
	if _, err := Open(dir, newAccounts(), said.logger()); !errors.Is(err, ErrLocked) {
		t.Errorf("the new directory is not locked: %v", err)
	}
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	if _, known := s.Root(root, numbered(7)); !known || len(s.Episodes()) != 2 {
		t.Errorf("root known: %v, episodes %+v", known, s.Episodes())
	}
}

func testDiskRefuses(t *testing.T) {
	for _, refusal := range []error{syscall.EROFS, syscall.ENOSPC, syscall.EIO} {
		t.Run(refusal.Error(), func(t *testing.T) {
			dir := t.TempDir()
			on := &testDisk{}
			s, said := openStore(t, dir, on)
			l, log, journal := start(s)
			ep := record("e1", llama, 1)
			commit(l, ep, tracker.Preparing)
			on.before = func(string, string) error { return refusal }
			s.flush()
			commit(l, over(ep), tracker.Completed)
			if err := placing(s, "e1-completed", tracker.Position{}); !errors.Is(err, refusal) {
				t.Errorf("Placing gave %v", err)
			}
			if err := s.NoteRoot(root, numbered(7), day); !errors.Is(err, refusal) {
				t.Errorf("NoteRoot gave %v", err)
			}
			same(t, "told", log.ids(), "e1-preparing", "e1-completed")
			same(t, "told", journal.ids(), "e1-preparing", "e1-completed")
			s.Written("e1-completed", "log")
			s.Written("e1-completed", "journal")
			said.wantCount(t, "level=", 1)
			on.before = nil
			s.flush()
			said.wantCount(t, "state can be written again", 1)
			kill(s)
			s, _ = openStore(t, dir, on)
			m, _ := s.Repo(root, home, llama)
			if _, known := s.Root(root, numbered(7)); !known || !m.Since.Equal(over(ep).Checkpoint.Since) || len(s.episodes) > 0 {
				t.Errorf("afterwards: root known %v, memory %+v, %d episodes", known, m, len(s.episodes))
			}
		})
	}
}

// Two open episodes of one repository are no more than the disk of a former
// version can have left.
func testTwins(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	commit(l, record("e1", llama, 1), tracker.Preparing)
	commit(l, record("e2", llama, 2), tracker.Preparing)
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	if got := s.Episodes(); len(got) != 1 || got[0].ID != "e2" {
		t.Errorf("open episodes of one repository: %+v", got)
	}
	start(s)
	same(t, "records", left(t, dir, root), "e2")
}

// A log that refuses its line for a long time and over a restart.
func testLogFails(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	ep := record("e1", llama, 1)
	commit(l, ep, tracker.Preparing)
	for i := range 2 * maxPending {
		e := event(ep, tracker.Interrupted)
		e.ID = fmt.Sprint("i", i)
		l.Commit(&ep, []tracker.Event{e})
		l.pass()
		s.Written(e.ID, "journal")
	}
	commit(l, over(ep), tracker.Completed)
	s.Written("e1-completed", "journal")
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	_, log, journal := start(s)
	got := log.ids()
	if len(got) != maxPending || got[0] != fmt.Sprint("i", maxPending+1) || got[maxPending-1] != "e1-completed" {
		t.Errorf("for the log: %v", got)
	}
	same(t, "for the journal", journal.ids())
	for _, id := range got {
		s.Written(id, "log")
	}
	same(t, "records left", left(t, dir, root))
}

func testLogNames(t *testing.T) {
	long := strings.Repeat("x", 96)
	cases := []struct {
		root string
		repo hfcache.Repo
		want string
	}{
		{"/b", hfcache.Repo{Type: hfcache.Model, ID: "org/name"}, "org--name.log"},
		{"/a", hfcache.Repo{Type: hfcache.Model, ID: "org/name"}, "org--name@" + hexHash("/a")[:8] + ".log"},
		{"/c", hfcache.Repo{Type: hfcache.Model, ID: "org/name"}, "org--name@" + hexHash("/c")[:8] + ".log"},
		{"/a", hfcache.Repo{Type: hfcache.Dataset, ID: "org/name"}, "org--name@dataset.log"},
		{"/b", hfcache.Repo{Type: hfcache.Dataset, ID: "org/name"}, "org--name@dataset@" + hexHash("/b")[:8] + ".log"},
		{"/b", hfcache.Repo{Type: hfcache.Space, ID: "org/name"}, "org--name@space.log"},
		{"/b", hfcache.Repo{Type: hfcache.Kernel, ID: "org/name"}, "org--name@kernel.log"},
		{"/b", hfcache.Repo{Type: hfcache.Model, ID: "gpt2"}, "gpt2.log"},
		{"/b", hfcache.Repo{Type: hfcache.Dataset, ID: long + "/" + long}, long + "--" + long + "@dataset.log"},
	}
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	// Twice, to see that names stay; then after a restart.
	for range 3 {
		l, log, _ := start(s)
		for i, c := range cases {
			ep := record(fmt.Sprint("e", i), c.repo, i)
			ep.Root = c.root
			commit(l, ep, tracker.Preparing)
			got := log.events[i].Log
			if got != c.want || !safeName(got) {
				t.Errorf("%s %v: got %q, want %q", c.root, c.repo, got, c.want)
			}
		}
		kill(s)
		s, _ = openStore(t, dir, &testDisk{})
	}
	hash := hexHash("/z")
	s.logs["org--name@"+hash[:8]+".log"] = hfcache.Place{}
	if got := s.logName(hfcache.Place{Root: "/z", Repo: cases[0].repo}); got != "org--name@"+hash[:16]+".log" {
		t.Errorf("where a hash is taken: %q", got)
	}
}

// The log that everybody knows is that of a root configured by name, also if one
// that a pattern has led to was there first.
func TestARootConfiguredByNameHasThePlainLogName(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, log, _ := start(s)
	s.Found(tracker.Tenant{Root: "/home/mallory/hub", Owner: 1001})
	ep := record("m", llama, 1)
	ep.Root = "/home/mallory/hub"
	commit(l, ep, tracker.Preparing, tracker.Stalled)
	s.Found(tracker.Tenant{Root: root, Owner: 0, Named: true})
	commit(l, record("a", llama, 1), tracker.Preparing)
	commit(l, ep, tracker.Progress)
	other := "org--llama@" + hexHash(ep.Root)[:8] + ".log"
	var got []string
	for _, e := range log.events {
		got = append(got, e.Log)
	}
	same(t, "logs", got, "org--llama.log", "org--llama.log", "org--llama.log", other)
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	_, log, _ = start(s)
	if len(log.events) != 1 || log.events[0].Log != other {
		t.Errorf("after a restart: %+v", log.events)
	}
	if got := s.LogName(root, llama); got != "org--llama.log" {
		t.Errorf("after a restart: %s", got)
	}
}

// A log name that was tampered with leads nowhere else, and not to another's.
func TestLogNamesFromDiskAreChecked(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, newRecords(root).file()), `{"head":{"version":2,"root":"/cache/hub","owner":1000}}
{"repo":{"type":"model","id":"org/llama","log":"../../etc/passwd"}}
{"repo":{"type":"model","id":"a/b","log":"same.log"}}
{"repo":{"type":"model","id":"org/qwen","log":"same.log"}}
`)
	s, _ := openStore(t, dir, &testDisk{})
	if got := s.logName(hfcache.Place{Root: root, Repo: llama}); got != "org--llama.log" {
		t.Errorf("a path out of the directory: %q", got)
	}
	if got := s.logName(hfcache.Place{Root: root, Repo: qwen}); got != "org--qwen.log" {
		t.Errorf("another's name: %q", got)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString(content)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// checkAside wants exactly one file kept aside, with that content.
func checkAside(t *testing.T, dir, name, content string) {
	t.Helper()
	kept := files(t, dir, name+asideMark)
	if len(kept) != 1 {
		t.Fatalf("kept aside: %v, want one", kept)
	}
	data, err := os.ReadFile(filepath.Join(dir, kept[0]))
	if err != nil || string(data) != content {
		t.Errorf("%s was changed: %d bytes, want %d, error %v", kept[0], len(data), len(content), err)
	}
}
