package fsys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// tempDir gives a directory by its real path, and opened.
func tempDir(tb testing.TB) (string, Dir) {
	tb.Helper()
	path, err := filepath.EvalSymlinks(tb.TempDir())
	must(tb, err)
	return path, opened(tb, Real{}, path)
}

func opened(tb testing.TB, kernel Kernel, path string) Dir {
	tb.Helper()
	d, err := Open(kernel, path)
	must(tb, err)
	tb.Cleanup(d.Close)
	return d
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	must(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	must(tb, os.WriteFile(path, []byte(text), 0o644))
}

// interrupted is a kernel in which a signal interrupts each call once.
type interrupted struct {
	Real
	mu    sync.Mutex
	twice map[string]bool
}

func newInterrupted() *interrupted { return &interrupted{twice: map[string]bool{}} }

func (k *interrupted) signal(call string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.twice[call] = !k.twice[call]; k.twice[call] {
		return unix.EINTR
	}
	return nil
}

func (k *interrupted) Openat(at int, name string, flags int) (int, error) {
	if err := k.signal("openat"); err != nil {
		return -1, err
	}
	return k.Real.Openat(at, name, flags)
}

func (k *interrupted) Read(fd int, into []byte) (int, error) {
	if err := k.signal("read"); err != nil {
		return -1, err
	}
	return k.Real.Read(fd, into)
}

func (k *interrupted) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	if err := k.signal("fstatat"); err != nil {
		return err
	}
	return k.Real.Fstatat(at, name, st, flags)
}

func (k *interrupted) Readlinkat(at int, name string, into []byte) (int, error) {
	if err := k.signal("readlinkat"); err != nil {
		return -1, err
	}
	return k.Real.Readlinkat(at, name, into)
}

func (k *interrupted) Getdents(fd int, buf []byte) (int, error) {
	if err := k.signal("getdents"); err != nil {
		return -1, err
	}
	return k.Real.Getdents(fd, buf)
}

func (k *interrupted) Rewind(fd int) error {
	if err := k.signal("rewind"); err != nil {
		return err
	}
	return k.Real.Rewind(fd)
}

func (k *interrupted) Fstatfs(fd int, st *unix.Statfs_t) error {
	if err := k.signal("fstatfs"); err != nil {
		return err
	}
	return k.Real.Fstatfs(fd, st)
}

// TestTellsWhatIsThere asks everything of a small tree, of this machine's
// kernel and of one whose calls are interrupted.
func TestTellsWhatIsThere(t *testing.T) {
	for name, kernel := range map[string]Kernel{"real": Real{}, "interrupted": newInterrupted()} {
		t.Run(name, func(t *testing.T) {
			path, _ := tempDir(t)
			write(t, path+"/sub/deep/file", "text")
			must(t, os.Symlink("../target", path+"/sub/link"))
			old := time.Unix(1_600_000_000, 123_000_000)
			must(t, os.Chtimes(path+"/sub/deep/file", old, old))
			top := opened(t, kernel, path)

			var want unix.Stat_t
			must(t, unix.Lstat(path+"/sub/deep/file", &want))
			for how, ask := range map[string]func(string) (Entry, error){"LstatPath": top.LstatPath, "Peek": top.Peek} {
				e, err := ask("sub/deep/file")
				if err != nil || e.Inode != want.Ino || e.Dev != want.Dev || e.Size != 4 || e.Blocks != want.Blocks ||
					e.UID != want.Uid || !e.Mtime.Equal(old) || !e.Ctime.Equal(time.Unix(want.Ctim.Unix())) || !e.Regular() {
					t.Errorf("%s: %+v, %v", how, e, err)
				}
				if _, err := ask("sub/none"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s of nothing: %v", how, err)
				}
			}
			sub, err := top.Sub("sub")
			must(t, err)
			defer sub.Close()
			var names []string
			for range 2 { // it begins again
				names = names[:0]
				must(t, sub.Names(func(name string) bool { names = append(names, strings.Clone(name)); return true }))
			}
			if slices.Sort(names); !slices.Equal(names, []string{"deep", "link"}) {
				t.Errorf("names %q", names)
			}
			must(t, unix.Stat(path+"/sub", &want))
			if e, err := sub.Stat(); err != nil || e.Inode != want.Ino || !e.IsDir() {
				t.Errorf("the directory itself: %+v, %v", e, err)
			}
			if e, err := sub.Lstat("link"); err != nil || !e.Link() {
				t.Errorf("a link: %+v, %v", e, err)
			}
			for how, text := range map[string]func() (string, error){
				"Readlink":     func() (string, error) { return sub.Readlink("link") },
				"ReadlinkPath": func() (string, error) { return top.ReadlinkPath("sub/link") },
			} {
				if text, err := text(); err != nil || text != "../target" {
					t.Errorf("%s: %q, %v", how, text, err)
				}
			}
			f, e, err := opened(t, kernel, path+"/sub/deep").OpenRegular("file")
			must(t, err)
			defer f.Close()
			if text, err := io.ReadAll(f); err != nil || string(text) != "text" || e.Size != 4 {
				t.Errorf("content %q of %d bytes, %v", text, e.Size, err)
			}
			if st, err := sub.Statfs(); err != nil || st.Bsize == 0 {
				t.Errorf("statfs: %+v, %v", st, err)
			}
		})
	}
}

