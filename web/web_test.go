package web

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/internal/shown"
	"progressd/record"
	"progressd/socket"
	"progressd/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// A rig is a server beside a daemon that shows what the test says.
type rig struct {
	t      *testing.T
	daemon *shown.Daemon
	server *Server
	client *http.Client
}

func newRig(t *testing.T) *rig {
	t.Helper()
	d, err := shown.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	g := &rig{t: t, daemon: d, server: New(Options{Sockets: []string{d.Path()}, Hosts: []string{"gpu1.example.com"}, Log: slog.New(slog.DiscardHandler)})}
	path := filepath.Join(filepath.Dir(d.Path()), "http.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- g.server.Serve(ctx, l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	g.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return g
}

func of(model string, bytes, total int64) tracker.Event {
	e := tracker.Event{Repo: shown.Model(model), Bytes: bytes, Total: total, FilesDone: 1, Files: 3, Rate: 12_100_000, Left: 90 * time.Second}
	if total > 0 {
		e.TotalSource = "listing"
	}
	return e
}

// get gives an answer's status, head and body.
func (g *rig) get(path string, header ...string) (int, http.Header, string) {
	g.t.Helper()
	return g.ask(http.MethodGet, path, header...)
}

func (g *rig) ask(method, path string, header ...string) (int, http.Header, string) {
	g.t.Helper()
	r := g.open(method, path, header...)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(body)
}

func (g *rig) open(method, path string, header ...string) *answer {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, "http://localhost"+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	got, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = got.Body.Close() })
	return &answer{got.StatusCode, got.Header, got.Body}
}

// An answer is one that is read by the test, and closed at its end.
type answer struct {
	StatusCode int
	Header     http.Header
	Body       io.ReadCloser
}

// until asks for a path until the answer has a text in it.
func (g *rig) until(path, text string) string {
	g.t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		_, _, body := g.get(path)
		if strings.Contains(body, text) {
			return body
		}
		if time.Now().After(end) {
			g.t.Fatalf("%q is not in\n%s", text, body)
		}
	}
}

func TestHowAllStand(t *testing.T) {
	g := newRig(t)
	g.daemon.Tells(tracker.Preparing, of("org/a", 50, 200))
	g.daemon.Tells(tracker.Completed, of("org/b", 200, 200))
	status, head, body := g.get("/v1/downloads")
	var all snapshot
	if err := json.Unmarshal([]byte(body), &all); err != nil || status != 200 || head.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %v\n%s", status, head, err, body)
	}
	if all.Version != "v1" || len(all.Downloads) != 2 || all.Downloads[0].Model != "org/a" || *all.Downloads[0].Bytes != 50 || all.Downloads[1].State != record.Completed {
		t.Errorf("%s", body)
	}
	g.daemon.Stands(of("org/a", 90, 200))
	g.until("/v1/downloads", `"bytes":90,`)
	if status, _, body := g.get("/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
}

func TestHowOneRepositoryStands(t *testing.T) {
	g := newRig(t)
	n := int64(7)
	g.daemon.Answers = []socket.Answered{{Download: record.Download{State: record.Partial, Record: record.Record{Bytes: &n}}, Lines: []string{"x"}}}
	for _, path := range []string{"/v1/models/model/org/name", "/v1/models/dataset/org/name", "/v1/models/model/gpt2"} {
		if status, _, body := g.get(path); status != 200 || !strings.Contains(body, `"answers":[{"state":"partial"`) || !strings.Contains(body, `"lines":["x"]`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/v1/models/model/org/a%2fb", "/v1/models/model/..%2f..%2fetc/passwd", "/v1/models/local/a/b", "/v1/models/model/org/a%0ab", "/v1/models/x/org/a"} {
		status, head, body := g.get(path)
		if status != 400 || head.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, "that is no repository") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	g.daemon.Answers = nil
	if status, _, body := g.get("/v1/models/dataset/org/name"); status != 404 || !strings.Contains(body, "datasets/org/name is in no cache") {
		t.Errorf("%d %s", status, body)
	}
}

func TestWhereNoDaemonIs(t *testing.T) {
	g := newRig(t)
	g.daemon.Stop()
	for _, path := range []string{"/v1/downloads", "/healthz", "/metrics", "/v1/models/model/org/name"} {
		status, head, body := g.get(path)
		if status != 503 || head.Get("Retry-After") == "" || !strings.Contains(body, "no progressd answers at") || !strings.Contains(body, "systemctl start progressd") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := g.get("/"); status != 200 || !strings.Contains(body, "no progressd answers at") {
		t.Errorf("the page: %d %s", status, body)
	}
	if err := g.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	g.until("/healthz", "ok")
}

func TestWhoIsLetIn(t *testing.T) {
	g := newRig(t)
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"localhost:8080": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "[fe80::1]": 200, "10.0.0.7": 200, "gpu1": 200, "GPU1.example.com.:80": 200,
		"a.localhost": 200, machine: 200, "evil.example": 421, "evil.example:8080": 421, "127.0.0.1.evil.example": 421, "gpu1.example.com.evil.example": 421,
	} {
		if status, _, body := g.get("/healthz", "Host", host); status != want {
			t.Errorf("%s: %d %s", host, status, body)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
		if status, head, _ := g.ask(method, "/v1/downloads"); status != 405 || head.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d %v", method, status, head)
		}
	}
	status, head, body := g.ask("HEAD", "/v1/downloads")
	if status != 200 || body != "" || head.Get("Access-Control-Allow-Origin") != "" || head.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v %q", status, head, body)
	}
	if status, head, body := g.get("/etc/passwd"); status != 404 || head.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, "/openapi.json") {
		t.Errorf("%d %s", status, body)
	}
	long, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	long.Header.Set("X-Long", strings.Repeat("x", 3*maxHeader))
	if answer, err := g.client.Do(long); err == nil { // else it was hung up on in the middle of it
		_ = answer.Body.Close()
		if answer.StatusCode != 431 {
			t.Errorf("a long head: %d", answer.StatusCode)
		}
	}
}

