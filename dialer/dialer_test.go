package dialer

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Argument {
		os.Exit(Main())
	}
	os.Exit(m.Run())
}

// started is a dialer, which is gone at the end of the test.
func started(t *testing.T) *Dialer {
	t.Helper()
	d, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.process.Hang()
		select {
		case <-d.Gone():
		case <-time.After(10 * time.Second):
			t.Error("the dialer goes on without the daemon")
		}
	})
	return d
}

// echo is the address of a server that gives back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func TestHandsOnWhatIsConnected(t *testing.T) {
	d, address := started(t), echo(t)
	_, port, _ := net.SplitHostPort(address)
	var all sync.WaitGroup
	for range 3 * atOnce {
		all.Go(func() {
			c, err := d.DialContext(context.Background(), "tcp", "localhost:"+port) // it knows names
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			back := make([]byte, 5)
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Error(err)
			} else if _, err := io.ReadFull(c, back); err != nil || string(back) != "hello" {
				t.Errorf("%q, %v", back, err)
			}
		})
	}
	all.Wait()
}

func TestSaysWhyThereIsNoConnection(t *testing.T) {
	d, address := started(t), echo(t)
	for _, c := range []struct{ network, address, says string }{
		{"tcp", "127.0.0.1:1", "connection refused"},
		{"tcp", "nobody.invalid:443", "nobody.invalid"},
		{"tcp", "no address", "missing port"},
		{"tcp", strings.Repeat("a", maxAddress+1) + ":443", "not an address"},
		{"udp", address, "not an address"},
		{"unix", "/run/systemd/private", "not an address"},
		{"tcp", "/run/systemd/private", "missing port"},
	} {
		conn, err := d.DialContext(context.Background(), c.network, c.address)
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s %.40s is connected to", c.network, c.address)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %.40s: %v", c.network, c.address, err)
		}
	}
}

func TestADialerThatHasEnded(t *testing.T) {
	d := started(t)
	if err := d.process.Hang(); err != nil {
		t.Fatal(err)
	}
	<-d.Gone()
	if _, err := d.DialContext(context.Background(), "tcp", echo(t)); err == nil {
		t.Error("it is connected all the same")
	}
}
