package sink

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"progressd/account"
	"progressd/tracker"
)

// of is an event of another root's repository of that name, whose log's name was
// given in this life.
func of(root string, e tracker.Event) tracker.Event {
	e.Root = root
	e.Tenant = tracker.Tenant{Root: root, Owner: 1000, Given: true}
	return e
}

func needMarks(t *testing.T, m *ModelLog) {
	t.Helper()
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(m.dir, rootMark, []byte("pattern:x"), 0); err != nil {
		t.Skip("this file system keeps no attributes: ", err)
	}
}

// When 50 000 repositories were remembered, the name of one user's log was given
// to another's, and with it the file.
func TestALogIsNeverGivenToAnotherRoot(t *testing.T) {
	m, _ := newLog(t, newMemory())
	needMarks(t, m)
	write(t, m, of("/victim", progressOf(350e6)))
	for _, next := range []*ModelLog{m, NewModelLog(m.dir, clock, newMemory(), m.log)} { // in this life and the next
		write(t, next, of("/mallory", event(tracker.Completed, "e1")))
		wantFile(t, filepath.Join(m.dir, ocrLog), line350)
	}
	other := otherNames(ocrLog, "/mallory")[0]
	wantFile(t, filepath.Join(m.dir, other), lineDone+lineDone)
	if want := "deepseek-ai--deepseek-ocr@" + rootHash("/mallory")[:8] + ".log"; other != want {
		t.Errorf("called %s, want %s", other, want)
	}
	write(t, m, of("/victim", progressOf(550e6)))
	wantFile(t, filepath.Join(m.dir, ocrLog), line350+line550)
}

// A log that nobody is known to own is no other root's either: one of the version
// before, or where the file system keeps no marks.
func TestALogWithoutAMarkIsNotGivenAway(t *testing.T) {
	for _, given := range []bool{true, false} {
		m, _ := newLog(t, newMemory())
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, ocrLog), []byte(line350), 0o644); err != nil {
			t.Fatal(err)
		}
		e := of("/cache", progressOf(550e6))
		e.Tenant.Given = given
		write(t, m, e, e)
		want := line350
		if !given { // it is remembered that this is its log
			want += line550 + line550
		}
		wantFile(t, filepath.Join(m.dir, ocrLog), want)
	}
}

func TestALogIsNotContinuedByAnotherRootAfterItWasRotated(t *testing.T) {
	m, _ := newLog(t, newMemory())
	needMarks(t, m)
	path := filepath.Join(m.dir, ocrLog)
	write(t, m, of("/victim", progressOf(350e6)))
	rename(t, path)
	write(t, m, of("/mallory", progressOf(550e6)))
	if _, err := os.Lstat(path); err == nil {
		t.Error("the name was given away")
	}
	write(t, m, of("/victim", progressOf(550e6)))
	wantFile(t, path, line550)
	wantFile(t, path+".1", line350)
}

func TestOtherNamesCannotBeMadeToCollide(t *testing.T) {
	names := otherNames("a--b@dataset.log", "/x")
	if len(names) != 5 || names[0] != "a--b@dataset@"+rootHash("/x")[:8]+".log" || names[4] != "a--b@dataset@"+rootHash("/x")[:40]+".log" {
		t.Errorf("got %q", names)
	}
	if again := otherNames(names[1], "/x"); len(again) != 3 || again[0] != names[2] {
		t.Errorf("from one of them: %q", again)
	}
	m, _ := newLog(t, newMemory())
	needMarks(t, m)
	e := of("/x", progressOf(350e6))
	for _, name := range append([]string{ocrLog}, otherNames(ocrLog, "/x")...) {
		write(t, m, with(tracker.Progress, func(e *tracker.Event) { e.Log, e.Root = name, "/other" }))
	}
	if err := m.Write(context.Background(), e); !refused(err) {
		t.Errorf("where all are taken: %v", err)
	}
}

