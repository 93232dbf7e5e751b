package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"progressd/account"
	"progressd/downloader"
	"progressd/fsys"
	"progressd/sizer"
	"progressd/state"
	"progressd/watcher"
)

// strangers are scanners of two users' roots with one book.
type strangers struct {
	t        *testing.T
	dir      string
	accounts *account.Book
	scanners *scannerFactory
}

func newStrangers(t *testing.T) *strangers {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &strangers{t: t, dir: t.TempDir(), accounts: account.NewBook(nil, log)}
	looks := make(chan sizer.Look)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-looks:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	s.scanners = &scannerFactory{
		store: state.Volatile(log), accounts: s.accounts, looks: looks, attended: NewAttendance(), opened: time.Now(),
		procs: downloader.NewShared(procDir), files: func(account.User) fsys.Kernel { return nil }, log: log,
	}
	return s
}

// root makes a root with downloads of a byte, and its scanner.
func (s *strangers) root(owner, downloads int) *rootScanner {
	s.t.Helper()
	path := filepath.Join(s.dir, fmt.Sprint(owner))
	if err := os.MkdirAll(path, 0o755); err != nil {
		s.t.Fatal(err)
	}
	dev, inode, err := Identity(path)
	if err != nil {
		s.t.Fatal(err)
	}
	e := s.scanners.scanner(s.t.Context(), watcher.Root{Path: path, Pattern: path, Dev: dev, Inode: inode, Owner: owner}).(*rootScanner)
	for n := range downloads {
		s.begin(e, n)
	}
	return e
}

func folderOf(n int) string { return fmt.Sprint("models--org--m", n) }

// begin has a download begin, and looks at it.
func (s *strangers) begin(e *rootScanner, n int) watcher.Pace {
	s.t.Helper()
	blobs := filepath.Join(s.dir, fmt.Sprint(e.owner), folderOf(n), "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(blobs, fmt.Sprintf("%064x.01234567.incomplete", n)), []byte("x"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return e.Look(s.t.Context(), folderOf(n), unresting)
}

// What is rested for is told with the look, if it is longer than looks are ordered.
func TestALookSaysForHowLongItIsRestedForIt(t *testing.T) {
	s := newStrangers(t)
	e := s.root(1001, 1)
	looks := make(chan sizer.Look, 1)
	e.looks = looks
	for rest, want := range map[time.Duration]time.Duration{time.Second: 0, time.Minute: time.Minute} {
		e.Look(t.Context(), folderOf(0), func() time.Duration { return rest })
		if look := <-looks; look.Rest != want {
			t.Errorf("a rest of %v: %v", rest, look.Rest)
		}
	}
}

// 18 300 open downloads of a byte took nine tenths of a core and 300 MB. A user has
// a share; what is more waits until another of its own is over.
func TestDownloadsAreSharedByUsers(t *testing.T) {
	s := newStrangers(t)
	others := account.Downloads.Limit().All - 10
	if !s.accounts.Take(7, account.Downloads, others/2) || !s.accounts.Take(8, account.Downloads, others/4) {
		t.Fatal("the budget is another")
	}
	free := account.Downloads.Limit().All - others/2 - others/4
	e := s.root(1001, int(free))
	held := s.accounts.Held(1001, account.Downloads)
	if held != free/2 || len(e.followed) != int(held) {
		t.Errorf("%d of %d downloads are followed, %d charged", len(e.followed), free, held)
	}
	last := int(free) - 1
	if pace := e.Look(t.Context(), folderOf(last), unresting); pace != watcher.Slow {
		t.Errorf("what waits is looked at at pace %v", pace)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "1001", folderOf(0))); err != nil {
		t.Fatal(err)
	}
	e.Look(t.Context(), folderOf(0), unresting)
	if e.Look(t.Context(), folderOf(last), unresting); !e.followed[folderOf(last)] {
		t.Error("after one is over none is followed in its place")
	}
	if victim := s.root(1002, 1); len(victim.followed) != 1 {
		t.Error("another user's download isn't followed")
	}
	s.scanners.take(filepath.Join(s.dir, "1001"), nil)
	if held := s.accounts.Held(1001, account.Downloads); held != 0 {
		t.Errorf("%d are charged after the root is gone", held)
	}
}

// What looks take of a processor is charged to whose root it is, and to nobody else.
func TestLooksAreChargedToTheOwner(t *testing.T) {
	s := newStrangers(t)
	e := s.root(1001, 0)
	var stop atomic.Bool
	busy := make(chan struct{})
	go func() { // what others do meanwhile
		defer close(busy)
		for !stop.Load() {
			continue
		}
	}()
	defer func() { stop.Store(true); <-busy }()
	for n := range 50 {
		s.begin(e, n)
	}
	spent := func(u account.User) time.Duration {
		low, high := int64(0), account.Looks.Limit().Burst
		for low < high-int64(time.Microsecond) { // how much more may be spent until there is none
			mid := (low + high) / 2
			s.accounts.Spend(u, account.Looks, mid)
			rest := s.accounts.Wait(u, account.Looks)
			s.accounts.Spend(u, account.Looks, -mid)
			if rest > 0 {
				high = mid
			} else {
				low = mid
			}
		}
		return time.Duration(account.Looks.Limit().Burst - low)
	}
	if got := spent(1001); got <= 0 || got > time.Second {
		t.Errorf("50 looks were charged with %v", got)
	}
	if got := spent(1002); got > 10*time.Microsecond {
		t.Errorf("another user was charged with %v", got)
	}
}
