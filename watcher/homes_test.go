package watcher

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// network is the file system of a network: directories have the same time for ever,
// and every look at a name finds another inode number.
type network struct{ fsys.Real }

var renumbered struct {
	sync.Mutex
	last uint64
}

func (network) Fstatfs(fd int, st *unix.Statfs_t) error {
	err := fsys.Real{}.Fstatfs(fd, st)
	st.Type = 0x65735546 // fuse
	return err
}

func (network) Birth(int, string) int64 { return 0 }

func (n network) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	if err := n.Real.Fstatat(at, name, st, flags); err != nil {
		return err
	}
	renumbered.Lock()
	renumbered.last++
	st.Ino = renumbered.last
	renumbered.Unlock()
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		st.Mtim, st.Ctim = unix.Timespec{Sec: 1e9}, unix.Timespec{Sec: 1e9}
	}
	return nil
}

// hanging is a kernel on which everything beneath some paths hangs.
type hanging struct {
	fsys.Real
	mu    sync.Mutex
	hangs map[string]chan struct{}
	asked map[string]int
}

// at has everything at path hang, or answer again.
func (k *hanging) at(path string, hangs bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hangs == nil {
		k.hangs, k.asked = make(map[string]chan struct{}), make(map[string]int)
	}
	if gate := k.hangs[path]; gate != nil {
		close(gate)
		delete(k.hangs, path)
	}
	if hangs {
		k.hangs[path] = make(chan struct{})
	}
}

// whole is the path of a name in an open directory.
func whole(at int, name string) string {
	if at == unix.AT_FDCWD || filepath.IsAbs(name) {
		return name
	}
	dir, err := os.Readlink(fmt.Sprint("/proc/self/fd/", at))
	if err != nil {
		return name
	}
	return filepath.Join(dir, name)
}

func (k *hanging) wait(at int, name string) {
	name = whole(at, name)
	k.mu.Lock()
	var gate chan struct{}
	for path, g := range k.hangs {
		if name == path || strings.HasPrefix(name, path+"/") {
			gate = g
			k.asked[path]++
		}
	}
	k.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

func (k *hanging) times(path string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked[path]
}

func (k *hanging) Openat(at int, name string, flags int) (int, error) {
	k.wait(at, name)
	return k.Real.Openat(at, name, flags)
}

func (k *hanging) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	k.wait(at, name)
	return k.Real.Fstatat(at, name, st, flags)
}

// homes makes some users' homes with a cache in each, and gives the pattern of
// the packaged configuration for them.
func homes(t *testing.T, users ...string) (dir, pattern string) {
	t.Helper()
	dir = tempRoot(t)
	for _, user := range users {
		mkdir(t, dir, user, ".cache", "huggingface", "hub", "models--"+user+"--m", "blobs")
	}
	return dir, filepath.Join(dir, "*", ".cache", "huggingface", "hub")
}