// The plain name goes to the root that is configured by name; the log of the one
// that a pattern has led to goes on under another.
func TestARootConfiguredByNameTakesTheLogsName(t *testing.T) {
	m, _ := newLog(t, newMemory())
	needMarks(t, m)
	write(t, m, of("/home/mallory/hub", progressOf(350e6)))
	named := of("/srv/hub", event(tracker.Completed, "e1"))
	named.Tenant.Named = true
	write(t, m, named, of("/home/mallory/hub", progressOf(550e6)))
	wantFile(t, filepath.Join(m.dir, ocrLog), lineDone)
	wantFile(t, filepath.Join(m.dir, otherNames(ocrLog, "/home/mallory/hub")[0]), line350+line550)
	// And of two that are, the first.
	second := of("/mnt/hub", progressOf(350e6))
	second.Tenant.Named = true
	write(t, m, second)
	wantFile(t, filepath.Join(m.dir, ocrLog), lineDone)
}

func TestALongRootHasAMark(t *testing.T) {
	m, _ := newLog(t, newMemory())
	needMarks(t, m)
	root := "/" + strings.Repeat("x", 4000)
	write(t, m, of(root, progressOf(350e6)), of(root+"y", progressOf(550e6)))
	wantFile(t, filepath.Join(m.dir, ocrLog), line350)
}

// The owner of a cache may read its log, other users may not.
func TestTheOwnerOfARootMayReadItsLog(t *testing.T) {
	needRoot(t)
	m, said := newLog(t, newMemory())
	if err := os.Mkdir(m.dir, 0o751); err != nil {
		t.Fatal(err)
	}
	// Whoever tests may be denied on the way to a directory of tests.
	for dir := m.dir; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&1 == 0 {
			if err := os.Chmod(dir, info.Mode()|1); err != nil {
				t.Fatal(err)
			}
		}
	}
	former := unix.Umask(0o027)
	defer unix.Umask(former)
	path := filepath.Join(m.dir, ocrLog)
	for round := range 2 { // also the one after a rotation
		write(t, m, of("/alice", progressOf(350e6)))
		if said.count("WARN") > 0 {
			t.Skip("this file system has no access lists: ", said.text.String())
		}
		for user, may := range map[account.User]bool{1000: true, 1001: false} {
			if err := readAs(user, path); (err == nil) != may {
				t.Errorf("round %d: user %d: %v", round, user, err)
			}
		}
		rename(t, path)
	}
	if info, err := os.Stat(path + ".1"); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// The unit's umask lets nobody read; who may list the directory may read the logs.
func TestTheGroupThatMayListTheDirectoryReadsTheLogsWhateverTheUmask(t *testing.T) {
	former := unix.Umask(0o077)
	defer unix.Umask(former)
	for dir, want := range map[os.FileMode]os.FileMode{0: 0o600, 0o700: 0o600, 0o750: 0o640, 0o751: 0o640, 0o755: 0o640} {
		m, _ := newLog(t, newMemory())
		if dir != 0 {
			if err := os.Mkdir(m.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(m.dir, dir); err != nil {
				t.Fatal(err)
			}
		}
		write(t, m, progressOf(350e6))
		if info, err := os.Stat(filepath.Join(m.dir, ocrLog)); err != nil || info.Mode().Perm() != want {
			t.Errorf("in a directory of mode %o: %v, %v, want %o", dir, info.Mode(), err, want)
		}
	}
}

// readAs opens a file as another user, in a thread of its own.
func readAs(user account.User, path string) error {
	errs := make(chan error)
	go func() {
		// Nothing else runs in this thread, which ends with the goroutine.
		runtime.LockOSThread()
		for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(call, uintptr(user), uintptr(user), uintptr(user)); errno != 0 {
				errs <- fmt.Errorf("cannot be another user: %w", errno)
				return
			}
		}
		f, err := os.Open(path)
		if err == nil {
			f.Close()
		}
		errs <- err
	}()
	return <-errs
}

func TestWhoMayListTheDirectoryMayReadTheLogs(t *testing.T) {
	former := unix.Umask(0o022)
	defer unix.Umask(former)
	for dir, want := range map[os.FileMode]os.FileMode{0: 0o640, 0o700: 0o640, 0o750: 0o640, 0o751: 0o640, 0o755: 0o644} {
		m, _ := newLog(t, newMemory())
		if dir != 0 {
			if err := os.Mkdir(m.dir, dir); err != nil {
				t.Fatal(err)
			}
		}
		write(t, m, progressOf(350e6))
		info, err := os.Stat(filepath.Join(m.dir, ocrLog))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("in a directory of mode %o: %v, %v, want %o", dir, info.Mode(), err, want)
		}
	}
}
