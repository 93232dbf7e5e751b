package web

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"testing"

	"progressd/internal/browser"
	"progressd/tracker"
)

// startBrowser starts a real browser, where there is one.
func startBrowser(t *testing.T) *browser.Browser {
	t.Helper()
	if _, err := exec.LookPath(browser.Program); err != nil || testing.Short() {
		t.Skip("no chromium (Debian: chromium), or -short")
	}
	b, err := browser.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// atAPort is a server for a browser, until it is stopped or the test ends.
func (g *rig) atAPort() (url string, stop func()) {
	g.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := New(Options{Sockets: g.server.opts.Sockets, Log: g.server.opts.Log})
	go func() { done <- server.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			g.t.Error(err)
		}
	})
	g.t.Cleanup(stop)
	return "http://" + l.Addr().String() + "/", stop
}

// legible gives the least contrast between a text and what lies behind it, as WCAG 2 computes
// it: 4.5 is what people with poor eyes need.
const legible = `(() => {
	const rgb = (c) => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
	const light = (c) => rgb(c).slice(0, 3).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => { const c = getComputedStyle(e).backgroundColor, v = rgb(c); return v.length < 4 || v[3] > 0 ? light(c) : behind(e.parentElement); };
	let least = 21;
	for (const e of document.querySelectorAll("body *")) {
		if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
		const a = light(getComputedStyle(e).color), b = behind(e);
		least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
	}
	return least;
})()`

// On a phone, on a wide screen, by night, whatever the number of downloads: nothing is cut
// off, and all can be read.
func TestThePageAtEveryWidthInEveryLight(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	for _, n := range []int{0, 1, 60} {
		g := newRig(t)
		url, _ := g.atAPort()
		g.daemon.Scene(n)
		for _, look := range []browser.Look{{Width: 320, Height: 640}, {Width: 320, Height: 640, Dark: true}, {Width: 1280, Height: 800}, {Width: 1280, Height: 800, Dark: true}} {
			if err := b.Open(url, look); err != nil {
				t.Fatal(err)
			}
			for what, script := range map[string]string{
				"all rows are there":           fmt.Sprintf(`document.readyState === "complete" && document.querySelectorAll("tbody tr").length === %d`, n),
				"it says so if there are none": fmt.Sprintf(`document.getElementById("none").hidden === %t`, n > 0),
				"nothing is beyond the edge":   fmt.Sprintf(`document.documentElement.scrollWidth <= %d`, look.Width),
				"each text can be read":        legible + ` >= 4.5`,
			} {
				if b.Until(script, patience) != nil {
					least, _ := b.Eval(legible + `.toFixed(2)`)
					t.Errorf("%d downloads, %+v: it isn't so that %s; the least contrast is %s", n, look, what, least)
				}
			}
		}
	}
}

func TestThePageInARealBrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	g := newRig(t)
	url, stop := g.atAPort()
	g.daemon.Tells(tracker.Started, hostileDownload())
	wants := func(script string) {
		t.Helper()
		if err := b.Until(script, patience); err != nil {
			dom, _ := b.Eval("document.body.innerText")
			t.Fatalf("%v\n%s", err, dom)
		}
	}
	if err := b.Open(url, browser.Look{Width: 360, Height: 640}); err != nil {
		t.Fatal(err)
	}
	wants(`document.title === "(1) Downloads"`) // so its script runs, and hears
	wants(`document.querySelector(".name").textContent === "org/a" && document.querySelector("progress").value === 250`)
	wants(`document.body.textContent.includes("<img src=x onerror=alert(1)>") && !document.querySelector("img")`)
	wants(`document.documentElement.scrollWidth <= 360`)
	g.daemon.Tells(tracker.Started, of("org/later", 50, 200))
	wants(`document.title === "(2) Downloads" && document.querySelectorAll("tr.downloading").length === 2`)
	g.daemon.Stands(of("org/later", 100, 200))
	wants(`document.querySelectorAll("progress")[1].value === 500`)
	wants(`document.getElementById("lost").hidden`)
	g.daemon.Stop()
	wants(`document.getElementById("lost").textContent.startsWith("no progressd answers at") && !document.getElementById("lost").hidden`)
	if err := g.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	wants(`document.getElementById("lost").hidden && document.getElementById("table").hidden && !document.getElementById("none").hidden`)
	g.daemon.Tells(tracker.Started, of("org/anew", 50, 200))
	wants(`document.querySelector(".name").textContent === "org/anew"`)
	stop() // the server goes
	wants(`document.getElementById("lost").textContent.startsWith("The connection is lost")`)
}
