package socket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/tracker"
)

func TestMain(m *testing.M) {
	reportIfCalled()
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

var model = hfcache.Repo{Type: hfcache.Model, ID: "org/name"}

// A rig is a Server whose daemon is the test: of one root, owned by 1000.
type rig struct {
	t       *testing.T
	path    string
	server  *Server
	l       *net.UnixListener
	reports chan tracker.Report
	find    func(Run) (Watched, error)
	stop    context.CancelFunc
	done    chan struct{}

	mu    sync.Mutex
	peers int // the uid of who connects next
}

func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "pd") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &rig{t: t, path: filepath.Join(dir, Name), reports: make(chan tracker.Report, 1000), peers: 1000}
	g.find = func(run Run) (Watched, error) {
		if run.Root != "/hub" {
			return Watched{}, ErrUnwatched
		}
		return Watched{Place: hfcache.Place{Root: "/hub", Repo: run.Repo}, Owner: 1000}, nil
	}
	if g.l, err = Listen(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	proc := filepath.Join(dir, "proc") // where pid 7 belongs to whoever runs the test
	if err := os.MkdirAll(filepath.Join(proc, "7"), 0o755); err != nil {
		t.Fatal(err)
	}
	opts := Options{
		Find: func(run Run) (Watched, error) { return g.find(run) },
		Name: func(p Watched) string { return p.Repo.Slug() + ".log" },
		Report: func(_ context.Context, r tracker.Report) {
			select {
			case g.reports <- r:
			default:
			}
		},
		Ask:  func(Watched) {},
		Line: func(e tracker.Event) string { return "told: " + e.Output },
		Peer: func(*net.UnixConn) (Peer, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			return Peer{UID: g.peers, PID: os.Getpid()}, nil
		},
		Proc: downloader.ProcDir(proc), Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&opts)
	}
	g.server = NewServer(opts)
	g.serve()
	t.Cleanup(func() { g.end(); _ = g.l.Close() })
	return g
}

// serve begins to serve, until end.
func (g *rig) serve() {
	ctx, stop := context.WithCancel(context.Background())
	g.stop, g.done = stop, make(chan struct{})
	done := g.done
	go func() { defer close(done); _ = g.server.Serve(ctx, g.l) }()
}

// end stops the server and holds it to 2 seconds.
func (g *rig) end() {
	g.t.Helper()
	g.stop()
	select {
	case <-g.done:
	case <-time.After(2 * time.Second):
		g.t.Error("it does not stop")
		<-g.done
	}
}

func (g *rig) as(uid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers = uid
}

func run() Run { return Run{Root: "/hub", Repo: model, PID: 4242, Command: "hf", Only: true} }

func (g *rig) dial(change ...func(*Run)) (*Client, error) {
	r := run()
	for _, c := range change {
		c(&r)
	}
	c, err := Dial(context.Background(), g.path, r)
	if c != nil {
		g.t.Cleanup(c.Close)
	}
	return c, err
}

func (g *rig) taken(change ...func(*Run)) *Client {
	g.t.Helper()
	c, err := g.dial(change...)
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// hears waits for a report of that kind.
func (g *rig) hears(kind tracker.ReportKind) tracker.Report {
	g.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case r := <-g.reports:
			if r.Kind == kind {
				return r
			}
		case <-timeout:
			g.t.Fatalf("no report of kind %d", kind)
		}
	}
}

// hearsBoth waits for a report of each kind, in any order.
func (g *rig) hearsBoth(one, other tracker.ReportKind) {
	g.t.Helper()
	timeout := time.After(patience)
	for heard := map[tracker.ReportKind]bool{}; !heard[one] || !heard[other]; {
		select {
		case r := <-g.reports:
			heard[r.Kind] = true
		case <-timeout:
			g.t.Fatalf("not both reports, of kinds %d and %d: %v", one, other, heard)
		}
	}
}

func TestARunIsReportedAndItsLinesComeBack(t *testing.T) {
	g := newRig(t)
	c := g.taken()
	if r := g.hears(tracker.RunBegan); r.Root != "/hub" || r.Repo != model || r.Process.PID != 4242 || r.Process.Command != "hf" || !r.Only || r.At.IsZero() {
		t.Errorf("%+v", r)
	}
	said := tracker.Words{Level: tracker.Error, Cause: "gated", Text: "Error: Access denied.", Remedy: "a word of the client's"}
	if err := c.Send(tracker.Report{Kind: tracker.RunSaid, Words: said}); err != nil {
		t.Fatal(err)
	}
	if w := g.hears(tracker.RunSaid).Words; w.Remedy != "access to org/name is gated; accept its terms on the hub and pass a token (HF_TOKEN)" || w.Level != tracker.Error {
		t.Errorf("%+v", w)
	}
	g.server.Put(tracker.Event{Log: "org--name.log", Output: "one"})
	g.server.Put(tracker.Event{Log: "other.log", Output: "of another"})
	if err := c.Send(tracker.Report{Kind: tracker.RunEnded, Exit: tracker.Exit{Status: 1, Cause: "dns", Last: "x"}}); err != nil {
		t.Fatal(err)
	}
	if e := g.hears(tracker.RunEnded).Exit; e.Status != 1 || e.Cause != "dns" || e.Remedy == "" || e.Last != "x" {
		t.Errorf("%+v", e)
	}
	g.server.Put(tracker.Event{Log: "org--name.log", Output: "two"})
	g.server.Over("/hub", model)
	var lines []string
	for {
		a, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if a.Over {
			break
		}
		lines = append(lines, a.Line)
	}
	if strings.Join(lines, "|") != "told: one|told: two" {
		t.Errorf("%q", lines)
	}
}

