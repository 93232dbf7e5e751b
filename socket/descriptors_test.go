package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// faultS1Descriptors: a daemon that may open no more.
func faultS1Descriptors(t *testing.T) {
	g := newRig(t)
	var said strings.Builder
	g.end()
	g.server.opts.Log = slog.New(slog.NewTextHandler(&said, nil))
	g.serve()
	c := caller(t)
	exhaust(t)
	if err := unix.Connect(c, &unix.SockaddrUnix{Name: g.path}); err != nil {
		t.Fatal(err)
	}
	hello := fmt.Sprintf(`{"v":%d,"run":{"root":"/hub","repo":{"type":"model","id":"org/name"},"pid":4242}}`+"\n", Version)
	if _, err := unix.Write(c, []byte(hello)); err != nil {
		t.Fatal(err)
	}
	fds := []unix.PollFd{{Fd: int32(c), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 300); n != 0 {
		t.Fatalf("it was answered without a descriptor: %d, %v", n, err)
	}
	release(t)
	if n, err := unix.Poll(fds, int(patience.Milliseconds())); n != 1 {
		t.Fatalf("it is not answered: %v", err)
	}
	answer := make([]byte, 100)
	if n, err := unix.Read(c, answer); err != nil || !strings.Contains(string(answer[:n]), `"taken":true`) {
		t.Errorf("%q, %v", answer[:n], err)
	}
	g.end()
	if n := strings.Count(said.String(), "too many open files"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, said.String())
	}
}

// caller is a client that needs no more descriptors than it has.
func caller(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// held are the descriptors that a test has taken from itself, and the limit
// that it had.
var held struct {
	files []*os.File
	limit unix.Rlimit
}

// exhaust leaves no descriptor to be had until release.
func exhaust(t *testing.T) {
	t.Helper()
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &held.limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(t) })
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 128, Max: held.limit.Max}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		held.files = append(held.files, f)
	}
}

func release(t *testing.T) {
	t.Helper()
	for _, f := range held.files {
		_ = f.Close()
	}
	held.files = nil
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &held.limit); err != nil {
		t.Error(err)
	}
}

// A barren listener never has a descriptor for a connection.
type barren struct{ asked int }

func (b *barren) SetDeadline(time.Time) error { return nil }

func (b *barren) AcceptUnix() (*net.UnixConn, error) {
	b.asked++
	return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
}

func TestALackOfDescriptorsCostsNoProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		l := &barren{}
		if err := NewServer(Options{Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l); err != nil {
			t.Error(err)
		}
		if l.asked < 3000 || l.asked > 3700 {
			t.Errorf("asked %d times in an hour", l.asked)
		}
	})
}

// A slow listener takes its time to be woken.
type slow struct {
	barren
	woken chan struct{}
}

func (s *slow) SetDeadline(at time.Time) error {
	if !at.IsZero() {
		<-s.woken
	}
	return nil
}

// A deadline that is set after that would leave the next Serve deaf.
func TestServeLeavesNothingBehindOnTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		l, done := &slow{woken: make(chan struct{})}, make(chan struct{})
		go func() {
			defer close(done)
			_ = NewServer(Options{Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Error("the listener's deadline is still to be set")
		default:
		}
		close(l.woken)
		<-done
	})
}
