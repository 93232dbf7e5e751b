package runner

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syscall"

	"progressd/record"
)

// A watch is a steward that looks after a program of the test's.
type watch struct {
	*steward
	mu     sync.Mutex
	told   []string
	given  []syscall.Signal
	gaveUp int
	stop   func()
}

// did is how often it gave up, and which signals it has sent.
func (w *watch) did() (gaveUp int, given []syscall.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gaveUp, slices.Clone(w.given)
}

func newWatch(t *testing.T, patience time.Duration) *watch {
	t.Helper()
	w := &watch{}
	locked := func(do func()) {
		w.mu.Lock()
		defer w.mu.Unlock()
		do()
	}
	w.steward = newSteward(func(state string) { locked(func() { w.told = append(w.told, strings.Split(state, "\n")...) }) }, 10*time.Minute, patience,
		func(sig syscall.Signal) { locked(func() { w.given = append(w.given, sig) }) }, func() { locked(func() { w.gaveUp++ }) })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	w.stop = func() { stop(); <-done }
	return w
}

func (w *watch) sees(state record.State, bytes int64) {
	w.stands(record.Download{State: state, Record: record.Record{Model: "org/name", RepoType: "model", Bytes: &bytes, Total: 1_200_000_000, Rate: 12_100_000, SecondsLeft: 720}})
	synctest.Wait()
}

func pass(d time.Duration) {
	<-time.After(d) // the bubble's time
	synctest.Wait()
}

func TestTheServiceManagerIsToldWhileBytesCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t, 0)
		w.sees(record.Preparing, 0)
		w.sees(record.Downloading, 350_000_000)
		w.sees(record.Downloading, 350_000_000)
		w.sees(record.Downloading, 975_000_000)
		w.sees(record.Stalled, 975_000_000)
		w.sees(record.Downloading, 300_000_000) // a new attempt: not further than before
		w.sees(record.Completed, 1_200_000_000)
		w.stop()
		want := []string{
			"STATUS=Preparing to download org/name",
			"STATUS=Downloading org/name: 350MB/1.2GB ~ 29.2%, 12.1MB/s, ~12m left", "EXTEND_TIMEOUT_USEC=600000000",
			"STATUS=Downloading org/name: 975MB/1.2GB ~ 81.3%, 12.1MB/s, ~12m left", "EXTEND_TIMEOUT_USEC=600000000",
			"STATUS=Download of org/name stalled: 975MB/1.2GB ~ 81.3%",
			"STATUS=Downloading org/name: 300MB/1.2GB ~ 25.0%, 12.1MB/s, ~12m left",
			"STATUS=org/name is there: 1.2GB/1.2GB ~ 100.0%", "EXTEND_TIMEOUT_USEC=600000000",
		}
		if !slices.Equal(w.told, want) {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(w.told, "\n"), strings.Join(want, "\n"))
		}
		if w.gaveUp > 0 || len(w.given) > 0 {
			t.Errorf("stopped by %v", w.given)
		}
	})
}

func TestAProgramWhoseDownloadStandsStillIsStopped(t *testing.T) {
	const patience = 15 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t, patience)
		defer w.stop()
		w.sees(record.Downloading, 1)
		pass(24 * time.Hour) // whatever silence means, the tracker says
		w.sees(record.Stalled, 1)
		pass(patience - time.Second)
		w.sees(record.Stalled, 1)
		w.sees(record.Downloading, 2) // at the last moment
		pass(patience)
		w.sees(record.Stalled, 2)
		pass(patience - time.Second)
		w.lost() // it may have moved, for all that is known
		synctest.Wait()
		pass(patience)
		if gaveUp, _ := w.did(); gaveUp > 0 {
			t.Fatal("stopped without a reason")
		}
		w.sees(record.Stalled, 2)
		pass(patience)
		if gaveUp, given := w.did(); gaveUp != 1 || !slices.Equal(given, []syscall.Signal{syscall.SIGTERM}) {
			t.Fatalf("gave up %d times, signals %v", gaveUp, given)
		}
		w.sees(record.Downloading, 3) // too late
		pass(killAfter - time.Second)
		if _, given := w.did(); len(given) != 1 {
			t.Fatalf("signals %v", given)
		}
		pass(time.Second)
		if gaveUp, given := w.did(); !slices.Equal(given, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}) || gaveUp != 1 {
			t.Fatalf("gave up %d times, signals %v", gaveUp, given)
		}
	})
}

func TestNotifications(t *testing.T) {
	if notifier("") != nil {
		t.Error("told though nobody listens")
	}
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	notifier(path)("STATUS=x\nEXTEND_TIMEOUT_USEC=1")
	buf := make([]byte, 100)
	if n, err := l.Read(buf); err != nil || string(buf[:n]) != "STATUS=x\nEXTEND_TIMEOUT_USEC=1" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	notifier(path + "none")("STATUS=x") // no more than nothing happens
}
