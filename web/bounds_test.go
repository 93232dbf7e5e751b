package web

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"progressd/record"
	"progressd/tracker"
)

func TestOneWhoDoesNotReadIsCutOffAndNobodyWaits(t *testing.T) {
	r := newRelay(nil)
	r.heard = true
	slow, _, err := r.subscribe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	quick, _, err := r.subscribe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * maxBehind {
		r.mu.Lock()
		r.tell(newMessage(frame{Download: &record.Download{}}))
		r.mu.Unlock()
		<-quick.messages
	}
	n := 0
	for range slow.messages {
		n++
	}
	if n != maxBehind || len(r.readers) != 1 {
		t.Errorf("%d messages, %d readers", n, len(r.readers))
	}
	r.unsubscribe(slow) // as its handler does at the end
	r.unsubscribe(quick)
}

func TestThePastIsBounded(t *testing.T) {
	r := newRelay(nil)
	r.from = place{"e", 3}
	for i := range maxPast + 5 {
		r.keep(newMessage(frame{ID: place{"e", uint64(i + 1)}.String(), Event: &record.Record{}}))
	}
	if len(r.past) != maxPast || r.from.seq != 5 || r.place.seq != maxPast+5 {
		t.Errorf("%d from %v to %v", len(r.past), r.from, r.place)
	}
	if got := r.begin("e-4"); got[0].kind != "snapshot" || len(got) != 1 {
		t.Errorf("what is lost isn't said")
	}
	if got := r.begin("e-5"); len(got) != 1+maxPast {
		t.Errorf("%d messages", len(got))
	}
}

// Streams take no turns from those who ask.
func TestManyStreamsLeaveRoomForOthers(t *testing.T) {
	g := newRig(t)
	g.daemon.Tells(tracker.Preparing, of("org/a", 0, 0))
	var open []*answer
	for range maxStreams {
		open = append(open, g.open(http.MethodGet, "/v1/events"))
	}
	for _, path := range []string{"/v1/events", "/page/rows"} {
		if status, head, body := g.get(path); status != 503 || head.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/metrics", "/", "/v1/downloads"} {
		if status, _, body := g.get(path); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_ = open[0].Body.Close()
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		again := g.open(http.MethodGet, "/v1/events")
		if again.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("there is no room again")
		}
	}
}

// pipes is a listener within the program, whose time may be virtual.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

func newAlone(idleExit bool) *Server {
	return New(Options{Sockets: []string{"/nowhere/x.sock"}, IdleExit: idleExit, Log: slog.New(slog.DiscardHandler)})
}

func TestItEndsAMinuteAfterTheLastHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newPipes(), time.Now()
		done := make(chan error, 1)
		go func() { done <- newAlone(true).Serve(t.Context(), p) }()
		<-time.After(50 * time.Second)
		c := p.dial()
		<-time.After(3 * time.Second)
		_ = c.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 113*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// One who says nothing, or half a request, is shown out.
func TestWhoSaysNothingIsHungUpOn(t *testing.T) {
	for _, said := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\nX-"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			p := newPipes()
			done := make(chan error, 1)
			go func() { done <- newAlone(false).Serve(ctx, p) }()
			c := p.dial()
			began := time.Now()
			if _, err := c.Write([]byte(said)); err != nil {
				t.Error(err)
			}
			for err := error(nil); err == nil; {
				_, err = c.Read(make([]byte, 100))
			}
			if took := time.Since(began); took > 2*headerTime {
				t.Errorf("%q: after %v", said, took)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// One who doesn't read an answer is hung up on.
func TestWhoDoesNotReadIsHungUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		p, s := newPipes(), newAlone(false)
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, p) }()
		c := p.dial()
		if _, err := c.Write([]byte("GET /page/rows HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Error(err)
		}
		<-time.After(2 * (writeTime + keepEvery))
		if inside, _ := s.door.state(); inside != 0 {
			t.Error("it is still inside")
		}
		_ = c.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestTheDoorLetsSoManyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := newDoor(2), newPipes()
		l := d.guard(p)
		accepted := make(chan net.Conn, 9)
		go func() {
			for {
				c, err := l.Accept()
				if errors.Is(err, net.ErrClosed) {
					close(accepted)
					return
				}
				accepted <- c
			}
		}()
		clients := []net.Conn{p.dial(), p.dial()}
		first := <-accepted
		waiting := make(chan struct{})
		go func() {
			defer close(waiting)
			clients = append(clients, p.dial())
		}()
		synctest.Wait()
		if inside, _ := d.state(); inside != 2 || len(accepted) != 1 {
			t.Errorf("%d inside", inside)
		}
		_ = first.Close()
		_ = first.Close() // counts once
		<-waiting
		synctest.Wait()
		if inside, _ := d.state(); inside != 2 || len(accepted) != 2 {
			t.Errorf("%d inside", inside)
		}
		_ = l.Close()
		for range 2 {
			_ = (<-accepted).Close()
		}
		<-accepted
		for _, c := range clients {
			_ = c.Close()
		}
	})
}

// Where nothing happens a stream shows that it lives, for as long as it is read.
func TestAStreamOnWhichNothingHappensLives(t *testing.T) {
	for path, keep := range map[string]string{"/page/rows": "event: keep", "/v1/events": ": keep"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			p, s := newPipes(), newAlone(false)
			done := make(chan error, 1)
			go func() { done <- s.Serve(ctx, p) }()
			c := p.dial()
			if _, err := c.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")); err != nil {
				t.Error(err)
			}
			<-time.After(time.Second) // before the first keep, it is read
			n := 0
			if err := c.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
				t.Error(err)
			}
			for in := bufio.NewScanner(c); in.Scan(); {
				if in.Text() == keep {
					n++
				}
			}
			const kept = 5*4 - 1
			if n < kept {
				t.Errorf("%s: %d times in five minutes", path, n)
			}
			_ = c.Close()
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
