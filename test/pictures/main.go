// Command pictures shows a made-up machine over HTTP, to be looked at in a
// browser, and takes pictures for the documents: of the page by a headless
// Chromium, of progressctl top in a tmux.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"progressd/internal/browser"
	"progressd/internal/shown"
	"progressd/web"
)

func main() {
	out := flag.String("out", "", "take pictures into this `DIRECTORY`; else serve until Ctrl-C")
	n := flag.Int("downloads", 8, "how many downloads are shown")
	progressctl := flag.String("progressctl", "bin/progressctl", "the `PROGRAM` that is shown")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *progressctl, *n); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, progressctl string, n int) error {
	d, err := shown.New()
	if err != nil {
		return err
	}
	if err := d.Start(); err != nil { //nolint:contextcheck // it goes on until Close
		return err
	}
	defer func() { _ = d.Close() }()
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
	err = errors.Join(take(ctx, url, out, n), top(ctx, progressctl, d.Path(), filepath.Join(out, fmt.Sprintf("top-%d.svg", n))))
	stop()
	return errors.Join(err, <-served)
}

// top takes a picture of progressctl top.
func top(ctx context.Context, progressctl, socket, file string) error {
	const columns, lines = 110, 20
	tmux := func(args ...string) (string, error) {
		text, err := exec.CommandContext(ctx, "tmux", append([]string{"-L", "progressd-pictures", "-f", os.DevNull}, args...)...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("tmux %s: %w\n%s", args[0], err, text)
		}
		return string(text), nil
	}
	command := fmt.Sprintf("env LANG=C.UTF-8 TERM=xterm-256color %q top --socket %q; read wait", progressctl, socket)
	if _, err := tmux("new-session", "-d", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(lines), command); err != nil {
		return err
	}
	defer func() { _, _ = tmux("kill-server") }()
	for end := time.Now().Add(10 * time.Second); ; <-time.After(100 * time.Millisecond) {
		text, err := tmux("capture-pane", "-p", "-e")
		switch {
		case err != nil:
			return err
		case strings.Contains(text, "quit"):
			return os.WriteFile(file, []byte(svg(text, columns)), 0o644)
		case time.Now().After(end):
			return fmt.Errorf("progressctl top shows nothing:\n%s", text)
		}
	}
}

// take takes pictures of the page in several looks.
func take(ctx context.Context, url, dir string, n int) error {
	profile, err := os.MkdirTemp("", "pictures-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(profile) }()
	b, err := browser.Start(ctx, profile)
	if err != nil {
		return err
	}
	defer b.Close()
	for name, look := range map[string]browser.Look{
		"light": {Width: 1180, Height: 770}, "dark": {Width: 1180, Height: 770, Dark: true}, "narrow": {Width: 390, Height: 844},
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