// A follower reads server-sent events.
type follower struct {
	t      *testing.T
	answer *answer
	in     *bufio.Reader
}

func (g *rig) follow(since string) *follower {
	g.t.Helper()
	header := []string{"Accept", "text/event-stream"}
	if since != "" {
		header = append(header, "Last-Event-ID", since)
	}
	answer := g.open(http.MethodGet, "/v1/events", header...)
	f := &follower{g.t, answer, bufio.NewReader(answer.Body)}
	g.t.Cleanup(f.close)
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || kind != "text/event-stream" {
		g.t.Fatalf("%d %s", answer.StatusCode, kind)
	}
	return f
}

func (f *follower) close() { _ = f.answer.Body.Close() }

// next is the next event: its id and name, and what it says.
func (f *follower) next() (id, name string, said frame) {
	f.t.Helper()
	for {
		line, err := f.in.ReadString('\n')
		if err != nil {
			f.t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &said); err != nil {
				f.t.Fatalf("%v: %s", err, value)
			}
		default:
			if line == "" && name != "" {
				return id, name, said
			}
		}
	}
}

// hears wants events in words.
func (f *follower) hears(all ...string) {
	f.t.Helper()
	for _, want := range all {
		id, name, said := f.next()
		text := strings.TrimSpace(id + " " + name)
		switch {
		case said.Event != nil:
			text += " " + said.Event.Event + " " + said.Event.Model
		case said.Download != nil:
			text += " " + said.Download.Model
		case said.Snapshot != nil:
			for _, d := range said.Snapshot.Downloads {
				text += " " + d.Model
			}
			if said.Snapshot.Reset {
				text += " reset"
			}
		}
		if text != want {
			f.t.Fatalf("heard %q, want %q", text, want)
		}
	}
}

func TestEventsGoOnWhereTheyBrokeOff(t *testing.T) {
	g := newRig(t)
	g.daemon.Tells(tracker.Preparing, of("org/a", 0, 200))
	f := g.follow("")
	f.hears("e1-1 snapshot org/a")
	g.daemon.Tells(tracker.Progress, of("org/a", 50, 200))
	f.hears("download org/a", "e1-2 event progress org/a")
	f.close()
	g.daemon.Tells(tracker.Progress, of("org/a", 100, 200))
	g.daemon.Tells(tracker.Completed, of("org/a", 200, 200))
	g.until("/v1/downloads", `"completed"`)
	f = g.follow("e1-2")
	f.hears("snapshot org/a", "e1-3 event progress org/a", "e1-4 event completed org/a")
	for since, want := range map[string]string{
		"e1-1": "snapshot org/a", "e1-0": "snapshot org/a", "e1-9": "e1-4 snapshot org/a reset", "e0-2": "e1-4 snapshot org/a reset", "junk": "e1-4 snapshot org/a reset",
	} {
		other := g.follow(since)
		other.hears(want)
		other.close()
	}
	g.daemon.Stop()
	f.hears("lost")
	if err := g.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	f.hears("e2-0 snapshot org/a reset")
	g.daemon.Tells(tracker.Preparing, of("org/b", 0, 0))
	f.hears("download org/b", "e2-1 event preparing org/b")
}

// A process that was ended, since nobody was there, goes on where the one before
// broke off, too.
func TestEventsGoOnInAnotherProcess(t *testing.T) {
	g := newRig(t)
	for _, kind := range []tracker.Kind{tracker.Preparing, tracker.Started, tracker.Progress, tracker.Progress, tracker.Stalled} {
		g.daemon.Tells(kind, of("org/a", 0, 200))
	}
	g.follow("e1-2").hears("snapshot org/a", "e1-4 event progress org/a", "e1-5 event stalled org/a")
}

func TestEventsAreLinesOfJSONForOthers(t *testing.T) {
	g := newRig(t)
	g.daemon.Tells(tracker.Preparing, of("org/a", 0, 200))
	answer := g.open(http.MethodGet, "/v1/events")
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Error(kind)
	}
	in := bufio.NewScanner(answer.Body)
	g.daemon.Tells(tracker.Progress, of("org/a", 7, 200))
	var first, last frame
	for last.Event == nil && in.Scan() {
		last = frame{}
		if err := json.Unmarshal(in.Bytes(), &last); err != nil {
			t.Fatal(err)
		}
		if first.Snapshot == nil {
			first = last
		}
	}
	if first.Snapshot == nil || last.ID == "" || last.Event.Model != "org/a" {
		t.Errorf("%+v %+v", first, last)
	}
}
