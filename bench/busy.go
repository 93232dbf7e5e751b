package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"progressd/internal/wait"
)

// busyFiles is how many files are written at once.
const busyFiles = 8

// nobody is who watches while the writer's own speed is measured.
const nobody = "nobody"

// busy measures how much a writer at full speed loses to those who watch it.
// In each round it writes once unwatched and once for each watcher, in another
// order than before; ratios are within a round.
func (b *bench) busy(ctx context.Context) (err error) {
	root, err := os.MkdirTemp(b.fastDir(), "progressd-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	b.fit(root)
	for _, chunk := range []int{64 << 10, 10 << 20} {
		if err := b.busyWith(ctx, root, chunk); err != nil {
			return err
		}
	}
	return nil
}

// fit makes the files so small that all of them fill no more than half of what
// is free: on tmpfs that is memory.
func (b *bench) fit(root string) {
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		return // the writer will say what is wrong
	}
	const round = 16 << 20
	free := int64(st.Bavail) * st.Bsize
	b.scale.busyFile = max(min(b.scale.busyFile, free/2/busyFiles/round*round), round)
}

// stints is what rounds have shown of one who watches.
type stints struct{ wall, cpu, watcher, share, resident series }

func (b *bench) busyWith(ctx context.Context, root string, chunk int) error {
	out := b.report.section(fmt.Sprintf("Busy: %d files of %d MiB at once, writes of %d KiB",
		busyFiles, b.scale.busyFile>>20, chunk>>10))
	who := []string{nobody, us, plain}
	all := map[string]*stints{nobody: {}, us: {}, plain: {}}
	var slowed, cost, slowedPlain, costPlain series
	for round := -1; round < b.scale.rounds; round++ {
		this := make(map[string]*stints)
		for i := range who {
			name := who[(i+round+len(who))%len(who)]
			this[name] = all[name]
			if round < 0 { // the first round warms up
				this[name] = &stints{}
			}
			if err := b.stint(ctx, root, name, chunk, this[name]); err != nil {
				return fmt.Errorf("%s watching: %w", name, err)
			}
		}
		if round < 0 {
			continue
		}
		last := func(s series) float64 { return s[len(s)-1] }
		alone := all[nobody]
		slowed = append(slowed, last(all[us].wall)/last(alone.wall))
		cost = append(cost, last(all[us].cpu)/last(alone.cpu))
		slowedPlain = append(slowedPlain, last(all[plain].wall)/last(alone.wall))
		costPlain = append(costPlain, last(all[plain].cpu)/last(alone.cpu))
	}
	out.add("writer's time", nobody+" watching", seconds, all[nobody].wall, "")
	out.add("writer's time / unwatched, same round", us, factor, slowed, "")
	out.add("writer's time / unwatched, same round", plain, factor, slowedPlain, "")
	out.add("writer's processor time / unwatched", us, factor, cost, "")
	out.add("writer's processor time / unwatched", plain, factor, costPlain, "")
	out.add("watcher's processor time for the whole", us, seconds, all[us].watcher, "")
	out.add("watcher's processor time for the whole", plain, seconds, all[plain].watcher, "")
	out.add("share of a core while it writes, from beginning to end", us, percent, all[us].share, "")
	out.add("share of a core while it writes, from beginning to end", plain, percent, all[plain].share, "")
	out.add("resident memory", us, megabytes, all[us].resident, "below 20 MB")
	out.add("resident memory", plain, megabytes, all[plain].resident, "")
	return b.pairs(ctx, out, chunk)
}

// stint lets the writer write once, with that watcher.
func (b *bench) stint(ctx context.Context, root, who string, chunk int, into *stints) (err error) {
	watcher, err := b.busyWatcher(ctx, root, who)
	if err != nil {
		return err
	}
	if watcher != nil {
		defer func() { err = errors.Join(err, watcher.stop()) }()
		if err := wait.For(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	w, err := b.write(ctx, root, watcher, chunk)
	if err != nil {
		return err
	}
	into.wall, into.cpu = append(into.wall, w.Wall), append(into.cpu, w.CPU)
	if watcher == nil {
		return nil
	}
	into.watcher, into.share = append(into.watcher, w.watcher), append(into.share, w.watcher/w.Wall)
	mem, err := watcher.memory()
	into.resident = append(into.resident, mem.resident)
	return err
}

func (b *bench) busyWatcher(ctx context.Context, root, who string) (*process, error) {
	switch who {
	case us:
		d, err := b.freshDaemon(ctx, root)
		if err != nil {
			return nil, err
		}
		return d.process, nil
	case plain:
		p, _, err := b.plainAt(ctx, root)
		return p, err
	default:
		return nil, nil
	}
}

// written is what the writer says of itself, in seconds.
type written struct {
	Wall, CPU float64
	watcher   float64
}

// write runs the writer and takes away what it wrote.
func (b *bench) write(ctx context.Context, root string, watcher *process, chunk int) (w written, err error) {
	b.daemons++ // a repository of its own each time
	repo := fmt.Sprintf("org/busy-%06d", b.daemons)
	p, err := launch(exec.Command(b.self, "writer", root, repo, strconv.Itoa(b.daemons),
		strconv.Itoa(chunk), strconv.FormatInt(b.scale.busyFile, 10)))
	if err != nil {
		return w, err
	}
	var before, after time.Duration
	if watcher != nil {
		if before, err = watcher.cpu(); err != nil {
			return w, err
		}
	}
	line, err := p.line(ctx)
	if err != nil {
		return w, err
	}
	if watcher != nil {
		if after, err = watcher.cpu(); err != nil {
			return w, err
		}
	}
	<-p.exited
	w.watcher = (after - before).Seconds()
	return w, errors.Join(json.Unmarshal([]byte(line), &w), empty(root))
}

// empty removes all repositories and locks, but not the root.
func empty(root string) error {
	entries, err := os.ReadDir(root)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(root+"/"+e.Name()))
	}
	return err
}

// writer is the process that writes: it prints how long that took.
func writer(args []string) error {
	if len(args) != 5 {
		return errors.New("usage: writer ROOT REPO NUMBER CHUNK SIZE")
	}
	var n [3]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(args[2+i], 10, 64); err != nil {
			return err
		}
	}
	d, err := newDownload(args[0], args[1], snapshots[0], int(n[0]), busyFiles, n[2])
	if err != nil {
		return err
	}
	chunk := make([]byte, n[1])
	for i := range chunk {
		chunk[i] = byte(i)
	}
	began := time.Now()
	var group errgroup.Group
	for _, in := range d.files {
		group.Go(func() error {
			return errors.Join(in.takeLock(), in.create(), in.fill(chunk), in.finish(), in.link(), in.unlock())
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	w := written{Wall: time.Since(began).Seconds()}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		return err
	}
	w.CPU = time.Duration(ts.Nano()).Seconds()
	return json.NewEncoder(os.Stdout).Encode(w)
}