func TestBornIsWhenAnEntryWasMade(t *testing.T) {
	path, top := tempDir(t)
	write(t, path+"/sub/file", "")
	born := top.BornPath("sub/file")
	if born.IsZero() {
		t.Skip("this file system doesn't keep it")
	}
	if age := time.Since(born); age < -time.Minute || age > time.Minute {
		t.Errorf("a new file is %v old", age)
	}
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(path+"/sub/file", old, old))
	if again := top.BornPath("sub/file"); !again.Equal(born) {
		t.Errorf("born at %v, then at %v", born, again)
	}
	if b := top.Born("none"); !b.IsZero() {
		t.Errorf("what isn't there was born at %v", b)
	}
}

// TestFollowsNoLink: only the path of a root may lead through links.
func TestFollowsNoLink(t *testing.T) {
	path, top := tempDir(t)
	write(t, path+"/real/sub/file", "text")
	must(t, os.Symlink("real", path+"/dir"))
	must(t, os.Symlink("sub", path+"/real/link"))
	must(t, os.Symlink("real/sub/file", path+"/file"))
	for _, p := range []string{"dir", "dir/sub", "real/link"} {
		if d, err := top.Sub(p); !Refused(err) || !Absent(err) {
			d.Close()
			t.Errorf("Sub(%q): %v", p, err)
		}
	}
	for _, p := range []string{"dir/sub", "dir/sub/file", "real/link/file"} {
		if _, err := top.LstatPath(p); !Refused(err) {
			t.Errorf("LstatPath(%q): %v", p, err)
		}
	}
	if _, _, err := top.OpenRegular("file"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a link was opened: %v", err)
	}
	if d, err := OpenNoFollow(Real{}, path+"/dir"); err == nil {
		d.Close()
		t.Error("OpenNoFollow followed a link")
	}
	for _, name := range []string{"/dir", "/dir/below", "/below/../dir"} {
		if d, err := OpenUnlinked(Real{}, path+name); err == nil {
			d.Close()
			t.Errorf("OpenUnlinked followed a link to %s", name)
		}
	}
	d, err := Open(Real{}, path+"/dir")
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

func TestOpensNothingButFilesAndDirectories(t *testing.T) {
	path, top := tempDir(t)
	must(t, unix.Mkfifo(path+"/fifo", 0o644))
	must(t, os.Mkdir(path+"/dir", 0o755))
	for _, name := range []string{"fifo", "dir"} {
		if _, _, err := top.OpenRegular(name); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s is read: %v", name, err)
		}
	}
	if _, err := top.Sub("fifo"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a FIFO as a directory: %v", err)
	}
	if _, _, err := Follow(Real{}, path+"/fifo"); !errors.Is(err, ErrNotDirectory) {
		t.Errorf("a FIFO as a directory at the end of a path: %v", err)
	}
}

// swapped makes a FIFO of a file between the first stat and its opening.
type swapped struct {
	Real
	path string
}

func (k swapped) Openat(at int, name string, flags int) (int, error) {
	if name == "file" {
		_ = os.Remove(k.path)
		_ = unix.Mkfifo(k.path, 0o644)
	}
	return k.Real.Openat(at, name, flags)
}

func TestReadsNothingThatWasSwappedIn(t *testing.T) {
	path, _ := tempDir(t)
	write(t, path+"/file", "text")
	before := descriptors(t)
	d := opened(t, swapped{path: path + "/file"}, path)
	if _, _, err := d.OpenRegular("file"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("%v", err)
	}
	if n := descriptors(t); n != before+1 {
		t.Errorf("%d descriptors are open, want %d", n, before+1)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(names)
}

func TestLeavesNothingOpen(t *testing.T) {
	path, top := tempDir(t)
	write(t, path+"/a/b/c/file", "text")
	before := descriptors(t)
	for _, p := range []string{"a", "a/b/c", "a/none/c", "none", "a/b/c/file", "a/b/c/file/x", "a//c", "/a", ""} {
		_, _ = top.LstatPath(p)
		if d, err := top.Sub(p); err == nil {
			_ = d.List(func([]Item) error { return errors.New("stop") })
			d.Close()
		}
	}
	func() {
		defer func() { _ = recover() }()
		_ = top.Below("a/b/c", func(Dir, string) error { panic("a bug") })
	}()
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are open, want %d", n, before)
	}
}

func TestNamesStopsWhenItIsTold(t *testing.T) {
	path, top := tempDir(t)
	for i := range 10 {
		write(t, path+"/"+fmt.Sprint(i), "")
	}
	d, err := top.Sub(".")
	must(t, err)
	defer d.Close()
	n := 0
	must(t, d.Names(func(string) bool { n++; return n < 3 }))
	if n != 3 {
		t.Errorf("%d names, want 3", n)
	}
}