func TestAVerdictThatNobodyHeardIsToldToTheOneWhoComesAgain(t *testing.T) {
	g := newRig(t)
	g.taken().Close()
	g.hears(tracker.RunLost)
	g.server.Put(tracker.Event{Kind: tracker.Completed, Log: "org--name.log", Output: "done"})
	var c *Client
	for end := time.Now().Add(patience); c == nil && time.Now().Before(end); {
		c, _ = g.dial(func(r *Run) { r.Again = true })
	}
	if a, err := c.Receive(); err != nil || a.Line != "told: done" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestWhoIsRefused(t *testing.T) {
	g := newRig(t)
	first := g.taken()
	defer first.Close()
	own := os.Getuid()
	for _, tt := range []struct {
		name   string
		uid    int
		change func(*Run)
		why    string
		later  bool
	}{
		{"a second run of the same download", 1000, func(*Run) {}, "another run", true},
		{"a cache that isn't watched", 1000, func(r *Run) { r.Root = "/other" }, "does not watch", false},
		{"another user's cache", 1001, func(r *Run) { r.Repo.ID = "b" }, "belongs to another user", false},
		{"another user's process", own + 1, func(r *Run) { r.Repo.ID, r.PID = "b", 7 }, "process belongs to another user", false},
		{"a path that isn't clean", 1000, func(r *Run) { r.Root = "/hub/../hub" }, "root", false},
		{"a path that isn't absolute", 1000, func(r *Run) { r.Root = "hub" }, "root", false},
		{"what is no repository", 1000, func(r *Run) { r.Repo.ID = "../../etc" }, "repo", false},
		{"a type that is none", 1000, func(r *Run) { r.Repo.Type = "local" }, "repo", false},
		{"a name that is none", 1000, func(r *Run) { r.Name.ID = "a\x1bb" }, "name", false},
		{"no process", 1000, func(r *Run) { r.PID = -1 }, "pid", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.as(tt.uid)
			if strings.Contains(tt.name, "process belongs") || tt.name == "another user's process" {
				g.find = func(r Run) (Watched, error) {
					return Watched{Place: hfcache.Place{Root: "/hub", Repo: r.Repo}, Owner: tt.uid}, nil
				}
			}
			_, err := g.dial(tt.change)
			refused := new(RefusedError)
			if !errors.As(err, &refused) || !strings.Contains(refused.Why, tt.why) || refused.Later != tt.later {
				t.Errorf("%v", err)
			}
		})
	}
	// The first is none the worse for it.
	if err := first.Send(tracker.Report{Kind: tracker.RunEnded}); err != nil {
		t.Fatal(err)
	}
	g.hears(tracker.RunEnded)
}

func TestUnknownVersionsAndPurposesAreRefusedInWords(t *testing.T) {
	g := newRig(t)
	for hello, why := range map[string]string{
		`{"v":2,"run":{}}`:    "version 2 of the protocol is not known: this progressd speaks version 1",
		`{"v":1,"status":{}}`: "what the connection is for is not known",
		`{"v":`:               "not a line of the protocol",
		`null`:                "version 0",
	} {
		if a := g.raw(hello + "\n"); !strings.Contains(a, why) {
			t.Errorf("%s: %s", hello, a)
		}
	}
}

// raw sends bytes and gives the first line of the answer.
func (g *rig) raw(text string) string {
	g.t.Helper()
	c, err := connect(context.Background(), g.path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write([]byte(text))
	line, _ := bufio.NewReader(c).ReadString('\n')
	return line
}

func TestAStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	dir := "." // a socket's path must be short
	t.Chdir(t.TempDir())
	l, err := Listen(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir, 0o700); !errors.Is(err, ErrInUse) {
		t.Errorf("%v", err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	l, err = Listen(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := os.WriteFile(filepath.Join(dir, Name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir, 0o700); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("a file was taken for a socket: %v", err)
	}
}

func TestSecretsAreMaskedAgain(t *testing.T) {
	const secret = "hf_abcdefghijklmnopqrstuvwxyz01234567"
	words := said{Level: "warning", Cause: "retry", Text: "Authorization: Bearer " + secret + "\x1b[2J\n"}.words("a/b")
	e := exit(tracker.Exit{Status: 700, Signal: "SIG\x1b", Asked: "SIGTERM", Last: "token " + secret, Cause: "\x1b", Remedy: "mine"}, "a/b")
	if text := fmt.Sprintf("%+v %+v", words, e); strings.Contains(text, secret) || strings.Contains(text, "\x1b") || strings.Contains(text, "mine") {
		t.Error(text)
	}
	if e.Status != 255 || e.Signal != "" || e.Asked != "SIGTERM" || e.Cause != "" {
		t.Errorf("%+v", e)
	}
}

func TestCausesThatAreNotKnownAreReduced(t *testing.T) {
	for _, tt := range []struct {
		said  said
		level tracker.Level
		cause string
	}{
		{said{"error", "of-tomorrow", "x"}, tracker.Warning, ""},
		{said{"error", "retry", "x"}, tracker.Warning, "retry"}, // an event is no error
		{said{"error", "dns", "x"}, tracker.Warning, "dns"},     // nor is what only explains an end
		{said{"info", "gated", "x"}, tracker.Info, "gated"},
		{said{"info", "progress", "x"}, tracker.Info, "progress"},
		{said{"", "", ""}, tracker.Warning, ""},
	} {
		if w := tt.said.words("a/b"); w.Level != tt.level || w.Cause != tt.cause || w.Remedy != "" {
			t.Errorf("%+v: %+v", tt.said, w)
		}
	}
}
