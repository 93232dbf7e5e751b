package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/wait"
)

// scaleWindow is the time over which downloads are measured at once.
const scaleWindow = 5 * time.Second

// many measures how costs grow with repositories at rest and with downloads
// under way.
func (b *bench) many(ctx context.Context) error {
	out := b.report.section("Scale: repositories at rest, and downloads at once")
	out.explain("A repository at rest has one blob: what else lies in it is never looked at. A download is one file that grows by 64 KB/s, under its lock.")
	rest := growth{count: "repositories at rest", time: "processor time a poll", timeUnit: seconds}
	for _, n := range b.scale.atRest {
		if err := b.manyAtRest(ctx, n, out, &rest); err != nil {
			return fmt.Errorf("%d repositories: %w", n, err)
		}
	}
	busy := growth{count: "downloads at once", time: "share of a core", timeUnit: percent}
	for _, n := range b.scale.atOnce {
		if err := b.manyAtOnce(ctx, n, out, &busy); err != nil {
			return fmt.Errorf("%d downloads: %w", n, err)
		}
	}
	out.add("resident memory a repository", us, octets, series{rest.bytes.each()}, "below 1 KB")
	out.add("resident memory a download", us, octets, series{busy.bytes.each()}, "below 16 KB")
	b.report.plots = append(b.report.plots, plot{name: "scale.svg", panels: append(rest.panels(), busy.panels()...)})
	return nil
}

// growth is what more and more of something costs.
type growth struct {
	count, time string
	timeUnit    unit
	used, bytes curve
}

func (g *growth) add(n int, used series, resident float64) {
	g.used = append(g.used, dot{float64(n), used.median()})
	g.bytes = append(g.bytes, dot{float64(n), resident})
}

func (g *growth) panels() []panel {
	return []panel{
		{title: g.time, across: g.count, unit: g.timeUnit, dots: g.used},
		{title: "resident memory", across: g.count, unit: octetsShort, dots: g.bytes},
	}
}

func (b *bench) manyAtRest(ctx context.Context, n int, out *section, g *growth) (err error) {
	root, err := b.bare(ctx, n)
	if err != nil {
		return err
	}
	d, err := b.freshDaemon(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := errors.Join(d.watched(ctx, n+1), d.settle(ctx), wait.For(ctx, max(b.scale.interval, d.untilSlim()))); err != nil {
		return err
	}
	used, err := d.windows(ctx, b.scale.restPolls, b.scale.interval)
	if err != nil {
		return err
	}
	mem, err := d.memory()
	out.add(fmt.Sprintf("processor time a poll, %d at rest", n), us, seconds, used, "")
	out.add(fmt.Sprintf("resident memory, %d at rest", n), us, megabytes, series{mem.resident}, "")
	g.add(n, used, mem.resident)
	return err
}

// bare gives the root of a cache of so many repositories with no more in them
// than a poll looks at.
func (b *bench) bare(ctx context.Context, n int) (string, error) {
	return b.built(fmt.Sprintf("cache-%d-bare", n), func(root string) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(runtime.NumCPU())
		for i := range n {
			group.Go(func() error {
				blobs := filepath.Join(root, fmt.Sprintf("models--org--model-%06d", i), "blobs")
				return errors.Join(ctx.Err(), os.MkdirAll(blobs, 0o755), put(filepath.Join(blobs, etag(i, 0)), 1))
			})
		}
		return group.Wait()
	})
}

func (b *bench) manyAtOnce(ctx context.Context, n int, out *section, g *growth) error {
	return b.amid(ctx, n, func(ctx context.Context, d *daemon, _ string) error {
		used, err := d.windows(ctx, b.scale.windows, scaleWindow)
		if err != nil {
			return err
		}
		mem, err := d.memory()
		share := used.scaled(1 / scaleWindow.Seconds())
		out.add(fmt.Sprintf("share of a core, %d at once", n), us, percent, share, "")
		out.add(fmt.Sprintf("resident memory, %d at once", n), us, megabytes, series{mem.resident}, "")
		g.add(n, share, mem.resident)
		return err
	})
}

// amid has n downloads grow beside a daemon, and measures while they do.
func (b *bench) amid(ctx context.Context, n int, measure func(ctx context.Context, d *daemon, root string) error) (err error) {
	root, err := os.MkdirTemp(b.fastDir(), "progressd-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	d, err := b.freshDaemon(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	group, writing := errgroup.WithContext(ctx)
	writing, stop := context.WithCancel(writing)
	defer stop()
	group.Go(func() error { return growAll(writing, root, n) })
	group.Go(func() error {
		defer stop()
		// All begin, and the locks come to be known.
		if err := wait.For(writing, max(scaleWindow+time.Duration(n)*10*time.Millisecond, d.untilSlim())); err != nil {
			return err
		}
		return measure(writing, d, root)
	})
	return group.Wait()
}

// growAll begins n downloads of one file each, and lets them grow until ctx is
// done.
func growAll(ctx context.Context, root string, n int) (err error) {
	var all []*incoming
	defer func() {
		for _, in := range all {
			err = errors.Join(err, in.file.Close(), in.unlock())
		}
	}()
	for i := range n {
		d, err := newDownload(root, fmt.Sprintf("org/model-%06d", i), snapshots[0], i, 1, 1<<40)
		if err != nil {
			return err
		}
		if err := errors.Join(d.files[0].takeLock(), d.files[0].create()); err != nil {
			return err
		}
		all = append(all, d.files[0])
	}
	chunk := make([]byte, 64_000)
	for wait.For(ctx, time.Second) == nil {
		for _, in := range all {
			if _, err := in.file.Write(chunk); err != nil {
				return err
			}
		}
	}
	return nil
}
