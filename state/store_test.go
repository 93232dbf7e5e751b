package state

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/sizer"
	"progressd/tracker"
)

func TestRootsAreRemembered(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, osDisk{})
	if _, known := s.Root(root, numbered(7)); known {
		t.Fatal("an unknown root is known")
	}
	for inode, since := range map[uint64]time.Time{7: day, 8: day.Add(time.Hour)} {
		if err := s.NoteRoot(root, numbered(inode), since); err != nil {
			t.Fatal(err)
		}
	}
	kill(s)
	s, _ = openStore(t, dir, osDisk{})
	for inode, want := range map[uint64]time.Time{7: day, 8: day.Add(time.Hour)} {
		if since, known := s.Root(root, numbered(inode)); !known || !since.Equal(want) {
			t.Errorf("inode %d: got %v, %v, want %v", inode, since, known, want)
		}
	}
	if _, known := s.Root("/elsewhere", numbered(7)); known {
		t.Error("a root is known by its inode alone")
	}
}

func TestRootsAreBounded(t *testing.T) {
	s, _ := openStore(t, t.TempDir(), &testDisk{})
	for i := range uint64(maxRoots) {
		s.roots = append(s.roots, rootRecord{Path: root, Identity: numbered(1 + i), Since: day})
	}
	for i := range uint64(2) {
		if err := s.NoteRoot(root, numbered(1+maxRoots+i), day); err != nil {
			t.Fatal(err)
		}
	}
	_, oldest := s.Root(root, numbered(2))
	_, next := s.Root(root, numbered(3))
	if oldest || !next {
		t.Errorf("root 2 known: %v, root 3 known: %v; want the oldest two forgotten", oldest, next)
	}
}

func TestRepositoryMemory(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	first, second := record("e1", llama, 1), record("e2", llama, 10)
	check := func(name string, want sizer.Memory) {
		t.Helper()
		for _, life := range []string{"", " after a restart"} {
			m, known := s.Repo(root, home, llama)
			if known != !want.Since.IsZero() || !m.Since.Equal(want.Since) || m.Play != want.Play || !slices.Equal(m.CutOffs, want.CutOffs) {
				t.Errorf("%s%s: got %+v, %v, want %+v", name, life, m, known, want)
			}
			kill(s)
			s, _ = openStore(t, dir, &testDisk{})
			l, _, _ = start(s)
		}
	}
	check("nothing", sizer.Memory{})
	commit(l, first, tracker.Preparing)
	check("open", first.Memory)
	commit(l, over(first), tracker.Completed)
	check("over and pending", over(first).Memory)
	commit(l, second, tracker.Preparing)
	check("a second is open", second.Memory)
	commit(l, over(second), tracker.Completed)
	check("both over", over(second).Memory)
	for _, sink := range []string{"log", "journal"} {
		s.Written("e2-completed", sink)
	}
	check("the second closed first", over(second).Memory)
	for _, sink := range []string{"log", "journal"} {
		s.Written("e1-completed", sink)
	}
	check("both closed", over(second).Memory)
	if m, known := s.Repo("/elsewhere", home, llama); known {
		t.Errorf("the same repository of another root is known: %+v", m)
	}
}

func TestOpenEpisodesComeBackAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	first := record("e1", llama, 1)
	first.Announced, first.Peak, first.Seq = 5e8, 6e8, 12
	first.Warned = map[tracker.Kind]bool{tracker.SizeDiffers: true}
	commit(l, record("over", qwen, 0), tracker.Preparing)
	commit(l, first, tracker.Progress)
	commit(l, over(record("over", qwen, 0)), tracker.Completed)
	commit(l, record("e0", qwen, 0), tracker.Preparing) // later, though its clock says earlier
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	got := s.Episodes()
	if len(got) != 2 || got[0].ID != "e1" || got[1].ID != "e0" {
		t.Fatalf("got %+v, want e1, e0", got)
	}
	if fmt.Sprint(got[0]) != fmt.Sprint(first) {
		t.Errorf("got  %+v\nwant %+v", got[0], first)
	}
}

func TestNothingIsWrittenThatDidNotChange(t *testing.T) {
	on := &testDisk{}
	s, _ := openStore(t, t.TempDir(), on)
	l, _, _ := start(s)
	a, b := record("a", llama, 1), record("b", qwen, 1)
	commit(l, a, tracker.Preparing)
	same(t, "first sight of a repository", on.takeOps(), "durably state.json", "replace a.json")
	commit(l, b, tracker.Preparing)
	same(t, "another", on.takeOps(), "durably state.json", "replace b.json")
	commit(l, a, tracker.Progress)
	same(t, "progress", on.takeOps(), "replace a.json")
	commit(l, a, tracker.Stalled)
	same(t, "a verdict", on.takeOps(), "durably a.json")
	s.Written("a-stalled", "log")
	s.Written("a-stalled", "log")
	same(t, "confirmed by one", on.takeOps(), "durably a.json")
	s.Written("a-stalled", "journal")
	same(t, "confirmed by all", on.takeOps(), "replace a.json")
	commit(l, over(a))
	same(t, "over, no verdict", on.takeOps(), "durably state.json", "remove a.json")
	l.store.flush()
	same(t, "nothing", on.takeOps())
}