func TestOneHomeThatHangsHoldsUpNoOther(t *testing.T) {
	t.Run("from the start", func(t *testing.T) {
		t.Parallel()
		dir, pattern := homes(t, "ann", "bob", "eve")
		k := &hanging{}
		k.at(filepath.Join(dir, "bob"), true)
		g := newRig(t, soon, true, pattern)
		g.w.opts.FS = k
		began := time.Now()
		g.start()
		if took := time.Since(began); took > firstPatience {
			t.Errorf("it is ready after %v", took)
		}
		g.awaitAll(0, "models--ann--m", "models--eve--m")
		g.awaitTrue("the status names it", func() bool {
			return slices.ContainsFunc(g.w.Status(), func(s RootStatus) bool {
				return s.Path == filepath.Join(dir, "bob", ".cache/huggingface/hub") && !s.Present && !s.BusySince.IsZero() && s.Pattern == pattern
			})
		})
		mkdir(t, dir, "zoe", ".cache", "huggingface", "hub", "models--zoe--m", "blobs")
		g.awaitLook("models--zoe--m", 0)
		k.at(filepath.Join(dir, "bob"), false)
		g.awaitLook("models--bob--m", 0)
		if s := g.w.Status(); len(s) != 4 || slices.ContainsFunc(s, func(s RootStatus) bool { return !s.Present }) {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		dir, pattern := homes(t, "ann", "bob")
		k := &hanging{}
		g := newRig(t, soon, true, pattern)
		g.w.opts.FS = k
		g.start()
		g.awaitAll(0, "models--ann--m", "models--bob--m")
		k.at(filepath.Join(dir, "bob"), true)
		mkdir(t, dir, "zoe", ".cache", "huggingface", "hub", "models--zoe--m", "blobs")
		g.awaitLook("models--zoe--m", 0)
		touch(t, dir, "ann", ".cache", "huggingface", "hub", "models--ann--m", "blobs", "x")
		g.awaitLook("models--ann--m", 1)
		touch(t, dir, "bob", ".cache", "huggingface", "hub", "models--bob--m", "blobs", "x")
		k.at(filepath.Join(dir, "bob"), false)
		g.awaitLook("models--bob--m", 1)
		for range 3 { // found each, and none went meanwhile
			g.awaitChange(Found)
		}
		if len(g.changes) > 0 {
			t.Errorf("a root is %+v", <-g.changes)
		}
	})
	t.Run("with several wildcards", func(t *testing.T) {
		t.Parallel()
		dir := tempRoot(t)
		for _, user := range []string{"ann", "bob"} {
			mkdir(t, dir, user, "models", "hub", "models--"+user+"--m", "blobs")
		}
		k := &hanging{}
		k.at(filepath.Join(dir, "ann", "models"), true) // which is listed
		g := newRig(t, soon, true, filepath.Join(dir, "*", "models", "h*"))
		g.w.opts.FS = k
		g.start()
		g.awaitLook("models--bob--m", 0)
		k.at(filepath.Join(dir, "ann", "models"), false)
		g.awaitLook("models--ann--m", 0)
	})
}

// TestWhatHangsIsAskedOnce: not at each poll, and not by the watcher after this
// one.
func TestWhatHangsIsAskedOnce(t *testing.T) {
	t.Parallel()
	dir, pattern := homes(t, "ann", "bob", "eve")
	bob := filepath.Join(dir, "bob")
	k, probes := &hanging{}, &Probes{}
	k.at(bob, true)
	for life := range 3 {
		g := newRig(t, soon, true, pattern)
		g.w.opts.FS, g.w.opts.Probes = k, probes
		g.start()
		g.awaitAll(0, "models--ann--m", "models--eve--m")
		for i := range 5 { // five polls at least
			hub := mkdir(t, dir, "new", ".cache", "huggingface", "hub")
			g.awaitTrue("it is found", func() bool { return g.log.count("root="+hub+" watched_by") == i+1 })
			must(t, os.RemoveAll(filepath.Join(dir, "new")))
			g.awaitTrue("it is gone again", func() bool { return g.log.count("cache gone") == i+1 })
		}
		g.stop()
		if n := k.times(bob); n != 1 {
			t.Fatalf("life %d: it was asked about %d times", life, n)
		}
	}
	k.at(bob, false)
	g := newRig(t, soon, true, pattern)
	g.w.opts.FS, g.w.opts.Probes = k, probes
	g.start()
	g.awaitAll(0, "models--ann--m", "models--bob--m", "models--eve--m")
}

func TestWhatHangsIsSaidOnce(t *testing.T) {
	t.Parallel()
	f := newFinder(New(Options{Log: quietLog()}), "/home/*/hub")
	book := &logBook{}
	f.log = slog.New(slog.NewTextHandler(book, nil))
	slow := delay{"/home/ann/hub", time.Now()}
	f.say(survey{delayed: []delay{slow}})
	if book.String() != "" {
		t.Errorf("said at once:\n%s", book)
	}
	slow.since = slow.since.Add(-hangs)
	for range 3 {
		f.say(survey{delayed: []delay{slow}})
	}
	f.say(survey{})
	f.say(survey{})
	if book.count("no answer from a place") != 1 || book.count("can look for a cache again") != 1 {
		t.Errorf("said:\n%s", book)
	}
}

// TestManyThatHangAreBounded: more than that, and the pattern waits.
func TestManyThatHangAreBounded(t *testing.T) {
	t.Parallel()
	before := runtime.NumGoroutine()
	gate := make(chan struct{})
	var questions []question
	for i := range 2 * maxHanging {
		path := "/home/" + string(rune('A'+i))
		questions = append(questions, question{"p\x00" + path, path, func() answer { <-gate; return answer{} }})
	}
	s := surveyor{fs: fsys.Real{}, probes: &Probes{}, prefix: "p\x00", wake: func() {}, stuck: func() {}}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan []delay)
	go func() {
		_, delayed, _ := s.ask(ctx, questions)
		done <- delayed
	}()
	deadline := time.After(patience)
	for s.probes.waiting("p\x00") < maxHanging {
		select {
		case <-deadline:
			t.Fatalf("%d are left to themselves", s.probes.waiting("p\x00"))
		case <-time.After(placePatience):
		}
	}
	select {
	case d := <-done:
		t.Fatalf("it goes on without %d", len(d))
	case <-time.After(3 * placePatience):
	}
	if n := runtime.NumGoroutine() - before; n > maxHanging+50 {
		t.Errorf("%d goroutines", n)
	}
	stop()
	<-done
	close(gate)
}

