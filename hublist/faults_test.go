package hublist

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/internal/hub"
)

func TestFaults(t *testing.T) {
	t.Run("A1 what is down is trouble, and tried again", faultA1)
	t.Run("A1 one warning, and one word when it is over", faultA1Told)
	t.Run("A2 a no is remembered", faultA2)
	t.Run("A2 the wait that the hub asks for is obeyed", faultA2Wait)
	t.Run("A3 an answer without end or sense is dropped", faultA3)
	t.Run("A4 nothing leads to another place", faultA4)
}

func faultA1(t *testing.T) {
	down, free, err := hub.Nobody()
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	foreign := httptest.NewTLSServer(say(200, page("a")))
	defer foreign.Close()
	foreign.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	cut := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(page("a")))
	})
	for name, address := range map[string]string{
		"down":              down,
		"no such name":      "https://hub.invalid",
		"unknown authority": foreign.URL,
		"TLS to plain HTTP": strings.Replace(serve(t, say(200, page("a"))).URL, "http:", "https:", 1),
		"cut":               cut.URL,
		"500":               serve(t, say(500, "")).URL,
		"no HTTP":           noHTTP(t),
	} {
		if _, err := ask(t, address); kind(err) != "trouble" {
			t.Errorf("%s: %s, %v", name, kind(err), err)
		}
	}
	t.Run("slow body", func(t *testing.T) {
		released := make(chan struct{})
		slow := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("["))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-released:
			case <-r.Context().Done():
			}
		})
		defer close(released)
		c := clientOf(t, slow.URL)
		c.pageTime = 50 * time.Millisecond
		if _, err := c.list(t.Context(), demoA); kind(err) != "trouble" {
			t.Errorf("%v", err)
		}
	})
}

// noHTTP listens and speaks something else.
func noHTTP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 mail\x1b[31m\r\n\r\n")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return "http://" + l.Addr().String()
}

func faultA1Told(t *testing.T) {
	fail := make(chan bool, 1)
	fail <- true
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		bad := <-fail
		fail <- bad
		if bad {
			panic(http.ErrAbortHandler)
		}
		say(200, page("a"))(w, r)
	})
	g := run(t, s.URL, t.TempDir())
	began := time.Now()
	g.Listing(demo, commitA)
	if took := time.Since(began); took > time.Second {
		t.Errorf("the caller waited %v", took)
	}
	g.untilLogged(t, "level=WARN")
	for range 2 {
		g.hurry()
		g.untilLogged(t, "still cannot ask the hub")
	}
	<-fail
	fail <- false
	g.hurry()
	g.untilLogged(t, "the hub can be asked again")
	if l := g.until(t, demoA); len(l.Files) != 1 {
		t.Errorf("listing %+v", l)
	}
	if n := strings.Count(g.logs.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, g.logs)
	}
}

// hurry ends the pause.
func (g *rig) hurry() {
	g.mu.Lock()
	g.queue.pause = time.Time{}
	g.mu.Unlock()
	g.wake <- struct{}{}
}

func faultA2(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 410, 451} {
		_, err := ask(t, serve(t, say(status, `{"error":"x"}`, "X-Error-Code", "GatedRepo")).URL)
		if kind(err) != "refused" || !strings.Contains(err.Error(), fmt.Sprint(status)) || !strings.Contains(err.Error(), "(GatedRepo)") {
			t.Errorf("%d: %s, %v", status, kind(err), err)
		}
	}
	_, err := ask(t, serve(t, say(404, "", "X-Error-Code", "a<0>b")).URL)
	if kind(err) != "refused" || strings.Contains(err.Error(), "<0>") {
		t.Errorf("a code of odd characters: %v", err)
	}

	s := serve(t, say(403, ""))
	g := run(t, s.URL, t.TempDir())
	g.Listing(demo, commitA)
	g.untilLogged(t, "the hub doesn't list the files of a download")
	for range 10 {
		if _, ok := g.Listing(demo, commitA); ok {
			t.Fatal("an answer from nowhere")
		}
	}
	g.hurry()
	g.Listing(demo, commitB)
	timeout := time.After(patient)
	for len(s.requests()) < 2 {
		select {
		case <-g.logs.news:
		case <-timeout:
			t.Fatalf("the other commit was not asked for:\n%s", g.logs)
		}
	}
	for i, asked := range s.requests() {
		if want := []string{commitA, commitB}[i]; !strings.Contains(asked, want) {
			t.Errorf("request %d is %s, want one for %s", i, asked, want)
		}
	}
	if strings.Contains(g.logs.String(), "level=WARN") {
		t.Errorf("a no is no warning:\n%s", g.logs)
	}
}

