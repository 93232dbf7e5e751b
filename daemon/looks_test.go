package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/internal/client"
	"progressd/record"
)

// A strict kernel notes who asks it for what another user may keep from this one
// without having raised the right to it, on the thread that asks.
type strict struct {
	fsys.Real
	mu     sync.Mutex
	raised map[int]int // by thread
	asked  int
	wrong  []string
}

func (s *strict) Raise() (lower func()) {
	runtime.LockOSThread()
	s.add(1)
	return func() {
		s.add(-1)
		runtime.UnlockOSThread()
	}
}

func (s *strict) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raised[unix.Gettid()] += n
}

// ask notes a call.
func (s *strict) ask(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.raised[unix.Gettid()] > 0 {
		return
	}
	where := ""
	for skip := 2; skip < 12; skip++ {
		if _, file, line, ok := runtime.Caller(skip); ok {
			where += fmt.Sprintf(" %s:%d", filepath.Base(file), line)
		}
	}
	if what := call + where; !slices.Contains(s.wrong, what) {
		s.wrong = append(s.wrong, what)
	}
}

func (s *strict) Openat(at int, name string, flags int) (fd int, err error) {
	s.ask("openat")
	return s.Real.Openat(at, name, flags)
}

func (s *strict) Fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	if name != "" { // else it is open
		s.ask("fstatat")
	}
	return s.Real.Fstatat(at, name, st, flags)
}

func (s *strict) Birth(at int, name string) int64 {
	s.ask("statx")
	return s.Real.Birth(at, name)
}

func (s *strict) Readlinkat(at int, name string, into []byte) (n int, err error) {
	s.ask("readlinkat")
	return s.Real.Readlinkat(at, name, into)
}

func (*strict) Table(path string) (*os.File, error) { return os.Open(path) }

func (s *strict) For(func(time.Duration)) fsys.Kernel { return s }

// Each look at a cache raises the right to it, and none takes it along.
func TestWhateverLooksHasRaisedTheRightToIt(t *testing.T) {
	kernel := &strict{raised: make(map[int]int)}
	g := newRig(t, "hub", "later")
	g.opener = kernel
	if err := os.Remove(g.roots[1]); err != nil { // it is awaited
		t.Fatal(err)
	}
	g.start()
	g.download(0, client.Trees)
	g.until(func() bool { return g.one("org/demo").State == record.Completed })
	if err := os.Mkdir(g.roots[1], 0o755); err != nil {
		t.Fatal(err)
	}
	g.download(1, client.HH023)
	g.until(func() bool { return len(g.answer(0, "org/demo")) == 2 })
	g.stop()
	kernel.mu.Lock()
	defer kernel.mu.Unlock()
	for _, what := range kernel.wrong {
		t.Errorf("%s without the right to it", what)
	}
	for thread, n := range kernel.raised {
		if n != 0 {
			t.Errorf("thread %d keeps it", thread)
		}
	}
	if kernel.asked < 100 {
		t.Errorf("only %d calls", kernel.asked)
	}
}