func TestListGivesNamesInodesAndKinds(t *testing.T) {
	path, top := tempDir(t)
	must(t, os.Mkdir(path+"/folder", 0o755))
	write(t, path+"/file", "")
	must(t, os.Symlink("folder", path+"/link"))
	for i := range 2000 { // more than one piece
		write(t, path+"/a-name-that-takes-room-in-the-buffer-"+fmt.Sprint(i), "")
	}
	n, pieces := 0, 0
	must(t, top.List(func(items []Item) error {
		n, pieces = n+len(items), pieces+1
		for _, i := range items {
			e, err := top.Lstat(string(i.Name))
			must(t, err)
			if i.Inode != e.Inode || i.Dir != (string(i.Name) == "folder") {
				t.Errorf("%s: inode %d, want %d; dir %v", i.Name, i.Inode, e.Inode, i.Dir)
			}
		}
		return nil
	}))
	if n != 2003 || pieces < 2 {
		t.Errorf("%d entries in %d pieces, want 2003 in several", n, pieces)
	}
	stop := errors.New("stop")
	if err := top.List(func([]Item) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("List went on: %v", err)
	}
}

func dirent(ino uint64, kind byte, name string) []byte {
	n := (recordName + len(name) + 1 + 7) &^ 7
	buf := make([]byte, n)
	binary.NativeEndian.PutUint64(buf, ino)
	binary.NativeEndian.PutUint16(buf[recordLength:], uint16(n))
	buf[recordType] = kind
	copy(buf[recordName:], name)
	return buf
}

func TestItemsAreWithoutWhatIsNoName(t *testing.T) {
	buf := slices.Concat(dirent(1, unix.DT_DIR, "."), dirent(1, unix.DT_DIR, ".."), dirent(0, unix.DT_DIR, "deleted"),
		dirent(7, unix.DT_UNKNOWN, "x"), dirent(8, unix.DT_REG, "y"))
	got := appendItems(nil, buf)
	if len(got) != 2 || string(got[0].Name) != "x" || !got[0].Dir || got[0].Inode != 7 || got[1].Dir {
		t.Errorf("%+v", got)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(slices.Concat(dirent(7, unix.DT_DIR, "models--a--b"), dirent(8, unix.DT_REG, "y")))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, buf []byte) {
		for r := range records(buf) {
			if len(r.name) == 0 || slices.Contains(r.name, 0) {
				t.Errorf("name %q", r.name)
			}
		}
	})
}

// TestFollowedPathIsThatOfTheStandardLibrary on trees full of links, loops among
// them.
func TestFollowedPathIsThatOfTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base, err := filepath.EvalSymlinks(t.TempDir())
		must(t, err)
		names := []string{"a", "b", "c"}
		element := rapid.SampledFrom(append(slices.Clone(names), "..", "."))
		text := rapid.Custom(func(rt *rapid.T) string {
			return strings.Join(rapid.SliceOfN(element, 1, 3).Draw(rt, "elements"), "/")
		})
		for _, dir := range []string{"", "a", "b", "a/b"} {
			for _, name := range names {
				path := filepath.Join(base, dir, name)
				switch rapid.IntRange(0, 4).Draw(rt, path) {
				case 0:
					_ = os.Mkdir(path, 0o755)
				case 1:
					_ = os.WriteFile(path, nil, 0o644)
				case 2:
					_ = os.Symlink(text.Draw(rt, "link"), path)
				case 3:
					_ = os.Symlink(base+"/"+text.Draw(rt, "link"), path)
				}
			}
		}
		path := filepath.Join(base, text.Draw(rt, "path"))
		if !strings.HasPrefix(path, base) {
			return
		}
		want, wantErr := filepath.EvalSymlinks(path)
		if info, err := os.Stat(want); err == nil && !info.IsDir() {
			wantErr, want = ErrNotDirectory, ""
		}
		d, got, err := Follow(Real{}, path)
		if err == nil {
			if e, err := d.Stat(); err != nil || !sameFile(e, want) {
				rt.Fatalf("%s: opened %+v, %v; want that of %q", path, e, err, want)
			}
			d.Close()
		}
		if (err == nil) != (wantErr == nil) || got != want || errors.Is(err, fs.ErrNotExist) != errors.Is(wantErr, fs.ErrNotExist) {
			rt.Fatalf("%s: %q, %v; want %q, %v", path, got, err, want, wantErr)
		}
	})
}

func sameFile(e Entry, path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Ino == e.Inode && st.Dev == e.Dev
}

func TestFollowRefusesALoop(t *testing.T) {
	path, _ := tempDir(t)
	must(t, os.Symlink("b", path+"/a"))
	must(t, os.Symlink("a", path+"/b"))
	if _, _, err := Follow(Real{}, path+"/a/x"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("%v", err)
	}
	d, _, err := Follow(newInterrupted(), path)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}