func TestRepositoriesAreBounded(t *testing.T) {
	s, said := openStore(t, t.TempDir(), &testDisk{})
	for i := range maxRepos + 1 {
		rec := s.repoRecord(repoKey{root, hfcache.Repo{Type: hfcache.Model, ID: fmt.Sprint("org/m", i)}})
		rec.Number, rec.Since = uint64(i+1), day
	}
	_, oldest := s.Repo(root, home, hfcache.Repo{Type: hfcache.Model, ID: "org/m0"})
	_, newest := s.Repo(root, home, hfcache.Repo{Type: hfcache.Model, ID: fmt.Sprint("org/m", maxRepos)})
	if oldest || !newest || len(s.repos) > maxRepos {
		t.Errorf("oldest known: %v, newest known: %v, %d in all", oldest, newest, len(s.repos))
	}
	said.wantCount(t, "too many repositories", 1)
	if data, err := encode(stateRecord{Repos: slices.Repeat([]repoRecord{{Root: root, Repo: llama}}, maxRepos)}, maxStateBytes); err != nil {
		t.Error("the bound is too high to be written:", err, len(data))
	}
}

func TestTimesThatJSONCannotSayAreKept(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	if err := s.NoteRoot(root, numbered(7), time.Unix(1<<40, 0)); err != nil {
		t.Error(err)
	}
	l, _, _ := start(s)
	far := record("e1", llama, 1)
	far.Memory.Since = time.Unix(1<<40, 0)
	commit(l, far, tracker.Preparing)
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	if m, known := s.Repo(root, home, llama); !known || m.Since.Year() != 9998 {
		t.Errorf("got %+v, %v", m, known)
	}
}

func TestARecordGoesOnlyAfterItsRepositoryIsNoted(t *testing.T) {
	dir := t.TempDir()
	on := &testDisk{}
	s, _ := openStore(t, dir, on)
	l, _, _ := start(s)
	ep := record("e1", llama, 1)
	commit(l, over(ep), tracker.Completed)
	s.Written("e1-completed", "log")
	on.before = func(_, path string) error {
		if filepath.Base(path) == stateFile {
			return syscall.EIO
		}
		return nil
	}
	s.Written("e1-completed", "journal")
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	if m, known := s.Repo(root, home, llama); !known || !m.Since.Equal(over(ep).Memory.Since) {
		t.Errorf("the end of the download is forgotten: %+v, %v", m, known)
	}
}

// Were the newer record on disk alone, the older one's verdict would be lost.
func TestRecordsAreWrittenInTheOrderOfTheirEpisodes(t *testing.T) {
	on := &testDisk{}
	s, _ := openStore(t, t.TempDir(), on)
	l, _, _ := start(s)
	want := []string{"durably state.json"}
	for i := range 20 {
		ep := over(record(fmt.Sprint("e", i), llama, i))
		l.Commit(&ep, []tracker.Event{event(ep, tracker.Completed)})
		want = append(want, "durably "+ep.ID+".json")
	}
	l.pass()
	same(t, "writes", on.takeOps(), want...)
}

// A reader, or a kill, meets the old file or the new one.
func TestFilesAreReplacedNotRewritten(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "x"), filepath.Join(dir, "old")
	for _, replace := range []func(string, []byte) error{osDisk{}.replace, osDisk{}.replace, osDisk{}.replaceDurably, osDisk{}.replaceDurably} {
		write(t, path, "before")
		if err := os.Link(path, old); err != nil {
			t.Fatal(err)
		}
		if err := replace(path, []byte("after")); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{path: "after", old: "before"} {
			if data, err := os.ReadFile(name); err != nil || strings.TrimRight(string(data), " ") != want {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
		if err := os.Remove(old); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "left", files(t, dir, ""), "x")
}

// Each write meets the content before last, whatever its length.
func TestARecordReplacedTimeAndAgainIsNeverMixedWithAFormerOne(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	for i, length := range []int{0, 700, 699, 5000, 10, 700, 4096, 9000, 4097, 3} {
		want := fmt.Sprintf(`{"n":%d,"s":%q}`, i, strings.Repeat(string(rune('a'+i)), length))
		if err := (osDisk{}).replace(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || strings.TrimRight(string(data), " ") != want || len(data) > (len(want)+4095)/4096*4096 {
			t.Fatalf("write %d: %d bytes for %d, %v", i, len(data), len(want), err)
		}
	}
	if err := (osDisk{}).remove(path); err != nil {
		t.Fatal(err)
	}
	same(t, "left", files(t, dir, ""))
}
