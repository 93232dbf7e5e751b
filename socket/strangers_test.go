package socket

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"progressd/account"
	"progressd/downloader"
	"progressd/hfcache"
	"progressd/tracker"
)

// budgets are those of a machine on which nobody has taken anything.
func budgets(o *Options) { o.Accounts = account.NewBook(nil, slog.New(slog.DiscardHandler)) }

// One that says hello, 199 lines, hangs up and begins again filled its log and the
// journal with 300 000 lines in 40 s: each connection had a bucket of its own.
func TestAllThatAUserReportsIsCounted(t *testing.T) {
	const lines = 199
	var told int
	count := make(chan int, 1)
	count <- 0
	g := newRig(t, budgets, func(o *Options) {
		o.Report = func(_ context.Context, r tracker.Report) {
			if r.Kind == tracker.RunSaid {
				count <- <-count + 1
			}
		}
	})
	began := time.Now()
	for n := range 20 {
		c, err := Dial(t.Context(), g.path, run())
		if err != nil {
			t.Fatalf("run %d: %v", n, err)
		}
		for i := range lines {
			words := tracker.Words{Text: fmt.Sprint("line ", n, " ", i)}
			if err := c.Send(tracker.Report{Kind: tracker.RunSaid, Words: words}); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		g.counts(g.peers, 0)
	}
	told = <-count
	limit := account.Reports.Limit()
	if most := limit.Burst + limit.Rate*int64(time.Since(began)/time.Second+1); int64(told) > most || told == 0 {
		t.Errorf("%d lines of %d were told, want at most %d", told, 20*lines, most)
	}
}

func TestAUserMayNotConnectAgainAndAgain(t *testing.T) {
	g := newRig(t, budgets)
	g.as(1001)
	refused := ""
	for n := int64(0); n < 2*account.Hellos.Limit().Burst && refused == ""; n++ {
		answer := g.raw("no hello\n")
		if strings.Contains(answer, errOften.Error()) {
			refused = answer
		}
	}
	if !strings.Contains(refused, `"later":true`) {
		t.Errorf("the last answer is %q", refused)
	}
	g.as(1000)
	c, err := Dial(t.Context(), g.path, run())
	if err != nil {
		t.Fatalf("another user is not served: %v", err)
	}
	c.Close()
}

// Eight users who worked together had all that were kept for who watches and asks, and
// one had a quarter of all for ever.
func TestConnectionsAreSharedByUsers(t *testing.T) {
	s := NewServer(Options{Accounts: account.NewBook(nil, slog.New(slog.DiscardHandler)), Log: slog.New(slog.DiscardHandler)})
	enters := func(u account.User) (n int) {
		s.opts.Accounts.Spend(u, account.Hellos, -account.Connections.Limit().All) // it has not come in a row
		for s.enter(u) == nil {
			n++
		}
		return n
	}
	all := int(account.Connections.Limit().All)
	if n := enters(1000); n != all/4 {
		t.Errorf("one user has %d", n)
	}
	for u := account.User(1001); u < 1012; u++ {
		if enters(u) == 0 {
			t.Fatalf("the first connection of user %d is refused", u)
		}
	}
	for range all / 4 {
		s.opts.Accounts.Give(1000, account.Connections, 1)
	}
	if enters(1000) < 8 {
		t.Error("what was left can't be taken again")
	}
}

// The missed verdicts of one user push out none of another's.
func TestMissedVerdictsAreSharedByUsers(t *testing.T) {
	s := NewServer(Options{Line: func(e tracker.Event) string { return e.ID }, Log: slog.New(slog.DiscardHandler)})
	put := func(u account.User, log string) {
		s.Put(tracker.Event{ID: log, Kind: tracker.Completed, Log: log, Tenant: tracker.Tenant{Root: "/r", Owner: u}})
	}
	put(1, "victim.log")
	for i := range 2 * maxMissed {
		put(2, fmt.Sprint(i))
	}
	if s.missed["victim.log"].line != "victim.log" || len(s.missed) > maxMissed {
		t.Errorf("%d are kept, the other's is %+v", len(s.missed), s.missed["victim.log"])
	}
}

// Where a log has changed hands, its lines are not shown to who reports on the
// root that had it before.
func TestLinesGoToTheRootThatTheyAreAbout(t *testing.T) {
	s := NewServer(Options{Line: func(e tracker.Event) string { return e.ID }, Log: slog.New(slog.DiscardHandler)})
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	ss := newSession(s, a, Watched{Place: hfcache.Place{Root: "/mallory", Repo: hfcache.Repo{Type: hfcache.Model, ID: "a/b"}}}, downloader.Process{}, run())
	s.runs["a--b.log"] = ss
	for _, root := range []string{"/srv", "/mallory"} {
		s.Put(tracker.Event{ID: root, Kind: tracker.Progress, Log: "a--b.log", Tenant: tracker.Tenant{Root: root}})
	}
	if got := <-ss.out; got.Line != "/mallory" || len(ss.out) > 0 {
		t.Errorf("shown: %+v", got)
	}
}
