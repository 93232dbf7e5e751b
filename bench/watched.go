package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/wait"
	"progressd/record"
	"progressd/socket"
)

// readers is how many watch at once.
const readers = 20

// watched measures what it costs to be watched: by nobody, by many on the socket,
// by many over HTTP, against what people do instead.
func (b *bench) watched(ctx context.Context) error {
	n := b.scale.watchedAtOnce
	out := b.report.section(fmt.Sprintf("Watched: %d downloads at once, and %d who look on", n, readers))
	out.explain("Each reader of the socket gets how each download stands every second, and all that is told. Those of HTTP have a server of their own, which watches once for all of them.")
	return b.amid(ctx, n, func(ctx context.Context, d *daemon, root string) error { return b.watchers(ctx, out, d, root) })
}

// watchers measures one way to look on after the other.
func (b *bench) watchers(ctx context.Context, out *section, d *daemon, root string) error {
	nobody, err := d.windows(ctx, b.scale.windows, scaleWindow)
	if err != nil {
		return err
	}
	share := func(s series) series { return s.scaled(1 / scaleWindow.Seconds()) }
	out.add("share of a core, nobody looks on", us, percent, share(nobody), "")
	var sockets series
	heard, err := b.looking(ctx, d, func(ctx context.Context) (err error) {
		sockets, err = d.windows(ctx, b.scale.windows, scaleWindow)
		if err == nil {
			err = complete(root, b.scale.watchedVerdicts)
		}
		return err
	})
	if err != nil {
		return err
	}
	out.add(fmt.Sprintf("share of a core, %d on the socket", readers), us, percent, share(sockets), fmt.Sprintf("below %s more", percent(0.01)))
	out.add("verdicts that a reader has heard, of "+fmt.Sprint(b.scale.watchedVerdicts), us, whole, heard, fmt.Sprint(b.scale.watchedVerdicts))
	if err := b.overHTTP(ctx, out, d, share); err != nil {
		return err
	}
	return b.instead(ctx, out, d, root)
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }

// looking has readers on the socket while something is measured, and gives how
// many ends each has heard of, of those that come with it.
func (b *bench) looking(ctx context.Context, d *daemon, measure func(context.Context) error) (heard series, err error) {
	group, ctx := errgroup.WithContext(ctx)
	heard = make(series, readers)
	for i := range readers {
		s, err := socket.OpenStream(ctx, d.manager.Socket(), socket.Watch{Levels: true})
		if err != nil {
			return nil, err
		}
		// It is closed with the context of the group.
		group.Go(func() error {
			for int(heard[i]) < b.scale.watchedVerdicts {
				f, err := s.Next()
				if err != nil {
					return fmt.Errorf("reader %d has heard %.0f verdicts: %w", i, heard[i], err)
				}
				if f.Event != nil && f.Event.Event == string(record.Completed) {
					heard[i]++
				}
			}
			return nil
		})
	}
	group.Go(func() error { return measure(ctx) })
	return heard, group.Wait()
}

// complete makes downloads that end at once.
func complete(root string, n int) error {
	for i := range n {
		const size = 64_000
		d, err := newDownload(root, fmt.Sprintf("org/done-%06d", i), snapshots[0], 1_000_000+i, 1, size)
		if err != nil {
			return err
		}
		in := d.files[0]
		if err := errors.Join(in.takeLock(), in.create(), in.fill(make([]byte, size)), in.finish(), in.link(), in.unlock()); err != nil {
			return err
		}
	}
	return nil
}

// overHTTP measures the same of readers that progressctl serve has.
func (b *bench) overHTTP(ctx context.Context, out *section, d *daemon, share func(series) series) (err error) {
	path := filepath.Join(filepath.Dir(d.manager.Socket()), "http.sock")
	serve, err := launch(exec.Command(filepath.Join(filepath.Dir(b.progressd), "progressctl"), "serve", "--listen", path, "--socket", d.manager.Socket()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, serve.stop()) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	for range readers {
		answer, err := ready(ctx, client)
		if err != nil {
			stop()
			return err
		}
		group.Go(func() error {
			defer answer.Body.Close()
			if _, err := io.Copy(io.Discard, answer.Body); err != nil && ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	var daemons, servers series
	group.Go(func() error {
		defer stop()
		both, measuring := errgroup.WithContext(ctx)
		both.Go(func() (err error) { daemons, err = d.windows(measuring, b.scale.windows, scaleWindow); return err })
		both.Go(func() (err error) { servers, err = serve.windows(measuring, b.scale.windows, scaleWindow); return err })
		return both.Wait()
	})
	if err := group.Wait(); err != nil {
		return err
	}
	mem, err := serve.memory()
	out.add(fmt.Sprintf("share of a core, %d over HTTP", readers), us, percent, share(daemons), "")
	out.add(fmt.Sprintf("share of a core, %d over HTTP", readers), "progressctl serve", percent, share(servers), "")
	out.add("resident memory", "progressctl serve", megabytes, series{mem.resident}, "")
	return err
}

// ready opens the events once the server is there.
func ready(ctx context.Context, client *http.Client) (*http.Response, error) {
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/v1/events", nil)
		if err != nil {
			return nil, err
		}
		answer, err := client.Do(r)
		if err == nil {
			return answer, nil
		}
		if wait.For(ctx, 20*time.Millisecond) != nil {
			return nil, err
		}
	}
}

// instead measures one look of other ways, as a loop or a collector of text files
// takes one each second, or each quarter of a minute.
func (b *bench) instead(ctx context.Context, out *section, d *daemon, root string) error {
	progressctl := filepath.Join(filepath.Dir(b.progressd), "progressctl")
	for _, way := range []struct {
		who  string
		args []string
	}{
		{"progressctl status", []string{progressctl, "status", "--socket", d.manager.Socket()}},
		{du + " MODEL... (node_exporter's text files)", []string{"sh", "-c", `du -sb "$1"/models--* >/dev/null`, "sh", root}},
		{"systemctl status progressd", []string{"systemctl", "status", "--no-pager", "progressd"}},
	} {
		var used series
		for range max(b.scale.polls, 5) {
			cmd := exec.CommandContext(ctx, way.args[0], way.args[1:]...)
			if err := cmd.Run(); err != nil {
				used = nil // no systemd here
				break
			}
			used = append(used, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
		}
		out.add("processor time of a look", way.who, seconds, used, "")
	}
	return nil
}
