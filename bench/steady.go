package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/wait"
)

// steadyRate is how fast the files of the steady workload come, in bytes a
// second together: a line of a gigabit.
const steadyRate = 100_000_000

// steady measures what a download costs while it goes on, without its
// beginning and its end.
func (b *bench) steady(ctx context.Context) (err error) {
	root, err := os.MkdirTemp(b.fastDir(), "progressd-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	daemon, err := b.freshDaemon(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, daemon.stop()) }()
	if err := wait.For(ctx, daemon.untilSlim()); err != nil {
		return err
	}
	start, err := daemon.cpu()
	if err != nil {
		return err
	}
	const window = 5 * time.Second
	length := time.Duration(b.scale.windows+1) * window
	size := int64(length.Seconds()+1) * steadyRate / busyFiles
	d, err := newDownload(root, "org/steady", snapshots[0], 0, busyFiles, size)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	writing, stop := context.WithTimeout(ctx, length)
	defer stop()
	for _, in := range d.files {
		group.Go(func() error { return in.trickle(writing, steadyRate/busyFiles) })
	}
	var used series
	group.Go(func() error {
		// The first window holds the beginning.
		all, err := daemon.windows(ctx, b.scale.windows+1, window)
		if err == nil {
			used = all[1:]
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	share := make(series, len(used))
	for i := range used {
		share[i] = used[i] / window.Seconds()
	}
	mem, err := daemon.memory()
	out := b.report.section(fmt.Sprintf("Steady: %d files growing by %d MB/s together, a line a second", busyFiles, steadyRate/1_000_000))
	out.explain("It begins %v after progressd was launched, when that has given back what its start took. What that costs stands here, and in no share of a core but those from beginning to end.", slimAfter)
	out.add("processor time of the start, at an empty cache", us, seconds, series{start.Seconds()}, "")
	out.add("share of a core", us, percent, share, "below 0.1%")
	out.add("resident memory", us, megabytes, series{mem.resident}, "below 20 MB")
	return err
}

// trickle writes at a rate in bytes a second until ctx is done, under the
// file's lock.
func (in *incoming) trickle(ctx context.Context, rate int) error {
	if err := errors.Join(in.takeLock(), in.create()); err != nil {
		return err
	}
	chunk := make([]byte, 64<<10)
	pause := time.Second * time.Duration(len(chunk)) / time.Duration(rate)
	for next := time.Now(); wait.For(ctx, time.Until(next)) == nil; next = next.Add(pause) {
		if _, err := in.file.Write(chunk); err != nil {
			return err
		}
	}
	return errors.Join(in.file.Close(), in.unlock())
}
