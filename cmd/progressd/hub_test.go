package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"progressd/internal/client"
	"progressd/internal/hub"
)

// asking makes a daemon that may ask at an address; it isn't started.
func asking(t *testing.T, address string) *service {
	t.Helper()
	d := newService(t)
	d.write("config.toml", d.config()+fmt.Sprintf("[hub]\nenabled = true\nendpoint = %q\n", address))
	mkdir(t, d.path("hub"))
	return d
}

// front is a way to the hub's API that can be closed, and counts.
type front struct {
	*httptest.Server
	closed atomic.Bool
	asked  atomic.Int64
}

func frontOf(t *testing.T, h *hub.Hub) *front {
	t.Helper()
	to, err := url.Parse(h.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	transport := &http.Transport{DisableKeepAlives: true}
	proxy.Transport = transport
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if f.closed.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func TestTheHubTellsTheTotalThatTheCacheDoesNot(t *testing.T) {
	t.Parallel()
	h := serveHub(t)
	f := frontOf(t, h)
	gate := hub.NewGate()
	h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: mb / 2, Gate: gate})
	d := asking(t, f.URL)
	d.start()
	d.until(d.errout, "watching")
	d.download(h, client.HH023)
	d.until(d.out, "Still downloading: 501KB/5.0MB ~ 10.0%")
	d.stop(exitOK)

	// What is known stays known, also if the hub is gone.
	f.closed.Store(true)
	asked := f.asked.Load()
	d.start()
	d.until(d.errout, "watching")
	gate.Open()
	d.until(d.out, "[SUCCESS] org/demo: Model downloaded successfully\n")
	d.stop(exitOK)
	log := d.log("org--demo.log")
	for _, once := range []string{"Preparing to download model: org/demo\n", "[SUCCESS] Model downloaded successfully\n"} {
		if strings.Count(log, once) != 1 {
			t.Errorf("%q stands %d times:\n%s", once, strings.Count(log, once), log)
		}
	}
	if strings.Contains(log, "No listing to check against") {
		t.Errorf("the hub's listing is no proof:\n%s", log)
	}
	if asked == 0 || f.asked.Load() != asked {
		t.Errorf("asked %d times before the restart, %d after", asked, f.asked.Load())
	}
}

func TestWithoutTheHubAllGoesOnAsWithoutAListing(t *testing.T) {
	t.Parallel()
	gone, free, err := hub.Nobody()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free)
	h := serveHub(t)
	gate := hub.NewGate()
	h.Break(demo, "sub/model.safetensors", hub.Fault{GateAt: 2 * mb, Gate: gate})
	d := asking(t, gone)
	d.start()
	d.until(d.errout, "watching")
	d.download(h, client.HH023)
	d.until(d.out, "Downloaded 2.0MB...")
	d.until(d.errout, "cannot ask the hub")
	gate.Open()
	d.until(d.out, "No listing to check against: 5.0MB in 2 files on disk")
	d.until(d.out, "Model downloaded successfully")
	d.stop(exitOK)
	if n := strings.Count(d.errout.String(), "level=WARN"); n != 1 {
		t.Errorf("warned %d times:\n%s", n, d.errout)
	}
}

// undisturbed plays a download to a daemon that must not ask the hub, although
// the configuration names it. said is what it says of that.
func undisturbed(t *testing.T, hubKeys, said string) *service {
	t.Helper()
	h := serveHub(t)
	f := frontOf(t, h)
	d := asking(t, f.URL)
	d.write("config.toml", d.config()+fmt.Sprintf("[hub]\nendpoint = %q\n%s\n", f.URL, hubKeys))
	d.start()
	d.until(d.errout, said)
	d.download(h, client.HH023)
	d.until(d.out, "No listing to check against: 5.0MB in 2 files on disk")
	d.until(d.out, "Model downloaded successfully")
	d.stop(exitOK)
	if f.asked.Load() != 0 {
		t.Errorf("asked %d times", f.asked.Load())
	}
	return d
}

func TestSwitchedOffTheHubIsNotAsked(t *testing.T) {
	t.Parallel()
	d := undisturbed(t, "", "watching")
	if _, err := os.Stat(d.path("state", "hub")); err == nil {
		t.Error("a place for answers was made")
	}
}

func TestWithoutItsCredentialTheHubIsNotAsked(t *testing.T) {
	t.Parallel()
	undisturbed(t, "enabled = true\ntoken_file = \"$CREDENTIALS_DIRECTORY/hf\"", "add LoadCredential= to the unit")
}
