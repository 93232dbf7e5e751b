package web

import (
	"context"
	"net"
	"os/exec"
	"testing"

	"progressd/internal/browser"
	"progressd/tracker"
)

func TestThePageInARealBrowser(t *testing.T) {
	if _, err := exec.LookPath(browser.Program); err != nil || testing.Short() {
		t.Skip("no chromium (Debian: chromium), or -short")
	}
	g := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	other := New(Options{Sockets: g.server.opts.Sockets, Log: g.server.opts.Log})
	go func() { done <- other.Serve(ctx, l) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	url := "http://" + l.Addr().String() + "/"
	g.daemon.Tells(tracker.Started, hostileDownload())
	b, err := browser.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
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
