package socket

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"progressd/account"
	"progressd/tracker"
)

func TestFaults(t *testing.T) {
	t.Run("S1 garbage, and a line without an end, close the connection", faultS1Garbage)
	t.Run("S1 who says too much is cut short and others are served", faultS1Flood)
	t.Run("S1 ten thousand connections leave room for others", faultS1Connections)
	t.Run("S1 a client that does not read loses its connection", faultS1Slow)
	t.Run("S1 out of descriptors, it rests, and serves when there are some", faultS1Descriptors)
	t.Run("S2 nobody speaks of another user's download", faultS2)
}

func faultS1Garbage(t *testing.T) {
	g := newRig(t)
	if a := g.raw(strings.Repeat("x", 2*maxLine)); !strings.Contains(a, "too long") {
		t.Errorf("%q", a)
	}
	for _, garbage := range []string{"\x00\xff\n", strings.Repeat("y", maxLine+1)} {
		c := g.taken()
		g.hears(tracker.RunBegan)
		if _, err := c.c.Write([]byte(garbage)); err != nil {
			t.Fatal(err)
		}
		g.hears(tracker.RunLost)
		if a, err := c.Receive(); err == nil {
			t.Errorf("still open: %+v", a)
		}
	}
}

func faultS1Flood(t *testing.T) {
	g := newRig(t, budgets)
	c := g.taken()
	// Its user has said much already, and is dropped from the first line on: however slow this
	// machine is to hear one, it isn't slower than the rate at which they are told.
	limit := account.Reports.Limit()
	g.server.opts.Accounts.Spend(1000, account.Reports, limit.Burst+20*limit.Rate)
	line := []byte(`{"said":{"level":"info","cause":"retry","text":"` + strings.Repeat("z", 1000) + `"}}` + "\n")
	flood := bytes.Repeat(line, 100)
	_ = c.c.SetWriteDeadline(time.Time{})
	wrote := make(chan int)
	go func() {
		n := 0
		for range 10_000 { // a GB
			k, err := c.c.Write(flood)
			n += k
			if err != nil {
				break
			}
		}
		wrote <- n
	}()
	other := g.taken(func(r *Run) { r.Repo.ID = "org/other" })
	if err := other.Send(tracker.Report{Kind: tracker.RunEnded}); err != nil {
		t.Fatal(err)
	}
	g.hearsBoth(tracker.RunEnded, tracker.RunLost) // which of them is first is chance
	if n := <-wrote; n > 100<<20 {
		t.Errorf("%d bytes were read", n)
	}
	if n := len(g.reports); n > int(limit.Burst) {
		t.Errorf("%d lines were told", n)
	}
}

func faultS1Connections(t *testing.T) {
	g := newRig(t, budgets)
	most := int(account.Connections.Limit().All / 4)
	g.as(1001)
	var all []net.Conn
	for range 10_000 {
		c, err := net.Dial("unix", g.path)
		if err != nil {
			break // out of descriptors, or the queue is full: for us
		}
		all = append(all, c)
		if len(all) > 300 {
			_ = all[0].Close()
			all = all[1:]
		}
	}
	if conns := g.server.opts.Accounts.Held(1001, account.Connections); conns > int64(most) {
		t.Errorf("%d connections of one user", conns)
	}
	// Of those that have hung up the server learns when it comes to them.
	for _, c := range all {
		_ = c.Close()
	}
	all = nil
	g.raw("the last of them\n")
	g.counts(1001, 0)
	g.rested(1001)
	for range most {
		c, err := net.Dial("unix", g.path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	g.counts(1001, most)
	g.settled(1001)
	g.as(1000)
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	c, err := Dial(ctx, g.path, run())
	if err != nil {
		t.Fatalf("others are not served: %v", err)
	}
	c.Close()
	for _, c := range all {
		_ = c.Close()
	}
}

// rested has a user not connected for a long time.
func (g *rig) rested(uid int) {
	g.server.opts.Accounts.Spend(account.User(uid), account.Hellos, -account.Hellos.Limit().Burst)
}

// counts waits until a user has so many connections.
func (g *rig) counts(uid, want int) {
	g.t.Helper()
	got := -1
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(time.Millisecond) {
		got = int(g.server.opts.Accounts.Held(account.User(uid), account.Connections))
		if got == want {
			return
		}
	}
	g.t.Fatalf("%d connections of user %d, want %d", got, uid, want)
}

// settled waits until one more of that user is turned away at once.
func (g *rig) settled(uid int) {
	g.t.Helper()
	if a := g.raw(""); !strings.Contains(a, "too many connections") {
		g.t.Errorf("user %d: %q", uid, a)
	}
}

func faultS1Slow(t *testing.T) {
	g := newRig(t)
	c := g.taken()
	g.hears(tracker.RunBegan)
	long := strings.Repeat("l", 4096)
	began := time.Now()
	for range 10 * maxWaiting {
		g.server.Put(tracker.Event{Log: "org--name.log", Output: long})
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the daemon was held up for %v", took)
	}
	g.hears(tracker.RunLost)
	for {
		if _, err := c.Receive(); err != nil {
			break
		}
	}
}

func faultS2(t *testing.T) {
	g := newRig(t)
	g.as(1001)
	c, err := g.dial()
	refused := new(RefusedError)
	if !errors.As(err, &refused) || refused.Later || c != nil {
		t.Fatalf("%v", err)
	}
	select {
	case r := <-g.reports:
		t.Errorf("it was reported: %+v", r)
	default:
	}
	g.as(0)
	g.taken() // root may
}

func FuzzHello(f *testing.F) {
	f.Add([]byte(`{"v":1,"run":{"root":"/hub","repo":{"type":"model","id":"a/b"},"pid":1,"command":"hf"}}`))
	f.Add([]byte(`{"v":1,"run":{"root":"/hub","repo":{"type":"local","id":"."},"name":{"type":"model","id":"a"},"pid":1}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		run, err := parseHello(line)
		if err != nil {
			return
		}
		if run.PID <= 0 || !strings.HasPrefix(run.Root, "/") || strings.Contains(run.Root, "/../") || len(run.Root) > maxPath {
			t.Errorf("%+v", run)
		}
		if odd(run.Repo.ID) || odd(run.Name.ID) || odd(run.Command) {
			t.Errorf("%+v", run)
		}
	})
}

func odd(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func FuzzReport(f *testing.F) {
	f.Add("error", "gated", "Error: Access denied.", "SIGKILL", 137)
	f.Add("info", "retry", "hf_abcdefghijklmnopqrstuvwxyz01234567\x1b", "x", -1)
	f.Fuzz(func(t *testing.T, level, cause, text, name string, status int) {
		w := said{level, cause, text}.words("a/b")
		e := exit(tracker.Exit{Status: status, Signal: name, Asked: name, Last: text, Cause: cause, Remedy: text}, "a/b")
		for _, s := range []string{w.Text, e.Last} {
			if len(s) > maxText || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q", s)
			}
		}
		if w.Cause != "" && w.Cause != cause || odd(w.Cause) || odd(e.Signal) || odd(e.Asked) || odd(e.Cause) || e.Status < 0 || e.Status > 255 {
			t.Errorf("%+v %+v", w, e)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"line":"[10:01:15 PM] [INFO] org/name: x"}`))
	f.Add([]byte(`{"v":1,"refused":"no","later":true}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := parseAnswer(line)
		if err == nil && (len(a.Line) > maxText || strings.ContainsAny(a.Line+a.Refused, "\n\r\x1b\x00")) {
			t.Errorf("%+v", a)
		}
	})
}
