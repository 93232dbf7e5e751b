package watcher

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

func TestListGivesNamesInodesAndKinds(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, dir, "folder")
	touch(t, dir, "file")
	must(t, os.Symlink("folder", filepath.Join(dir, "link")))
	for i := range 2000 { // more than one piece
		touch(t, dir, "a-name-that-takes-room-in-the-buffer-"+string(rune('a'+i%26))+time.Duration(i).String())
	}
	fd, err := osFiles{}.Open(dir)
	must(t, err)
	defer unix.Close(fd)
	var st unix.Stat_t
	n := 0
	must(t, osFiles{}.List(fd, func(entries []entry) error {
		n += len(entries)
		for _, e := range entries {
			must(t, osFiles{}.Stat(fd, string(e.name), &st))
			if e.ino != st.Ino || e.dir != (string(e.name) == "folder") {
				t.Errorf("%s: inode %d, want %d; dir %v", e.name, e.ino, st.Ino, e.dir)
			}
		}
		return nil
	}))
	if n != 2003 {
		t.Errorf("%d entries, want 2003", n)
	}
}

func TestOpenFollowsNoLink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink("/", link))
	if fd, err := (osFiles{}).Open(link); err == nil {
		unix.Close(fd)
		t.Error("a link was followed")
	}
}

func dirent(ino uint64, kind byte, name string) []byte {
	n := (direntName + len(name) + 1 + 7) &^ 7
	buf := make([]byte, n)
	binary.NativeEndian.PutUint64(buf, ino)
	binary.NativeEndian.PutUint16(buf[direntReclen:], uint16(n))
	buf[direntType] = kind
	copy(buf[direntName:], name)
	return buf
}

func TestParseEntriesSkipsWhatIsNoName(t *testing.T) {
	buf := slices.Concat(dirent(1, unix.DT_DIR, "."), dirent(1, unix.DT_DIR, ".."), dirent(0, unix.DT_DIR, "deleted"),
		dirent(7, unix.DT_UNKNOWN, "x"), dirent(8, unix.DT_REG, "y"))
	got := parseEntries(buf, nil)
	if len(got) != 2 || string(got[0].name) != "x" || !got[0].dir || got[0].ino != 7 || got[1].dir {
		t.Errorf("%+v", got)
	}
}

func FuzzParseEntries(f *testing.F) {
	f.Add(slices.Concat(dirent(7, unix.DT_DIR, "models--a--b"), dirent(8, unix.DT_REG, "y")))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, buf []byte) {
		for _, e := range parseEntries(buf, nil) {
			if len(e.name) == 0 || slices.Contains(e.name, 0) {
				t.Errorf("name %q", e.name)
			}
		}
	})
}

func TestResolve(t *testing.T) {
	dir := tempRoot(t)
	for _, user := range []string{"ann", "bob", "c*d"} {
		mkdir(t, dir, user, ".cache", "hub")
	}
	must(t, os.Symlink(filepath.Join(dir, "ann"), filepath.Join(dir, "zoe")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "broken")))
	touch(t, dir, "file")
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	tests := []struct {
		name, pattern string
		want          []string
		refused       int
	}{
		{"literal", "ann/.cache/hub", []string{"ann/.cache/hub"}, 0},
		{"with double slashes", "ann//.cache///hub/", []string{"ann/.cache/hub"}, 0},
		{"each once, by its real path", "*/.cache/hub", []string{"ann/.cache/hub", "bob/.cache/hub", "c*d/.cache/hub"}, 0},
		{"several wildcards, never opening a FIFO", "?*/*/h[tu]b", []string{"ann/.cache/hub", "bob/.cache/hub", "c*d/.cache/hub"}, 0},
		{"escaped", `c\*d/.cache/hub`, []string{"c*d/.cache/hub"}, 0},
		{"nothing there", "dan/*/hub", nil, 0},
		{"beneath a file", "file/hub", nil, 0},
		{"a file", "file", nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := resolve(fsys.Real{}, dir+"/"+tt.pattern)
			var got []string
			for _, p := range s.places {
				rel, err := filepath.Rel(dir, p.path)
				must(t, err)
				got = append(got, rel)
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) || len(s.refused) != tt.refused {
				t.Errorf("got %q, refused %v; want %q, %d refused", got, s.refused, tt.want, tt.refused)
			}
		})
	}
}

