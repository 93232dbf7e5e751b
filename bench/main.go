// Command bench measures progressd against other ways of following a cache, on
// this machine and in the same run: the original way (a walk by Python's
// rglob), du, and a plain recursive watcher. What it prints is Markdown; a
// full run also writes it to bench/results.md.
//
// A run on a machine that does other things as well measures those things.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `Usage: go run ./bench [--quick] [--only NAME,...] [--latencies N] [--dir DIR] [--out FILE] [--progressd BIN]

Measures progressd against its peers and prints a table in Markdown.

  --quick        small trees and few repetitions: some 3 minutes, for orientation only
  --only NAMES   only these workloads, comma-separated: %s
  --latencies N  repositories of the latency workload, each downloaded twice (else 500, quick 8)
  --dir DIR      where the trees are built, and kept for the next run (else a temporary directory, removed)
  --out FILE     where the tables are written, with plots beside it (else bench/results.md for a full run, nowhere for others)
  --progressd BIN  the binary to measure, progressctl beside it (else bin/progressd)

A full run takes about an hour, and 20 minutes more where the trees have to be built first, 10 GB of disk and 8 GB of
memory (tmpfs).
`

// A workload measures one thing and adds its rows to the report.
type workload struct {
	name string
	// alone: it needs no progressd that runs.
	alone bool
	// of gives the measurement for a bench.
	of func(*bench) func(context.Context) error
}

func workloads() []workload {
	type measure = func(context.Context) error
	return []workload{
		{name: "idle1000", of: func(b *bench) measure { return b.idleSmall }},
		{name: "idle10000", of: func(b *bench) measure { return b.idleLarge }},
		{name: "roots", of: func(b *bench) measure { return b.roots }},
		{name: "start", of: func(b *bench) measure { return b.start }},
		{name: "million", of: func(b *bench) measure { return b.million }},
		{name: "busy", of: func(b *bench) measure { return b.busy }},
		{name: "scale", of: func(b *bench) measure { return b.many }},
		{name: "files", of: func(b *bench) measure { return b.swarm }},
		{name: "steady", of: func(b *bench) measure { return b.steady }},
		{name: "watched", of: func(b *bench) measure { return b.watched }},
		{name: "latency", of: func(b *bench) measure { return b.latency }},
		{name: "strangers", of: func(b *bench) measure { return b.strangers }},
		{name: "exec", of: func(b *bench) measure { return b.exec }},
		{name: "estimator", alone: true, of: func(b *bench) measure { return b.estimator }},
	}
}

// A bench is one run.
type bench struct {
	progressd string
	python    string
	self      string
	dir       string // where the trees are built
	work      string // configuration, state and logs; removed at the end
	scale     scale
	report    *report
	note      io.Writer // what is being done
	daemons   int
	// perRepo collects repositories and resident bytes, for the slope.
	perRepo []point
}

type point struct{ repos, bytes float64 }

// A scale says how much is done.
type scale struct {
	small, large      shape
	interval          time.Duration // between two polls, of everyone
	polls             int           // measured, of progressd and the watcher
	walks             int           // measured, of the original way and du
	largeWalks        int           // likewise, of the large shape
	starts            int
	million, millions int // blobs of the one large repository, repetitions
	rounds            int // of the busy workload
	swarm             swarm
	busyFile          int64
	blocks, pairs     int // of its fine part: blocks for each root, pairs in each
	windows           int // of 5 s, of the steady workload
	latencies         int
	prints            int // of the exec workload
	traces            int // of each kind, of the estimator workload, with seeds from 0
	// numbers of repositories and of downloads, and polls measured, of the
	// scale workload
	atRest, atOnce []int
	roots          int // of the workload of that name
	restPolls      int
	// downloads under way while others look on, and verdicts told to those
	watchedAtOnce, watchedVerdicts int
	strangers                      int // repositories of the user who is disturbed
}

func fullScale() scale {
	return scale{
		small: shape{repos: 1000, files: 40}, large: shape{repos: 10_000, files: 40},
		interval: usualInterval, polls: 12, walks: 5, largeWalks: 1, starts: 5,
		million: 1_000_000, millions: 3, rounds: 7, busyFile: 512 << 20, blocks: 3, pairs: 24, windows: 6, latencies: 500, prints: 15, traces: 8,
		atRest: []int{10, 100, 1000, 10_000, 100_000}, atOnce: []int{1, 10, 100, 1000}, restPolls: 4, roots: 200,
		swarm:         swarm{files: 300_000, folders: 20_000, live: 24_000, rate: 200},
		watchedAtOnce: 100, watchedVerdicts: 200, strangers: 120,
	}
}

func quickScale() scale {
	return scale{
		small: shape{repos: 1000, files: 10}, large: shape{repos: 5_000, files: 1},
		interval: time.Second, polls: 3, walks: 2, largeWalks: 1, starts: 2,
		million: 50_000, millions: 1, rounds: 3, busyFile: 256 << 20, blocks: 1, pairs: 8, windows: 1, latencies: 8, prints: 5, traces: 2,
		atRest: []int{10, 100, 1000}, atOnce: []int{1, 10}, restPolls: 3, roots: 200,
		swarm:         swarm{files: 20_000, folders: 1500, live: 4000, rate: 200},
		watchedAtOnce: 100, watchedVerdicts: 50, strangers: 12,
	}
}

type options struct {
	quick, help               bool
	only, dir, out, progressd string
	latencies                 int
	selected                  []workload
}

func main() {
	if len(os.Args) > 1 {
		if part := parts[os.Args[1]]; part != nil {
			os.Exit(exitStatus(part(os.Args[2:])))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(exitStatus(run(ctx, os.Args[1:], os.Stdout, os.Stderr)))
}

// parts are the processes that bench starts itself as.
var parts = map[string]func(args []string) error{
	"plain-watcher": plainWatcher,
	"writer":        writer,
	"bringer":       bring,
	"overwriter":    overwrite,
	strangerPart:    stranger,
}

func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.quick, "quick", false, "")
	flags.StringVar(&o.only, "only", "", "")
	flags.StringVar(&o.dir, "dir", "", "")
	flags.StringVar(&o.out, "out", "", "")
	flags.StringVar(&o.progressd, "progressd", "bin/progressd", "")
	flags.IntVar(&o.latencies, "latencies", 0, "")
	flags.BoolVar(&o.help, "help", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.latencies < 0 {
		return o, fmt.Errorf("--latencies %d: it must be above 0", o.latencies)
	}
	var err error
	o.selected, err = choose(o.only)
	if o.out == "" && o.only == "" && !o.quick {
		o.out = filepath.Join("bench", "results.md")
	}
	return o, err
}

// command is how to ask for the same again. Where the binary and the trees lie
// is this machine's affair.
func (o options) command() string {
	words := []string{"go run ./bench"}
	if o.quick {
		words = append(words, "--quick")
	}
	if o.only != "" {
		words = append(words, "--only", o.only)
	}
	if o.latencies > 0 {
		words = append(words, "--latencies", strconv.Itoa(o.latencies))
	}
	return strings.Join(words, " ")
}

// choose gives the workloads of those names, in their own order.
func choose(only string) ([]workload, error) {
	all := workloads()
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		if !slices.ContainsFunc(all, func(w workload) bool { return w.name == name }) {
			return nil, fmt.Errorf("--only %q: there is no such workload; there are %s", name, allNames())
		}
	}
	return slices.DeleteFunc(all, func(w workload) bool { return !slices.Contains(names, w.name) }), nil
}

func allNames() string {
	var names []string
	for _, w := range workloads() {
		names = append(names, w.name)
	}
	return strings.Join(names, ", ")
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	opts, err := parse(args)
	if err != nil {
		return fmt.Errorf("%w\n\n%s", err, fmt.Sprintf(usage, allNames()))
	}
	if opts.help {
		_, err := fmt.Fprintf(stdout, usage, allNames())
		return err
	}
	if opts.out != "" { // better now than at the end
		if err := os.MkdirAll(filepath.Dir(opts.out), 0o755); err != nil {
			return fmt.Errorf("cannot write the tables: %w", err)
		}
	}
	b, err := newBench(ctx, opts, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(opts)) }()
	b.report.command = opts.command()
	failed := b.measure(ctx, opts.selected)
	b.slope()
	text := b.report.markdown()
	if _, err := io.WriteString(stdout, text); err != nil || opts.out == "" {
		return errors.Join(failed, err)
	}
	for _, p := range b.report.plots {
		failed = errors.Join(failed, p.draw(filepath.Dir(opts.out)))
	}
	return errors.Join(failed, os.WriteFile(opts.out, []byte(text), 0o644))
}

// measure goes through the workloads. One that fails says so in the report,
// and the others go on.
func (b *bench) measure(ctx context.Context, selected []workload) (failed error) {
	for _, w := range selected {
		fmt.Fprintf(b.note, "== %s, %s\n", w.name, time.Now().Format(time.TimeOnly))
		if err := w.of(b)(ctx); err != nil {
			fmt.Fprintf(b.note, "   failed: %v\n", err)
			b.report.section("Not measured: "+w.name).explain("It failed: `%v`. What stands above of it is what came before that.", err)
			failed = errors.Join(failed, fmt.Errorf("cannot measure %s: %w", w.name, err))
		}
		if ctx.Err() != nil {
			return failed
		}
	}
	return failed
}

func newBench(ctx context.Context, opts options, note io.Writer) (*bench, error) {
	b := &bench{dir: opts.dir, note: note, scale: fullScale()}
	if opts.quick {
		b.scale = quickScale()
	}
	if opts.latencies > 0 {
		b.scale.latencies = opts.latencies
	}
	var err error
	if b.progressd, err = filepath.Abs(opts.progressd); err != nil {
		return nil, err
	}
	needed := slices.ContainsFunc(opts.selected, func(w workload) bool { return !w.alone })
	if _, err := os.Stat(b.progressd); err != nil && needed {
		return nil, fmt.Errorf("cannot find what is to be measured: %w; build it by \"make build\"", err)
	}
	if b.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("cannot start parts of the bench: %w", err)
	}
	if b.work, err = os.MkdirTemp("", "progressd-bench-"); err != nil {
		return nil, err
	}
	if b.dir == "" {
		b.dir = filepath.Join(b.work, "trees")
	}
	b.python = findPython(ctx)
	b.report = &report{facts: b.facts(ctx)}
	return b, os.MkdirAll(b.dir, 0o755)
}

func (b *bench) close(opts options) error {
	if opts.dir != "" {
		fmt.Fprintf(b.note, "== the trees are kept in %s\n", opts.dir)
	}
	return os.RemoveAll(b.work)
}
