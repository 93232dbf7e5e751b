package watcher

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/untrusted"
)

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
			s := newFinder(New(Options{}), dir+"/"+tt.pattern).resolve(t.Context())
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
	for poll, want := range map[time.Duration]time.Duration{
		time.Second: time.Minute, 30 * time.Second: time.Minute, 10 * time.Minute: 10 * time.Minute,
	} {
		if got := retry(poll, 1000); got != want {
			t.Errorf("with a poll each %v it rests for %v at the most, want %v", poll, got, want)
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
		if got := untrusted.Path(in); got != want {
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

// counted is a kernel that counts what is asked for its stat, by name.
type counted struct {
	fsys.Real
	stats map[string]int
}

func (k counted) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	k.stats[name]++
	return k.Real.Fstatat(at, name, st, flags)
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
	r.notify = newNotifier(fsys.Real{}, openNotify, nil, quietLog()) // nobody runs it: no watch tells anything
	unwatched := r.index.find([]byte("models--a--e"))
	for _, p := range r.index.order {
		p.watch.generation = r.notify.currentGeneration()
		if p != unwatched {
			p.watch.where, p.watch.inode = p.stamp.where, p.stamp.inode
		}
	}
	counted := counted{stats: make(map[string]int)}
	r.opts.FS = counted
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
			FS: fsys.Real{}, ProcessorTime: processorTime, Poll: time.Nanosecond, IsRepo: isRepo, Log: quietLog(),
			NewLooker: func(Root) Looker { return blindLooker{} },
		},
		watcherBegan: time.Now(), orders: newOrders(), root: Root{Path: root, Dev: st.Dev, Inode: st.Ino},
	}
	r.begin()
	for r.listDue == 0 || r.index.unvisited() {
		must(tb, r.step(tb.Context()))
	}
	return r
}

func (blindLooker) Came(string, time.Time) {}

func (blindLooker) Stirred(context.Context) ([]string, bool) { return nil, false }

func (blindLooker) Look(context.Context, string, func() time.Duration) Pace { return Idle }

// Another user's link to a cache is no root, and its names are in no message.
func TestABorrowedLinkLeadsToNoRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	base := tempRoot(t)
	private := mkdir(t, base, "victim", "private")
	mkdir(t, private, "secret-project", "models--a--b")
	mallory := mkdir(t, base, "mallory")
	for path, uid := range map[string]int{private: 1000, filepath.Join(private, "secret-project"): 1000, mallory: 1001} {
		must(t, os.Chown(path, uid, uid))
	}
	must(t, os.Symlink(private, filepath.Join(mallory, "hubs")))
	must(t, os.Lchown(filepath.Join(mallory, "hubs"), 1001, 1001))
	for _, pattern := range []string{"/*/hubs/secret-project", "/*/hubs/*"} {
		g := newRig(t, soon, true, base+pattern)
		g.start()
		g.awaitTrue("it is said", func() bool { return g.log.count("belongs to uid 1001") == 1 })
		if len(g.looks) > 0 || g.log.count("models--a--b") > 0 || g.log.count("cache found") > 0 {
			t.Errorf("%s: looked at; log:\n%s", pattern, g.log)
		}
		if pattern == "/*/hubs/*" && g.log.count("secret-project") > 0 {
			t.Errorf("%s: names what lies there:\n%s", pattern, g.log)
		}
	}
}

// A pattern that sees what it saw before is no reason to go through all roots.
func TestAReportSaysTheSameOrNot(t *testing.T) {
	t.Parallel()
	at := func(path string, inode uint64) sighting { return sighting{Root{Path: path, Inode: inode}, path} }
	before := report{"/a/*", []sighting{at("/a/b", 1), at("/a/c", 2)}, survey{delayed: []delay{{path: "/a/d"}}}}
	if !before.same(report{"/a/*", []sighting{at("/a/b", 1), at("/a/c", 2)}, survey{delayed: []delay{{path: "/a/d", since: time.Now()}}}}) {
		t.Error("the same isn't the same")
	}
	for name, other := range map[string]report{
		"a root is gone":               {"/a/*", before.seen[:1], before.survey},
		"a root is another":            {"/a/*", []sighting{at("/a/b", 1), at("/a/c", 3)}, before.survey},
		"a place answers":              {"/a/*", before.seen, survey{}},
		"a place may not be seen":      {"/a/*", before.seen, survey{delayed: before.survey.delayed, refused: []refusal{{path: "/a/e"}}}},
		"nothing was seen until now":   {},
		"another place doesn't answer": {"/a/*", before.seen, survey{delayed: []delay{{path: "/a/x"}}}},
	} {
		if before.same(other) {
			t.Errorf("%s, and it says the same", name)
		}
	}
}
