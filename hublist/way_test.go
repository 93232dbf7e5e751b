package hublist

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// Who may neither open the token nor connect has that done for it.
func TestWhatItMayNotDoIsDoneForIt(t *testing.T) {
	s := serve(t, say(http.StatusOK, page("config.json")))
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	dialed := ""
	h, err := New(Options{
		Endpoint: "http://127.0.0.1:1", TokenFile: "/nowhere/token", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		OpenToken: func(path string) (*os.File, error) {
			if path != "/nowhere/token" {
				t.Errorf("%q is opened", path)
			}
			return os.Open(token)
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialed = network + " " + address
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.client.list(t.Context(), demoA)
	if err != nil || !reflect.DeepEqual(l.Files, listingOf("config.json").Files) {
		t.Errorf("%+v, %v", l, err)
	}
	if dialed != "tcp 127.0.0.1:1" {
		t.Errorf("it connects to %q", dialed)
	}
	if len(s.tokens) != 1 || s.tokens[0] != "Bearer "+secret {
		t.Errorf("it is known by %q", s.tokens)
	}
}
