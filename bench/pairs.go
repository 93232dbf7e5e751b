package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/wait"
)

const (
	// overFile is how large each of the files is that are written over and
	// over, overTime about how long a stint of that takes.
	overFile = 64 << 20
	overTime = 200 * time.Millisecond
	// overWindow is over what the watcher's share is measured.
	overWindow = 5 * time.Second
)

// pairs measures what the watched writer loses, so finely that there is a
// verdict: what is written over takes no new memory, of which the price differs
// from time to time, and each stint is held against one right beside it in which
// the watcher is stopped. The two are of different files; so that those don't
// tell, a pair counts together with one in which they have changed places.
func (b *bench) pairs(ctx context.Context, out *section, chunk int) (err error) {
	dir, err := os.MkdirTemp(b.fastDir(), "progressd-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	roots := [2]string{filepath.Join(dir, "one"), filepath.Join(dir, "other")}
	if err := errors.Join(os.Mkdir(roots[0], 0o755), os.Mkdir(roots[1], 0o755)); err != nil {
		return err
	}
	w, err := b.slimAfterwriter(ctx, roots, chunk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	var sides [2]series
	var share series
	for block := range 2 * b.scale.blocks {
		ratios, used, err := b.block(ctx, w, roots, block%2)
		if err != nil {
			return err
		}
		sides[block%2], share = append(sides[block%2], ratios...), append(share, used...)
	}
	both := make(series, len(sides[0]))
	for i := range both {
		both[i] = math.Sqrt(sides[0][i] * sides[1][i])
	}
	out.interval(fmt.Sprintf("writer's time / unwatched, files written over: median of %d pairs and where it lies by 95%%", 2*len(both)),
		us, factor, both, "at most 1.01")
	out.add("share of a core while files are written over", us, percent, share, "below 0.1%")
	return nil
}

// block measures pairs of which one and the same root is watched.
func (b *bench) block(ctx context.Context, w *overwriter, roots [2]string, watched int) (ratios, share series, err error) {
	d, err := b.freshDaemon(ctx, roots[watched])
	if err != nil {
		return nil, nil, err
	}
	signal := func(s syscall.Signal) { err = errors.Join(err, d.cmd.Process.Signal(s)) }
	defer func() {
		signal(syscall.SIGCONT)
		err = errors.Join(err, d.stop())
	}()
	if err := wait.For(ctx, time.Second); err != nil {
		return nil, nil, err
	}
	for pair := range b.scale.pairs {
		var took [2]float64 // by whether it is watched
		for turn := range 2 {
			seen := (pair + turn) % 2
			signal([...]syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT}[seen])
			which := watched
			if seen == 0 {
				which = 1 - watched
			}
			if took[seen], err = w.stint(ctx, which, w.passes); err != nil {
				return nil, nil, err
			}
		}
		ratios = append(ratios, took[1]/took[0])
	}
	signal(syscall.SIGCONT)
	if _, err := w.stint(ctx, watched, w.stintsIn(d.untilSlim())); err != nil {
		return nil, nil, err
	}
	before, err := d.cpu()
	if err != nil {
		return nil, nil, err
	}
	wall, err := w.stint(ctx, watched, w.stintsIn(overWindow))
	if err != nil {
		return nil, nil, err
	}
	after, err := d.cpu()
	return ratios, series{(after - before).Seconds() / wall}, err
}

// An overwriter is a process that holds downloads in two roots, and writes
// the files of one of them over when it is told to.
type overwriter struct {
	*process
	in io.WriteCloser
	// passes over all files make a stint.
	passes int
}

func (b *bench) slimAfterwriter(ctx context.Context, roots [2]string, chunk int) (*overwriter, error) {
	cmd := exec.Command(b.self, "overwriter", roots[0], roots[1], strconv.Itoa(chunk))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	w := &overwriter{in: in}
	if w.process, err = launch(cmd); err != nil {
		return nil, err
	}
	var once float64
	for range 3 { // the first ones warm up
		if once, err = w.stint(ctx, 0, 1); err != nil {
			return nil, errors.Join(err, w.stop())
		}
	}
	w.passes = max(1, int(overTime.Seconds()/once))
	return w, nil
}

// stintsIn gives how many passes take about so long, at least one stint.
func (w *overwriter) stintsIn(d time.Duration) int { return w.passes * max(1, int(d/overTime)) }

// stint has the files of one root written over so many times, and gives how
// long that took in seconds.
func (w *overwriter) stint(ctx context.Context, which, passes int) (float64, error) {
	if _, err := fmt.Fprintln(w.in, which, passes); err != nil {
		return 0, fmt.Errorf("cannot ask the writer: %w", err)
	}
	line, err := w.line(ctx)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(line, 64)
}

// overwrite is that process: for each line on its standard input, the number of
// a root and how often to write over its files, it prints how long that took.
func overwrite(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: overwriter ROOT ROOT CHUNK")
	}
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	chunk := make([]byte, size)
	var files [2][]*os.File
	for i := range files {
		if files[i], err = partials(args[i], i, chunk); err != nil {
			return err
		}
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var which, passes int
		if _, err := fmt.Sscan(lines.Text(), &which, &passes); err != nil {
			return fmt.Errorf("cannot read what to do: %w", err)
		}
		began := time.Now()
		var group errgroup.Group
		for _, f := range files[which] {
			group.Go(func() error { return writeOver(f, chunk, passes) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		fmt.Println(time.Since(began).Seconds())
	}
	return nil
}

// partials begins a download of which no file ever comes to its end.
func partials(root string, number int, chunk []byte) ([]*os.File, error) {
	d, err := newDownload(root, "org/over", snapshots[0], number, busyFiles, overFile)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, in := range d.files {
		if err := errors.Join(in.takeLock(), in.create(), in.fill(chunk), in.file.Truncate(overFile-1)); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(in.file.Name(), os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func writeOver(f *os.File, chunk []byte, passes int) error {
	for range passes {
		for at := int64(0); at < overFile-1; at += int64(len(chunk)) {
			if _, err := f.WriteAt(chunk[:min(int64(len(chunk)), overFile-1-at)], at); err != nil {
				return err
			}
		}
	}
	return nil
}

// interval adds the median of what was measured and the bounds between which
// that of ever so many measurements lies by 95%.
func (s *section) interval(what, who string, u unit, values series, reach string) {
	low, high := values.medianWithin()
	s.rows = append(s.rows, row{what: what, who: who, unit: u, values: series{low, values.median(), high}, reach: reach, ratio: true})
}

// medianWithin gives those bounds: how many values of n lie below the true
// median is as the heads of n coins, whatever the values are like.
func (s series) medianWithin() (low, high float64) {
	n := len(s)
	if n == 0 {
		return math.NaN(), math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at, exactly, atMost := 0, math.Pow(0.5, float64(n)), 0.0 // of so many heads
	for heads := range n / 2 {
		if atMost += exactly; atMost > 0.025 {
			break
		}
		at = heads
		exactly *= float64(n-heads) / float64(heads+1)
	}
	return sorted[at], sorted[n-1-at]
}
