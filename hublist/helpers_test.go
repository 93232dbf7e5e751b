package hublist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"progressd/hfcache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	sha1Hex = "0123456789abcdef0123456789abcdef01234567"
	secret  = "hf_SecretOfTheTests"
	patient = 10 * time.Second
)

var (
	demo  = hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}
	demoA = request{demo, commitA}
	demoB = request{demo, commitB}
)

func page(paths ...string) string {
	var entries []string
	for _, path := range paths {
		entries = append(entries, fmt.Sprintf(`{"type":"file","path":%q,"oid":%q,"size":7}`, path, sha1Hex))
	}
	return "[" + strings.Join(entries, ",") + "]"
}

func listingOf(paths ...string) hfcache.Listing {
	var l hfcache.Listing
	for _, path := range paths {
		l.Files = append(l.Files, hfcache.ListedFile{Path: path, Etag: sha1Hex, Size: 7})
	}
	return l
}

// A server is a hub that answers as a test says, and remembers what it was
// asked.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string
	tokens []string
}

func serve(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.String())
		s.tokens = append(s.tokens, r.Header.Get("Authorization"))
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// say is an answer that is always the same.
func say(status int, text string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}

// ask lists once what is at the address, known by the secret.
func ask(t *testing.T, address string) (hfcache.Listing, error) {
	t.Helper()
	return clientOf(t, address).list(t.Context(), demoA)
}

func clientOf(t *testing.T, address string) *client {
	t.Helper()
	endpoint, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	transport := newTransport(nil)
	transport.Proxy = nil // nothing leaves this machine
	t.Cleanup(transport.CloseIdleConnections)
	return newClient(endpoint, func() (string, error) { return secret, nil }, transport)
}

// A rig is a running Hub with what it logs.
type rig struct {
	*Hub
	dir  string
	logs *logs
}

type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	select {
	case l.news <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// run starts a Hub that asks the endpoint and knows the secret.
func run(t *testing.T, endpoint, dir string) *rig {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &rig{dir: dir, logs: &logs{news: make(chan struct{}, 1)}}
	log := slog.New(slog.NewTextHandler(g.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if g.Hub, err = New(Options{Endpoint: endpoint, TokenFile: token, Dir: dir, Log: log}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if strings.Contains(g.logs.String(), secret) {
			t.Errorf("the token is in the log:\n%s", g.logs)
		}
	})
	return g
}

// until asks as looks do, again and again.
func (g *rig) until(t *testing.T, r request) hfcache.Listing {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patient)
	for {
		if l, ok := g.Listing(r.repo, r.commit); ok {
			return l
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("no answer came\n%s", g.logs)
		}
	}
}

func (g *rig) untilLogged(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(patient)
	for !strings.Contains(g.logs.String(), text) {
		select {
		case <-g.logs.news:
		case <-timeout:
			t.Fatalf("%q was not logged\n%s", text, g.logs)
		}
	}
}

// kind is how the desk judges an error.
func kind(err error) string {
	var no *refusedError
	var busy *busyError
	switch {
	case err == nil:
		return "answer"
	case errors.As(err, &no):
		return "refused"
	case errors.As(err, &busy):
		return "busy"
	case errors.Is(err, errUnusable):
		return "unusable"
	default:
		return "trouble"
	}
}
