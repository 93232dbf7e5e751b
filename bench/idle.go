package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"progressd/internal/wait"
)

// usualInterval is everybody's default.
const usualInterval = 5 * time.Second

// perfPolls is over how many polls system calls are counted.
const perfPolls = 2

func (b *bench) idleSmall(ctx context.Context) error {
	return b.idle(ctx, b.scale.small, b.scale.walks)
}
func (b *bench) idleLarge(ctx context.Context) error {
	return b.idle(ctx, b.scale.large, b.scale.largeWalks)
}

// idle measures what it costs to watch a cache in which nothing happens.
func (b *bench) idle(ctx context.Context, s shape, walks int) error {
	root, err := b.tree(ctx, s)
	if err != nil {
		return err
	}
	out := b.report.section(fmt.Sprintf("Idle: %v, a poll every %v", s, b.scale.interval))
	if b.scale.interval != usualInterval {
		out.explain("Shares of a core are scaled to a poll every %v: what the caches of the processor forget in that time is left out.", usualInterval)
	}
	ours, err := b.idleDaemon(ctx, root, s, out)
	if err != nil {
		return err
	}
	walked, err := b.originalWalks(ctx, root, walks)
	if err != nil {
		return err
	}
	b.idleWalker(out, original, walked, b.scale.interval)
	summed, err := b.duWalks(ctx, root, walks)
	if err != nil {
		return err
	}
	b.idleWalker(out, du, summed, b.scale.interval)
	if t, ok := perfOf(ctx, "--", "du", "-sb", root); ok {
		out.add("system calls a walk", du, count, series{t.all}, "")
	}
	if err := b.idlePlain(ctx, root, out); err != nil {
		return err
	}
	reach := ""
	if s == fullScale().small { // it was set for that cache
		reach = "at least 300×"
	}
	out.compare("processor time, original way / progressd", walked.cpu, ours, reach)
	out.compare("processor time, du / progressd", summed.cpu, ours, "")
	return nil
}

// idleDaemon measures progressd and returns its processor time a poll.
func (b *bench) idleDaemon(ctx context.Context, root string, s shape, out *section) (used series, err error) {
	d, err := b.freshDaemon(ctx, root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	// The time stamps of directories are trusted when they are 2 s old.
	if err := errors.Join(d.watched(ctx, s.repos+1), wait.For(ctx, max(b.scale.interval+3*time.Second, d.untilSlim()))); err != nil {
		return nil, err
	}
	fmt.Fprintf(b.note, "   %d polls of progressd\n", b.scale.polls)
	if used, err = d.windows(ctx, b.scale.polls, b.scale.interval); err != nil {
		return nil, err
	}
	mem, err := d.memory()
	if err != nil {
		return nil, err
	}
	b.perRepo = append(b.perRepo, point{float64(s.repos), mem.resident})
	out.add("processor time a poll", us, seconds, used, "")
	out.add("share of a core, one poll in 5 s", us, percent, used.scaled(1/usualInterval.Seconds()), "below 0.1%, at 1000")
	out.add("resident memory", us, megabytes, series{mem.resident}, "below 12 MB")
	out.add("of it not program text", us, megabytes, series{mem.own}, "")
	out.add("peak memory", us, megabytes, series{mem.peak}, "below 16 MB")
	out.add("inotify watches", us, count, series{float64(d.watches())}, "")
	if t, ok := d.syscalls(ctx, perfPolls*b.scale.interval); ok {
		out.add("system calls a poll", us, count, series{t.all / perfPolls}, "")
		out.add("of them stats, for each repository", us, digits, series{t.stats / perfPolls / float64(s.repos)}, "at most 1")
	}
	return used, nil
}

// idleWalker adds the rows of one that walks.
func (b *bench) idleWalker(out *section, who string, c walkCost, rest time.Duration) {
	if len(c.cpu) == 0 {
		return
	}
	out.add("processor time a walk", who, seconds, c.cpu, "")
	share := make(series, len(c.cpu))
	for i := range share {
		share[i] = c.cpu[i] / (c.wall[i] + max(rest, usualInterval).Seconds())
	}
	out.add("share of a core, 5 s between walks", who, percent, share, "")
	out.add("duration of a walk", who, seconds, c.wall, "")
	out.add("peak memory", who, megabytes, series{c.mem.peak}, "")
}

func (b *bench) idlePlain(ctx context.Context, root string, out *section) (err error) {
	p, _, err := b.plainAt(ctx, root)
	if err != nil {
		out.explain("The plain watcher could not watch this cache: %v.", err)
		return nil
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := wait.For(ctx, time.Second); err != nil {
		return err
	}
	used, err := p.windows(ctx, b.scale.walks, b.scale.interval)
	if err != nil {
		return err
	}
	mem, err := p.memory()
	if err != nil {
		return err
	}
	out.add("processor time in one interval (it never polls)", plain, seconds, used, "")
	out.add("resident memory", plain, megabytes, series{mem.resident}, "")
	out.add("inotify watches", plain, count, series{float64(p.watches())}, "")
	return nil
}