func TestHidesWhatLiesBehindARefusal(t *testing.T) {
	s := survey{refused: []refusal{{path: "/home/ann"}}}
	for path, want := range map[string]bool{
		"/home/ann": true, "/home/ann/hub": true, "/home/anna/hub": false, "/home": false,
	} {
		if got := s.hides(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestBackOffDoublesUpToItsLimit(t *testing.T) {
	for n, want := range map[int]int{0: 5, 1: 10, 2: 20, 3: 40, 4: 60, 5: 60, 1000: 60} {
		if got := retry(5*time.Second, n); got != time.Duration(want)*time.Second {
			t.Errorf("rest %d is %v, want %vs", n, got, want)
		}
	}
}

func TestStampIsYoungForTwoSeconds(t *testing.T) {
	now := time.Now()
	for age, want := range map[time.Duration]bool{
		0: true, 1900 * time.Millisecond: true, 2100 * time.Millisecond: false,
		-time.Second: true, -time.Hour: false, // another machine's clock
	} {
		if got := (stamp{mtime: now.Add(-age).UnixNano()}).youngAt(now); got != want {
			t.Errorf("a stamp %v old is young: %v, want %v", age, got, want)
		}
	}
}

func TestCleanLetsNothingRawThrough(t *testing.T) {
	for in, want := range map[string]string{
		"models--a--b": "models--a--b", "a\nb": `"a\nb"`, "a\x1b[31m": `"a\x1b[31m"`,
		"\u202eevil": `"\u202eevil"`, "\xff": `"\xff"`,
	} {
		if got := clean(in); got != want {
			t.Errorf("%q becomes %s, want %s", in, got, want)
		}
	}
}

// BenchmarkPoll is one poll over 1000 repos at rest.
func BenchmarkPoll(b *testing.B) {
	root := tempRoot(b)
	for i := range 1000 {
		name := "models--organisation--model-" + time.Duration(i).String()
		mkdir(b, root, name, "blobs")
		age(b, root, name, "blobs")
	}
	age(b, root)
	r := restingRunner(b, root)
	b.ReportAllocs()
	for b.Loop() {
		r.pollDue = 0
		if err := r.step(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if r.index.unvisited() || len(r.index.due) > 0 {
		b.Error("the repos are not at rest")
	}
}

// countedFiles counts what is stat'ed, by name.
type countedFiles struct {
	osFiles
	stats map[string]int
}

func (f countedFiles) Stat(fd int, name string, st *unix.Stat_t) error {
	f.stats[name]++
	return f.osFiles.Stat(fd, name, st)
}

func TestAWatchedRepositoryCostsOneStatEveryFewPolls(t *testing.T) {
	root := tempRoot(t)
	names := []string{"models--a--a", "models--a--b", "models--a--c", "models--a--d", "models--a--e"}
	for _, name := range names {
		mkdir(t, root, name, "blobs")
		age(t, root, name, "blobs")
	}
	age(t, root)
	r := restingRunner(t, root)
	r.notify = newNotifier(quietLog()) // nobody runs it: no watch tells anything
	unwatched := r.index.find([]byte("models--a--e"))
	for _, p := range r.index.order {
		p.watch.epoch = r.notify.era()
		if p != unwatched {
			p.watch.where, p.watch.inode = p.stamp.where, p.stamp.inode
		}
	}
	counted := countedFiles{stats: make(map[string]int)}
	r.files = counted
	poll := func() {
		r.pollDue = 0
		must(t, r.step(t.Context()))
	}
	for range turns {
		poll()
	}
	for _, name := range names[:4] {
		if n := counted.stats[name+"/blobs"]; n != 1 {
			t.Errorf("%s: %d stats in %d polls", name, n, turns)
		}
	}
	if n := counted.stats["models--a--e/blobs"]; n != turns {
		t.Errorf("without a watch: %d stats in %d polls", n, turns)
	}
	// What no event has told is found when its turn comes.
	mkdir(t, root, "models--a--b", "blobs", "new")
	looked := r.index.find([]byte("models--a--b"))
	for range turns {
		poll()
	}
	if !looked.heaped() {
		t.Error("a change without an event is never found")
	}
	clear(counted.stats)
	r.everything = true
	poll()
	if len(counted.stats) < len(names) {
		t.Errorf("events were lost, and only %v are checked", counted.stats)
	}
}

type blindLooker struct{}

// restingRunner gives a runner that has looked at everything in root.
func restingRunner(tb testing.TB, root string) *runner {
	tb.Helper()
	var st unix.Stat_t
	must(tb, unix.Stat(root, &st))
	r := &runner{
		opts: &Options{
			Poll: time.Nanosecond, IsRepo: isRepo, Log: quietLog(),
			NewLooker: func(Root) Looker { return blindLooker{} },
		},
		epoch: time.Now(), files: osFiles{}, root: Root{Path: root, Dev: st.Dev, Inode: st.Ino},
	}
	r.begin()
	for r.listDue == 0 || r.index.unvisited() {
		must(tb, r.step(tb.Context()))
	}
	return r
}

func (blindLooker) Look(context.Context, string) Pace { return Idle }
