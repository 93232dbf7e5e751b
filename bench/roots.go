package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"progressd/internal/wait"
)

// podVolume is where the kubelet has a volume of a pod, below the directory of all
// pods: what a pattern for it looks like, and where one of them is.
const (
	podVolumes = "*/volumes/kubernetes.io~empty-dir/*/hub"
	podVolume  = "%08d-0000-4000-8000-000000000000/volumes/kubernetes.io~empty-dir/cache/hub"
)

// roots measures what it costs to watch many caches of one repository each that a
// pattern finds, beside the same caches by their names, and one cache with as many
// repositories.
func (b *bench) roots(ctx context.Context) error {
	n := b.scale.roots
	one, err := b.tree(ctx, shape{repos: n, files: 40})
	if err != nil {
		return err
	}
	pods, err := b.built(fmt.Sprintf("pods-%d", n), func(dir string) error {
		for i := range n {
			root := filepath.Join(dir, fmt.Sprintf(podVolume, i))
			if err := errors.Join(os.MkdirAll(root, 0o755), buildRepo(filepath.Join(root, "models--org--model"), i, 40, snapshots)); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	out := b.report.section(fmt.Sprintf("Many caches: %d that one pattern finds, with a repository each, a poll every %v", n, b.scale.interval))
	together, err := b.restingAt(ctx, out, "progressd, one cache with as many", n+1, one)
	if err != nil {
		return err
	}
	named := make([]string, n)
	for i := range named {
		named[i] = filepath.Join(pods, fmt.Sprintf(podVolume, i))
	}
	apart, err := b.restingAt(ctx, out, "progressd, each by its name", 2*n, named...)
	if err != nil {
		return err
	}
	found, err := b.restingAt(ctx, out, us, 2*n, filepath.Join(pods, podVolumes))
	if err != nil {
		return err
	}
	out.compare("processor time, by a pattern / by their names", found, apart, "")
	out.compare("processor time, by a pattern / one cache with as many", found, together, "")
	// Not every poll costs the same: what comes every fourth time, or once a minute, counts.
	out.compare("the same, of all polls together", found.total(), together.total(), "")
	return nil
}

// restingAt measures progressd where nothing happens, as it does once it has armed
// so many watches.
func (b *bench) restingAt(ctx context.Context, out *section, who string, watches int, roots ...string) (used series, err error) {
	d, err := b.freshDaemon(ctx, roots...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := errors.Join(d.watched(ctx, watches), wait.For(ctx, max(b.scale.interval, d.untilSlim()))); err != nil {
		return nil, err
	}
	if used, err = d.windows(ctx, b.scale.polls, b.scale.interval); err != nil {
		return nil, err
	}
	mem, err := d.memory()
	if err != nil {
		return nil, err
	}
	out.add("processor time a poll", who, seconds, used, "")
	out.add("share of a core, one poll in 5 s", who, percent, used.scaled(1/usualInterval.Seconds()), "")
	out.add("resident memory", who, megabytes, series{mem.resident}, "")
	if t, ok := d.syscalls(ctx, perfPolls*b.scale.interval); ok {
		out.add("system calls a poll", who, count, series{t.all / perfPolls}, "")
	}
	return used, nil
}