func faultA2Wait(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		retry, limit string
		want         time.Duration
	}{
		{"", "", 0},
		{"30", "", 30 * time.Second},
		{"30", `"api";r=0;t=120`, 2 * time.Minute},
		{"", `"api"; r=0; t=7`, 7 * time.Second},
		{"Sun, 22 Nov 2026 00:01:00 GMT", "", time.Minute},
		{"Sun, 22 Nov 2020 00:01:00 GMT", "", 0},
		{"-5", "", 0},
		{"99999999999999999999999", "", 0},
		{"9223372036854775807", "", time.Hour},
		{"soon", "t=soon", 0},
	} {
		h := http.Header{"Retry-After": {c.retry}, "Ratelimit": {c.limit}}
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%+v gives %v", c, got)
		}
	}
	for _, status := range []int{429, 503} {
		_, err := ask(t, serve(t, say(status, "", "Retry-After", "40")).URL)
		var busy *busyError
		if !errors.As(err, &busy) || busy.after != 40*time.Second {
			t.Errorf("%d: %v", status, err)
		}
	}
	s := serve(t, say(429, "", "Retry-After", "3000"))
	g := run(t, s.URL, t.TempDir())
	g.Listing(demo, commitA)
	g.untilLogged(t, "level=WARN")
	g.Listing(demo, commitB)
	g.mu.Lock()
	pause := time.Until(g.queue.pause)
	g.mu.Unlock()
	if pause < 2990*time.Second || len(s.requests()) != 1 {
		t.Errorf("waits %v, %d requests", pause, len(s.requests()))
	}
}

func faultA3(t *testing.T) {
	huge := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(int64(10)<<30))
		flood(w, page("a")[:len(page("a"))-1], strings.Repeat(" ", 1<<20))
	}
	million := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "[")
		flood(w, "", strings.Repeat(page("a")[1:len(page("a"))-1]+",", 10_000))
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		say(200, "[]", "Link", "<"+r.URL.Path+`?cursor=1>; rel="next"`)(w, r)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"garbage":          say(200, "<!DOCTYPE html>"),
		"empty":            say(200, ""),
		"nothing listed":   say(200, "[]"),
		"204":              say(204, ""),
		"negative size":    say(200, strings.ReplaceAll(page("a"), ":7", ":-7")),
		"path upwards":     say(200, page("../a")),
		"path twice":       say(200, page("a", "a")),
		"10 GB":            huge,
		"10 million files": million,
		"one long string":  func(w http.ResponseWriter, _ *http.Request) { flood(w, `["`, strings.Repeat("x", 1<<20)) },
		"endless pages":    endless,
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, answer)
			c := clientOf(t, s.URL)
			if c.limits != hfcache.DefaultLimits() {
				t.Fatalf("limits %+v", c.limits)
			}
			c.limits.Bytes, c.limits.Entries = c.limits.Bytes/8, c.limits.Entries/10 // sooner
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, err := c.list(t.Context(), demoA)
			runtime.GC()
			runtime.ReadMemStats(&after)
			if kind(err) != "unusable" {
				t.Errorf("%s, %v", kind(err), err)
			}
			if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 8<<20 {
				t.Errorf("%d MB are kept", grown>>20)
			}
			if n := len(s.requests()); n > maxPages {
				t.Errorf("%d requests", n)
			}
		})
	}
	big := serve(t, func(w http.ResponseWriter, r *http.Request) {
		say(200, page("a"), "Link", "<"+strings.Repeat("x", 1<<20)+`>; rel="next"`)(w, r)
	})
	if _, err := ask(t, big.URL); err == nil {
		t.Error("a header of 1 MB was taken")
	}
}

// flood writes piece until nobody listens, at most 10 GB.
func flood(w io.Writer, first, piece string) {
	if _, err := io.WriteString(w, first); err != nil {
		return
	}
	for sent := 0; sent < 10<<30; sent += len(piece) {
		if _, err := io.WriteString(w, piece); err != nil {
			return
		}
	}
}

func faultA4(t *testing.T) {
	thief := serve(t, say(200, page("a")))
	place, err := url.Parse(thief.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"another port":     thief.URL + "/x",
		"another name":     "http://localhost:" + place.Port() + "/x",
		"another host":     "https://evil.invalid/x",
		"without a scheme": "//evil.invalid/x",
		"another scheme":   "file:///etc/passwd",
		"with a name":      "http://me@127.0.0.1/x",
		"endless":          "/again",
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			s := serve(t, say(status, "", "Location", to))
			if _, err := ask(t, s.URL); kind(err) != "unusable" || strings.Contains(err.Error(), secret) {
				t.Errorf("%d to %s: %s, %v", status, name, kind(err), err)
			}
			if len(s.requests()) > maxRedirects+1 {
				t.Errorf("%d to %s: %d requests", status, name, len(s.requests()))
			}
		}
		s := serve(t, say(200, page("a"), "Link", "<"+to+`>; rel="next"`))
		if _, err := ask(t, s.URL); kind(err) != "unusable" {
			t.Errorf("next page at %s: %s, %v", name, kind(err), err)
		}
	}
	if len(thief.requests()) > 0 {
		t.Errorf("another place was asked: %q", thief.requests())
	}

	same := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+"/x", http.StatusFound)
	})
	if _, err := ask(t, same.URL); kind(err) != "unusable" {
		t.Errorf("another scheme at the same port: %s, %v", kind(err), err)
	}

	plain := serve(t, say(200, page("a")))
	safe := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusTemporaryRedirect)
	}))
	defer safe.Close()
	c := clientOf(t, safe.URL)
	transport := newTransport(nil)
	transport.TLSClientConfig = &tls.Config{RootCAs: safe.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	c.http.Transport = transport
	if _, err := c.list(t.Context(), demoA); kind(err) != "unusable" || len(plain.requests()) > 0 {
		t.Errorf("from https to http: %s, %v, asked %q", kind(err), err, plain.requests())
	}
}