// TestALateAnswerIsTaken: what answers slower than a survey waits is found all
// the same.
func TestALateAnswerIsTaken(t *testing.T) {
	t.Parallel()
	dir, pattern := homes(t, "ann", "bob")
	k := &slow{path: filepath.Join(dir, "bob"), by: 2 * placePatience}
	g := newRig(t, soon, false, pattern)
	g.w.opts.FS = k
	g.start()
	g.awaitAll(0, "models--ann--m", "models--bob--m")
	touch(t, dir, "bob", ".cache", "huggingface", "hub", "models--bob--m", "blobs", "x")
	g.awaitLook("models--bob--m", 1)
	if g.log.count("cache gone") != 0 || g.log.count("cache found") != 2 {
		t.Errorf("log:\n%s", g.log)
	}
}

// slow is a kernel on which a path is opened slowly.
type slow struct {
	fsys.Real
	path string
	by   time.Duration
}

func (k *slow) Openat(at int, name string, flags int) (int, error) {
	if strings.HasPrefix(whole(at, name), k.path) {
		<-time.After(k.by)
	}
	return k.Real.Openat(at, name, flags)
}

// TestAPollIsAPoll: on the file system of a network the times of directories may
// never move, and all that comes and goes is seen within a poll all the same.
func TestAPollIsAPoll(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	mkdir(t, root, "models--c--d")
	mkdir(t, root, "llama")
	g := newRig(t, soon, true, root)
	g.w.opts.FS = network{}
	g.w.opts.IsLocal = func(rel string) bool { return rel == "llama" || rel == "llama/sub" }
	g.start()
	g.awaitAll(0, "models--a--b", "models--c--d")
	for _, step := range []struct {
		name  string
		do    func()
		sees  string
		files int
	}{
		{"a partial comes", func() { touch(t, root, "models--a--b", "blobs", "x.incomplete") }, "models--a--b", 1},
		{"another comes", func() { touch(t, root, "models--a--b", "blobs", "y.incomplete") }, "models--a--b", 2},
		{"one goes", func() { must(t, os.Remove(filepath.Join(root, "models--a--b", "blobs", "x.incomplete"))) }, "models--a--b", 1},
		{"a repository comes", func() { mkdir(t, root, "models--new--one", "blobs") }, "models--new--one", 0},
		{"the blobs of one come", func() { mkdir(t, root, "models--c--d", "blobs", "x") }, "models--c--d", 1},
		{"a repository goes", func() { must(t, os.RemoveAll(filepath.Join(root, "models--new--one"))) }, "models--new--one", -1},
		{"a client fills a directory", func() { mkdir(t, root, "llama", ".cache", "huggingface", "download") }, "llama", 0},
		{"it goes on", func() { touch(t, root, "llama", ".cache", "huggingface", "download", "x.incomplete") }, "llama", 0},
		{"and one in it", func() { mkdir(t, root, "llama", "sub", ".cache", "huggingface", "download") }, "llama/sub", 0},
	} {
		for len(g.looks) > 0 {
			<-g.looks
		}
		step.do()
		g.await(step.name, func(s seen) bool { return s.folder == step.sees && s.files == step.files })
	}
	if g.log.count("cache gone") > 0 {
		t.Errorf("the root was lost:\n%s", g.log)
	}
}

// TestWhatRestsIsLeftAloneOnANetworkToo: names are read there at each poll, and
// nothing is looked at that hasn't changed.
func TestWhatRestsIsLeftAloneOnANetworkToo(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	touch(t, root, "models--a--b", "blobs", "x")
	touch(t, root, "models--a--b", "blobs", "y")
	g := newRig(t, soon, true, root)
	g.w.opts.FS = network{}
	g.start()
	g.awaitLook("models--a--b", 2)
	if g.lookWithin(20*soon, func(seen) bool { return true }) {
		t.Error("it is looked at although nothing has changed")
	}
}

// TestALateAnswerIsOfTheTimeItWasAskedFor: that a root wasn't there is known for
// the time of the question; what came while the answer was under way is new.
func TestALateAnswerIsOfTheTimeItWasAskedFor(t *testing.T) {
	t.Parallel()
	asked := time.Now()
	at := func(seconds int) time.Time { return asked.Add(time.Duration(seconds) * time.Second) }
	f := newFinder(New(Options{Roots: []string{"/models"}, Log: quietLog()}), "/models")
	f.judge(at(-5), survey{})
	f.judge(at(0), survey{delayed: []delay{{"/models", asked}}})
	f.judge(at(10), survey{asked: asked})
	seen := f.judge(at(15), survey{places: []place{{via: "/models", path: "/models", inode: 7}}})
	if want := asked.Add(-clockSlack); len(seen) != 1 || !seen[0].root.Since.Equal(want) {
		t.Errorf("seen %+v, since should be %v", seen, want)
	}
}
