package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestServeShowsDownloadsOverHTTP(t *testing.T) {
	t.Parallel()
	l := beside(t)
	l.daemon()
	dir, err := os.MkdirTemp("", "pd") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "http.sock")
	left, err := net.Listen("unix", path) // by one that was killed
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = left.Close()
	c := l.begin("serve", "--listen", path, "--listen", "127.0.0.1:0")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	wants := func(path, want string) {
		t.Helper()
		for end := time.Now().Add(patient); ; <-time.After(10 * time.Millisecond) {
			answer, err := client.Get("http://localhost" + path)
			if err == nil {
				body, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(body), want) {
					return
				}
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v\n%s", path, err, l.read(c.err))
			}
		}
	}
	wants("/healthz", "ok\n")
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	l.downloading()
	for path, want := range map[string]string{"/": "org/demo", "/metrics": `progressd_download_state{model="org/demo"`, "/v1/models/model/org/demo": `"state":"downloading"`} {
		wants(path, want)
	}
	if _, err := l.gives(1, "serve", "--listen", path); !strings.Contains(err, "somebody listens there") {
		t.Error(err)
	}
	if said := l.read(c.err); strings.Count(said, "serving at ") != 2 || !strings.Contains(said, "who can connect sees what you may see") {
		t.Errorf("%q", said)
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	l := beside(t)
	if _, err := l.gives(2, "serve"); !strings.Contains(err, "--listen 127.0.0.1:8080") {
		t.Error(err)
	}
	for _, address := range []string{"nowhere", "/nowhere/x.sock", "300.1.1.1:1"} {
		if out, err := l.gives(1, "serve", "--listen", address); out != "" || !strings.Contains(err, `cannot listen at "`+address) {
			t.Errorf("%q %q", out, err)
		}
	}
}
