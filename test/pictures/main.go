// Command pictures shows a made-up machine over HTTP, to be looked at in a
// browser, and has a headless Chromium take pictures of the page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"progressd/internal/browser"
	"progressd/internal/shown"
	"progressd/web"
)

func main() {
	out := flag.String("out", "", "take pictures into this `DIRECTORY`; else serve until Ctrl-C")
	n := flag.Int("downloads", 8, "how many downloads are shown")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *n); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, n int) error {
	d, err := shown.New()
	if err != nil {
		return err
	}
	if err := d.Start(); err != nil {
		return err
	}
	defer d.Close()
	d.Scene(n)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		served <- web.New(web.Options{Sockets: []string{d.Path()}, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}).Serve(ctx, l)
	}()
	url := "http://" + l.Addr().String() + "/"
	if out == "" {
		fmt.Println(url, "of the daemon at", d.Path())
		return <-served
	}
	err = take(ctx, url, out, n)
	stop()
	return errors.Join(err, <-served)
}

// take takes pictures of the page in several looks.
func take(ctx context.Context, url, dir string, n int) error {
	profile, err := os.MkdirTemp("", "pictures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(profile)
	b, err := browser.Start(ctx, profile)
	if err != nil {
		return err
	}
	defer b.Close()
	for name, look := range map[string]browser.Look{
		"light": {Width: 1180, Height: 700}, "dark": {Width: 1180, Height: 700, Dark: true}, "narrow": {Width: 390, Height: 844},
	} {
		const heard = `document.readyState === "complete"`
		if err := errors.Join(b.Open(url, look), b.Until(heard, 10*time.Second)); err != nil {
			return err
		}
		png, err := b.Picture()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("page-%s-%d.png", name, n)), png, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
