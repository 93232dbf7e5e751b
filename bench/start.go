package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"progressd/internal/wait"
)

// start measures the start over a large cache: for the first time, and
// again with what was remembered.
func (b *bench) start(ctx context.Context) error {
	root, err := b.tree(ctx, b.scale.large)
	if err != nil {
		return err
	}
	out := b.report.section(fmt.Sprintf("Start: %v", b.scale.large))
	var first, again starts
	for range b.scale.starts {
		at, err := b.newPlace("", root)
		if err != nil {
			return err
		}
		if err := b.startOnce(ctx, at, &first); err != nil {
			return err
		}
		if err := b.startOnce(ctx, at, &again); err != nil {
			return err
		}
	}
	out.explain("All is watched when progressd has a watch on each repository, the plain watcher on each directory.")
	first.add(out, "first time")
	again.add(out, "again")
	out.explain("How long the original way and du take for their first answer, idle10000 tells: a walk.")
	p, ready, err := b.plainAt(ctx, root)
	if err != nil {
		out.explain("The plain watcher could not watch this cache: %v.", err)
		return nil
	}
	out.add("all watched", plain, seconds, series{ready.Seconds()}, "")
	return p.stop()
}

// starts is what several starts took.
type starts struct{ ready, watched, cpu, peak, resident series }

func (s *starts) add(out *section, when string) {
	out.add("READY, "+when, us, seconds, s.ready, "below 1 s")
	out.add("all looked at and watched, "+when, us, seconds, s.watched, "")
	out.add("processor time for that, "+when, us, seconds, s.cpu, "")
	out.add("peak memory, "+when, us, megabytes, s.peak, "below 16 MB")
	out.add("resident memory after it, "+when, us, megabytes, s.resident, "below 12 MB")
}

func (b *bench) startOnce(ctx context.Context, at place, s *starts) (err error) {
	d, err := b.daemonAt(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.watched(ctx, b.scale.large.repos+1); err != nil {
		return err
	}
	watched := time.Since(d.launched)
	used, err := d.cpu()
	if err != nil {
		return err
	}
	if err := wait.For(ctx, 2*time.Second); err != nil {
		return err
	}
	mem, err := d.memory()
	s.ready, s.watched = append(s.ready, d.ready.Seconds()), append(s.watched, watched.Seconds())
	s.cpu = append(s.cpu, used.Seconds())
	s.peak, s.resident = append(s.peak, mem.peak), append(s.resident, mem.resident)
	return err
}

// million measures a download in a repository that has an enormous number of
// finished blobs: one that begins under our eyes, and one that is under way
// when progressd starts.
func (b *bench) million(ctx context.Context) error {
	others := b.scale.large.repos
	root, err := b.large(ctx, b.scale.million, others)
	if err != nil {
		return err
	}
	out := b.report.section(fmt.Sprintf("A download in a repository of %d blobs, among %d others", b.scale.million, others))
	out.explain("It begins as soon as progressd has looked at everything and rests, or 1 MiB of it is there before progressd starts, and it grows.")
	partial := filepath.Join(root, largeFolder, "blobs", etag(others+1, 0)+".0a1b2c3d.incomplete")
	var seen, stirred, met meeting
	for range b.scale.millions {
		if err := b.beginsLater(ctx, root, partial, aged, &seen); err != nil {
			return err
		}
		if err := b.beginsLater(ctx, root, partial, 0, &stirred); err != nil {
			return err
		}
		if err := b.underWay(ctx, root, partial, &met); err != nil {
			return err
		}
	}
	out.add("READY", us, seconds, slices.Concat(seen.ready, stirred.ready, met.ready), "below 1 s")
	out.add("first line of a download that begins", us, seconds, seen.line, "below 2 s")
	out.add("processor time until then", us, seconds, seen.cpu, "")
	out.add("peak memory", us, megabytes, seen.peak, "below 16 MB")
	out.add("first line of one that begins, blobs/ changed just before the start", us, seconds, stirred.line, "below 2 s")
	out.add("processor time until then", us, seconds, stirred.cpu, "")
	out.add("first line after the start of progressd, download under way", us, seconds, met.line, "below 2 s")
	out.add("processor time until then", us, seconds, met.cpu, "")
	out.add("peak memory", us, megabytes, met.peak, "below 16 MB")
	return nil
}

// meeting is how progressd comes to know of a download.
type meeting struct{ ready, line, cpu, peak series }

const largeLog = "org--large@dataset.log"

// aged is when a directory's time stamp is trusted. A younger one is looked at
// once more, after a rest.
const aged = 3 * time.Second

// beginsLater starts progressd when blobs/ has been unchanged for so long, and
// begins a download when it rests.
func (b *bench) beginsLater(ctx context.Context, root, partial string, unchanged time.Duration, m *meeting) (err error) {
	if err := wait.For(ctx, unchanged); err != nil {
		return err
	}
	d, err := b.freshDaemon(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := errors.Join(d.watched(ctx, b.scale.large.repos+2), d.settle(ctx)); err != nil {
		return err
	}
	lines, err := follow(d.logs)
	if err != nil {
		return err
	}
	defer lines.close()
	before, err := d.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := put(partial, 1<<20); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(partial)) }()
	return m.wait(ctx, d, lines, began, before)
}

func (b *bench) underWay(ctx context.Context, root, partial string, m *meeting) (err error) {
	if err := put(partial, 1<<20); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(partial)) }()
	at, err := b.newPlace("", root)
	if err != nil {
		return err
	}
	lines, err := follow(at.logs)
	if err != nil {
		return err
	}
	defer lines.close()
	// Nobody holds a lock: only that it grows shows that it is alive.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go grow(ctx, partial)
	d, err := b.daemonAt(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	return m.wait(ctx, d, lines, d.launched, 0)
}

// grow appends to a file until ctx is done.
func grow(ctx context.Context, path string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	for wait.For(ctx, 100*time.Millisecond) == nil {
		if _, err := f.Write(make([]byte, 1<<16)); err != nil {
			return
		}
	}
}

func (m *meeting) wait(ctx context.Context, d *daemon, lines *tail, began time.Time, before time.Duration) error {
	at, err := lines.await(ctx, largeLog, 0, "Preparing to download")
	if err != nil {
		return err
	}
	used, err := d.cpu()
	if err != nil {
		return err
	}
	// It works on: its peak may be still to come.
	if err := wait.For(ctx, 3*time.Second); err != nil {
		return err
	}
	mem, err := d.memory()
	m.ready, m.line = append(m.ready, d.ready.Seconds()), append(m.line, at.Sub(began).Seconds())
	m.cpu, m.peak = append(m.cpu, (used-before).Seconds()), append(m.peak, mem.peak)
	return err
}

// put makes a file of so many bytes.
func put(path string, size int) error {
	return os.WriteFile(path, make([]byte, size), 0o644)
}
