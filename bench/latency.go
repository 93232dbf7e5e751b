package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/wait"
)

// parallel is how many downloads of the latency workload run at once.
const parallel = 24

// latency measures how long after a client's system call the line that tells
// of it can be read in the log file.
func (b *bench) latency(ctx context.Context) (err error) {
	root, err := os.MkdirTemp(b.fastDir(), "progressd-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	at, err := b.newPlace("step = \"1MB\"\n", root)
	if err != nil {
		return err
	}
	all := &latencies{root: root}
	if journalRuns() {
		if err := at.useJournal(); err != nil {
			return err
		}
		if all.journal, err = followJournal(); err != nil {
			return err
		}
		defer all.journal.close()
	}
	d, err := b.daemonAt(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if all.lines, err = follow(d.logs); err != nil {
		return err
	}
	defer all.lines.close()
	before, err := d.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := all.many(ctx, b.scale.latencies, parallel); err != nil {
		return err
	}
	out := b.report.section(fmt.Sprintf("Latency: %d repositories downloaded twice, %d at once, from the system call to the line that can be read", b.scale.latencies, parallel))
	for _, event := range []struct {
		name  string
		times *delays
		reach string
	}{
		{"start, a repository that was not there", &all.fresh, "p99 100 ms"},
		{"start, a repository at rest", &all.known, "p99 100 ms"},
		{"step", &all.step, "p99 1 s"},
		{"completion", &all.done, "p99 1 s"},
	} {
		out.add(event.name+", in the log file", us, seconds, durations(event.times.log), event.reach)
		if all.journal != nil {
			out.add(event.name+", in the journal", us, seconds, durations(event.times.journal), event.reach)
		}
	}
	return b.busyCosts(d, out, time.Since(began), before)
}

// busyCosts adds what progressd took meanwhile.
func (b *bench) busyCosts(d *daemon, out *section, wall, before time.Duration) error {
	used, err := d.cpu()
	if err != nil {
		return err
	}
	mem, err := d.memory()
	out.add("share of a core meanwhile", us, percent, series{(used - before).Seconds() / wall.Seconds()}, "")
	out.add("peak memory", us, megabytes, series{mem.peak}, "below 20 MB")
	return err
}

type latencies struct {
	root           string
	lines, journal *tail // journal is nil where there is none
	// verdictsAlone: a client goes on without waiting for other lines. What it does while
	// no daemon runs is told with what it does then, or not at all.
	verdictsAlone bool

	mu                       sync.Mutex
	fresh, known, step, done delays
}

// delays are of one kind of event, on either way.
type delays struct{ log, journal []time.Duration }

const (
	preparing = "Preparing to download model"
	progress  = "Download progress: "
	completed = "Model downloaded successfully"
)

// many lets so many repositories live, some at once.
func (l *latencies) many(ctx context.Context, repositories, atOnce int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range repositories {
		group.Go(func() error { return l.one(ctx, i) })
	}
	return group.Wait()
}

// one is the life of one repository: two downloads, one after the other.
func (l *latencies) one(ctx context.Context, number int) error {
	for episode, into := range []*delays{&l.fresh, &l.known} {
		if err := l.download(ctx, number, episode, into); err != nil {
			return fmt.Errorf("download %d of repository %d: %w", episode+1, number, err)
		}
		// The repository comes to rest and is watched again.
		if err := wait.For(ctx, 2*time.Second); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(l.root, fmt.Sprintf("models--org--model-%05d", number)))
}

func (l *latencies) download(ctx context.Context, number, episode int, start *delays) error {
	log := fmt.Sprintf("org--model-%05d.log", number)
	d, err := newDownload(l.root, fmt.Sprintf("org/model-%05d", number), snapshots[episode], number, episode+1, 4_000_000)
	if err != nil {
		return err
	}
	in := d.files[episode]
	behind := position{l.lines.count(log), 0}
	if l.journal != nil {
		behind.journal = l.journal.count(log)
	}
	if err := in.takeLock(); err != nil {
		return err
	}
	if err := l.time(ctx, log, behind, preparing, start, in.create); err != nil {
		return err
	}
	half := make([]byte, in.size/2)
	write := func() error { _, err := in.file.Write(half); return err }
	if err := l.time(ctx, log, behind, progress, &l.step, write); err != nil {
		return err
	}
	if err := errors.Join(write(), in.finish()); err != nil {
		return err
	}
	if episode > 0 { // the file of the former revision is linked, not loaded
		if err := d.files[0].link(); err != nil {
			return err
		}
	}
	if err := l.time(ctx, log, behind, completed, &l.done, in.link); err != nil {
		return err
	}
	return in.unlock()
}

// position is how many lines of a repository were there before.
type position struct{ log, journal int }

// time measures one event, at a random moment of the daemon's clockwork.
func (l *latencies) time(ctx context.Context, log string, behind position, text string, into *delays, event func() error) error {
	if err := wait.For(ctx, rand.N(time.Second)); err != nil {
		return err
	}
	began := time.Now()
	if err := event(); err != nil || l.verdictsAlone && text != completed {
		return err
	}
	logged, err := l.lines.await(ctx, log, behind.log, text)
	if err != nil {
		return err
	}
	var noted time.Time
	if l.journal != nil {
		if noted, err = l.journal.await(ctx, log, behind.journal, text); err != nil {
			return fmt.Errorf("in the journal: %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	into.log = append(into.log, logged.Sub(began))
	if l.journal != nil {
		into.journal = append(into.journal, noted.Sub(began))
	}
	return nil
}

// fastDir is on tmpfs, where there is one.
func (b *bench) fastDir() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return b.work
}
