package state

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"progressd/account"
	"progressd/downloader"
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
	dir := quickDir(t)
	s, _ := openStore(t, dir, &testDisk{})
	s.Found(tracker.Tenant{Root: "/other", Owner: 2})
	for i := range maxRoots + 1 {
		s.Found(tracker.Tenant{Root: fmt.Sprint("/hub", i), Owner: 1})
	}
	if len(s.roots) > maxRoots || s.roots["/hub0"] != nil || s.roots["/hub3"] == nil || s.roots["/other"] == nil {
		t.Errorf("%d roots; want the oldest of the user who has most forgotten", len(s.roots))
	}
	if got := files(t, filepath.Join(dir, rootsDir), ""); len(got) > maxRoots {
		t.Errorf("%d files", len(got))
	}
	for i := range uint64(maxBaselines + 1) {
		if err := s.NoteRoot(root, numbered(1+i), day); err != nil {
			t.Fatal(err)
		}
	}
	_, oldest := s.Root(root, numbered(1))
	_, next := s.Root(root, numbered(2))
	if oldest || !next {
		t.Errorf("the oldest baseline is known: %v, the next: %v", oldest, next)
	}
}

func TestRepositoryMemory(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	first, second := record("e1", llama, 1), record("e2", llama, 10)
	check := func(name string, want sizer.Checkpoint) {
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
	check("nothing", sizer.Checkpoint{})
	commit(l, first, tracker.Preparing)
	check("open", first.Checkpoint)
	commit(l, over(first), tracker.Completed)
	check("over and pending", over(first).Checkpoint)
	commit(l, second, tracker.Preparing)
	check("a second is open", second.Checkpoint)
	commit(l, over(second), tracker.Completed)
	check("both over", over(second).Checkpoint)
	for _, sink := range []string{"log", "journal"} {
		s.Written("e2-completed", sink)
	}
	check("the second closed first", over(second).Checkpoint)
	for _, sink := range []string{"log", "journal"} {
		s.Written("e1-completed", sink)
	}
	check("both closed", over(second).Checkpoint)
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
	same(t, "first sight of a root", on.takeOps(), "rewrite root")
	commit(l, b, tracker.Preparing)
	same(t, "another repository", on.takeOps(), "extend root")
	commit(l, a, tracker.Progress)
	same(t, "progress", on.takeOps(), "extend root")
	commit(l, a, tracker.Stalled)
	same(t, "a verdict", on.takeOps(), "durably root")
	if err := placing(s, "a-stalled", tracker.Position{}); err != nil {
		t.Error(err)
	}
	same(t, "placed", on.takeOps(), "durably root")
	s.Written("a-stalled", "log")
	s.Written("a-stalled", "log")
	same(t, "confirmed by one", on.takeOps(), "extend root")
	s.Written("a-stalled", "journal")
	same(t, "confirmed by all", on.takeOps(), "extend root")
	commit(l, over(a))
	same(t, "over, no verdict", on.takeOps(), "extend root")
	l.store.flush()
	same(t, "nothing", on.takeOps())
}

// What happens in one root makes no work for another.
func TestEachRootHasAFileOfItsOwn(t *testing.T) {
	on := &testDisk{}
	s, _ := openStore(t, t.TempDir(), on)
	l, _, _ := start(s)
	for i := range 50 {
		ep := record(fmt.Sprint("big", i), hfcache.Repo{Type: hfcache.Model, ID: fmt.Sprint("org/m", i)}, i)
		ep.Root = "/busy"
		commit(l, ep, tracker.Preparing)
	}
	commit(l, record("a", llama, 1), tracker.Preparing)
	on.takeOps()
	size := int64(0)
	on.before = func(_, path string) error {
		info, err := os.Stat(path)
		if err == nil {
			size = info.Size()
		}
		return err
	}
	commit(l, record("a", llama, 1), tracker.Progress)
	same(t, "progress", on.takeOps(), "extend root")
	if size > 4096 {
		t.Errorf("the file has %d bytes", size)
	}
}

func TestAFileThatIsMostlyOutOfDateIsWrittenAfresh(t *testing.T) {
	on := &testDisk{}
	dir := quickDir(t)
	s, _ := openStore(t, dir, on)
	l, _, _ := start(s)
	ep := record("a", llama, 1)
	commit(l, ep, tracker.Preparing)
	on.takeOps()
	rewrites := 0
	for range 2000 {
		commit(l, ep, tracker.Progress)
		if slices.Contains(on.takeOps(), "rewrite root") {
			rewrites++
		}
	}
	info, err := os.Stat(filepath.Join(dir, newRecords(root).file()))
	if err != nil || info.Size() > 2*slack || rewrites == 0 || rewrites > 10 {
		t.Errorf("%d bytes, written afresh %d times, %v", info.Size(), rewrites, err)
	}
	kill(s)
	s, _ = openStore(t, dir, on)
	if got := s.Episodes(); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(ep) {
		t.Errorf("afterwards: %+v", got)
	}
}

// repo is one of many.
func repo(n int) hfcache.Repo {
	return hfcache.Repo{Type: hfcache.Model, ID: fmt.Sprint("org/m", n)}
}

// One user who fills the memory pushes out what it has itself, and nobody else's
// (it forgot what was the longest ago of all users).
func TestRepositoriesAreBounded(t *testing.T) {
	dir := quickDir(t)
	s, _ := openStore(t, dir, &testDisk{})
	s.Found(tracker.Tenant{Root: root, Owner: 1})
	s.Found(tracker.Tenant{Root: "/victim", Owner: 2})
	limit := int(account.Names.Limit().All)
	victim := s.repoRecord(hfcache.Place{Root: "/victim", Repo: llama})
	victim.Number, victim.Since, victim.Log = 1, day, "org--llama.log"
	for i := range limit + 1 {
		rec := s.repoRecord(hfcache.Place{Root: root, Repo: repo(i)})
		rec.Number, rec.Since = uint64(i+2), day
	}
	_, oldest := s.Repo(root, home, repo(0))
	_, newest := s.Repo(root, home, repo(limit))
	_, others := s.Repo("/victim", home, llama)
	if oldest || !newest || !others || s.allNames > limit {
		t.Errorf("oldest known: %v, newest known: %v, another user's known: %v, %d in all", oldest, newest, others, s.allNames)
	}
	kill(s)
}

// A user who spreads its roots over numbers that are lent to it has no less: who has a
// few under one number lost them instead.
func TestLentNumbersPushOutTheLenders(t *testing.T) {
	lent := filepath.Join(t.TempDir(), "subuid")
	write(t, lent, "1000:100000:65536\n")
	owners := account.SystemOwners(func(path string) (*os.File, error) {
		if path == "/etc/subuid" {
			return os.Open(lent)
		}
		return nil, os.ErrNotExist
	})
	s := newStore(t.TempDir(), account.NewBook(owners, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler), &testDisk{})
	for i := range 3 {
		s.Found(tracker.Tenant{Root: fmt.Sprint("/victim", i), Owner: 2})
	}
	for i := range maxRoots {
		s.Found(tracker.Tenant{Root: fmt.Sprint("/hub", i), Owner: account.User(100_000 + i)})
	}
	for i := range 3 {
		if s.roots[fmt.Sprint("/victim", i)] == nil {
			t.Errorf("the victim's root %d is forgotten", i)
		}
	}
}

// After a restart each user's records are read, however many another has.
func TestRecordsOfOneUserPushOutNoOthers(t *testing.T) {
	dir := quickDir(t)
	s, _ := openStore(t, dir, &testDisk{})
	s.Found(tracker.Tenant{Root: "/mallory", Owner: 1})
	l, _, _ := start(s)
	// As many programs with long command lines as one may have.
	ep := record("m", llama, 1)
	ep.Root = "/mallory"
	for range 16 {
		ep.Checkpoint.Downloaders = append(ep.Checkpoint.Downloaders, downloader.Process{Command: strings.Repeat("x", 32<<10)})
	}
	for i := range 100 {
		ep.ID, ep.Repo = fmt.Sprint("m", i), repo(i)
		commit(l, ep, tracker.Preparing)
	}
	for i := range 10 {
		ep := record(fmt.Sprint("v", i), llama, i)
		ep.Root = fmt.Sprint("/victim", i)
		s.Found(tracker.Tenant{Root: ep.Root, Owner: account.User(10 + i)})
		commit(l, ep, tracker.Preparing)
	}
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	mallory, victims := 0, 0
	for _, ep := range s.Episodes() {
		if ep.Root == "/mallory" {
			mallory++
		} else {
			victims++
		}
	}
	if most := int(account.Records.Limit().All/2) / (16 * 32 << 10); victims != 10 || mallory > most || mallory < most/2 {
		t.Errorf("read: %d of 10 of others, %d of 100 of the one (at most %d)", victims, mallory, most)
	}
}

func TestARootThatChangesHandsIsTheNewOwners(t *testing.T) {
	dir := quickDir(t)
	s, _ := openStore(t, dir, &testDisk{})
	l, log, _ := start(s)
	s.Found(tracker.Tenant{Root: root, Owner: 1})
	commit(l, record("a", llama, 1), tracker.Preparing)
	s.Found(tracker.Tenant{Root: root, Owner: 2, Named: true})
	if s.names[1] != 0 || s.names[2] != 1 || s.accounts.Held(1, account.Records) != 0 || s.accounts.Held(2, account.Records) == 0 {
		t.Errorf("names %v, records %d and %d", s.names, s.accounts.Held(1, account.Records), s.accounts.Held(2, account.Records))
	}
	commit(l, record("a", llama, 1), tracker.Progress)
	if got, want := log.events[1].Tenant, (tracker.Tenant{Root: root, Owner: 2, Named: true, Given: true}); got != want {
		t.Errorf("an event is for %+v, want %+v", got, want)
	}
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	l, log, _ = start(s)
	commit(l, record("a", llama, 1), tracker.Progress)
	if got, want := log.events[0].Tenant, (tracker.Tenant{Root: root, Owner: 2}); got != want {
		t.Errorf("after a restart an event is for %+v, want %+v", got, want)
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
	far.Checkpoint.Since = time.Unix(1<<40, 0)
	commit(l, far, tracker.Preparing)
	kill(s)
	s, _ = openStore(t, dir, &testDisk{})
	if m, known := s.Repo(root, home, llama); !known || m.Since.Year() != 9998 {
		t.Errorf("got %+v, %v", m, known)
	}
}

func TestARecordGoesOnlyAfterItsRepositoryIsNoted(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	commit(l, over(record("e1", llama, 1)), tracker.Completed)
	s.Written("e1-completed", "log")
	s.Written("e1-completed", "journal")
	noted := false
	for _, l := range recordsOf(t, dir, root) {
		noted = noted || l.Repo != nil && !l.Repo.Since.IsZero()
		if l.Closed != "" && !noted {
			t.Error("closed before it was noted")
		}
	}
	if !noted {
		t.Error("not noted")
	}
}

// Were the newer record on disk alone, the older one's verdict would be lost.
func TestRecordsAreWrittenInTheOrderOfTheirEpisodes(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir, &testDisk{})
	l, _, _ := start(s)
	var want, got []string
	for i := range 20 {
		ep := over(record(fmt.Sprint("e", i), llama, i))
		l.Commit(&ep, []tracker.Event{event(ep, tracker.Completed)})
		want = append(want, ep.ID)
	}
	l.pass()
	for _, l := range recordsOf(t, dir, root) {
		if l.Episode != nil {
			got = append(got, l.Episode.Episode.ID)
		}
	}
	same(t, "writes", got, want...)
}

// A reader, or a kill, meets the old file or the new one.
func TestFilesAreReplacedNotRewritten(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "x"), filepath.Join(dir, "old")
	write(t, path, "before")
	if err := os.Link(path, old); err != nil {
		t.Fatal(err)
	}
	err := osDisk{}.rewrite(path, func(out io.Writer) error {
		_, err := out.Write([]byte("after"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := osDisk{}.rewrite(path, func(out io.Writer) error {
		_, _ = out.Write([]byte("half"))
		return syscall.ENOSPC
	})
	if !errors.Is(failed, syscall.ENOSPC) {
		t.Errorf("got %v", failed)
	}
	for name, want := range map[string]string{path: "after", old: "before"} {
		if data, err := os.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	same(t, "left", files(t, dir, ""), "old", "x")
}

// What was written by something else, or cut off, is never appended to.
func TestOnlyTheFileThatWasWrittenIsExtended(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	write(t, path, "1\n")
	if err := (osDisk{}).extend(path, 2, []byte("2\n"), true); err != nil {
		t.Error(err)
	}
	if err := (osDisk{}).extend(path, 2, []byte("3\n"), false); !errors.Is(err, errOther) {
		t.Errorf("got %v", err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "none"} {
		if err := (osDisk{}).extend(filepath.Join(dir, name), 4, []byte("3\n"), false); err == nil {
			t.Errorf("%s was extended", name)
		}
	}
	if data, _ := os.ReadFile(path); string(data) != "1\n2\n" {
		t.Errorf("it holds %q", data)
	}
}

func TestRecordsThatWereChangedBehindOurBackAreWrittenAfresh(t *testing.T) {
	dir := t.TempDir()
	on := &testDisk{}
	s, said := openStore(t, dir, on)
	l, _, _ := start(s)
	commit(l, record("a", llama, 1), tracker.Preparing)
	path := filepath.Join(dir, newRecords(root).file())
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	commit(l, record("b", qwen, 1), tracker.Preparing)
	same(t, "episodes", left(t, dir, root), "a", "b")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	commit(l, record("a", llama, 1), tracker.Progress)
	same(t, "episodes", left(t, dir, root), "a", "b")
	said.wantCount(t, "level=", 0)
}
