package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"progressd/internal/wait"
)

// swarm is a download of very many small files: how many, in how many
// directories, how many of them come while progressd is measured, and how many
// a second.
type swarm struct{ files, folders, live, rate int }

const (
	// swarmWindow is the time over which a share of a core is measured.
	swarmWindow = 5 * time.Second
	// swarmSize is the size of each file, in bytes.
	swarmSize = 1000
	// swarmPatience is how long the last line is waited for: who looks at that many
	// files rests for long.
	swarmPatience = 5 * time.Minute
)

// A swarmKind is one way of bringing them.
type swarmKind struct {
	name          string
	local, listed bool
	// killed: it never comes to its end.
	killed bool
}

func swarmKinds() []swarmKind {
	return []swarmKind{
		{name: "--local-dir without a listing", local: true},
		{name: "cache with a listing", listed: true},
		{name: "cache without a listing"},
		{name: "--local-dir with a listing", local: true, listed: true},
		{name: "--local-dir without a listing, killed", local: true, killed: true},
		{name: "cache without a listing, killed", killed: true},
	}
}

// swarm measures downloads of very many small files: progressd is started when
// most of them are there, again in the middle of the rest, and has to get the
// numbers and the verdict right.
func (b *bench) swarm(ctx context.Context) error {
	s := b.scale.swarm
	out := b.report.section(fmt.Sprintf("%d small files in %d directories", s.files, s.folders))
	out.explain("progressd starts when all but the last %d are there, and starts anew in the middle of those, which come at %d a second.", s.live, s.rate)
	for _, k := range swarmKinds() {
		fmt.Fprintf(b.note, "   %s\n", k.name)
		if err := b.swarmOf(ctx, k, out); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

func (b *bench) swarmOf(ctx context.Context, k swarmKind, out *section) (err error) {
	root, err := os.MkdirTemp(b.fastDir(), "progressd-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	at, err := b.newPlace("", root)
	if err != nil {
		return err
	}
	lines, err := follow(at.logs)
	if err != nil {
		return err
	}
	defer lines.close()
	client, err := b.startSwarm(ctx, root, k)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.stop()) }()
	m := &swarmMeasure{bench: b, at: at, client: client, out: out, kind: k}
	if err := m.half(ctx, "at first sight"); err != nil {
		return err
	}
	if err := m.half(ctx, "after a restart"); err != nil {
		return err
	}
	return m.verdict(ctx, lines)
}

// startSwarm starts the client, and waits until most files are there.
func (b *bench) startSwarm(ctx context.Context, root string, k swarmKind) (*process, error) {
	s := b.scale.swarm
	client, err := launch(exec.Command(b.self, "bringer", root, strconv.FormatBool(k.local), strconv.FormatBool(k.listed),
		strconv.Itoa(s.files), strconv.Itoa(s.folders), strconv.Itoa(s.live), strconv.Itoa(s.rate)))
	if err != nil {
		return nil, err
	}
	if _, err := client.line(ctx); err != nil {
		return nil, errors.Join(err, client.stop())
	}
	return client, nil
}

// A swarmMeasure follows one download.
type swarmMeasure struct {
	*bench
	at     place
	client *process
	out    *section
	kind   swarmKind
	daemon *daemon
	peak   float64
}

// half lets the first or the second half of the rest come.
func (m *swarmMeasure) half(ctx context.Context, when string) error {
	d, err := m.daemonAt(ctx, m.at)
	if err != nil {
		return err
	}
	m.daemon = d
	if err := errors.Join(d.settle(ctx), wait.For(ctx, d.untilSlim())); err != nil {
		return errors.Join(err, d.stop())
	}
	first, err := d.cpu()
	if err != nil {
		return errors.Join(err, d.stop())
	}
	m.out.add("processor time of the first looks, "+when, m.kind.name, seconds, series{first.Seconds()}, "")
	if err := m.come(ctx, d, when); err != nil {
		return errors.Join(err, d.stop())
	}
	if when == "at first sight" {
		return d.stop()
	}
	return nil
}

// come tells the client to bring a half, and measures meanwhile.
func (m *swarmMeasure) come(ctx context.Context, d *daemon, when string) error {
	if err := m.client.cmd.Process.Signal(goOn); err != nil {
		return err
	}
	s := m.scale.swarm
	n := max(1, s.live/2/s.rate/int(swarmWindow.Seconds()))
	used, err := d.windows(ctx, n, swarmWindow)
	if err != nil {
		return err
	}
	m.out.add("share of a core while they come, "+when, m.kind.name, percent, used.scaled(1/swarmWindow.Seconds()), "below 2%")
	if _, err := m.client.line(ctx); err != nil { // all of the half are there
		return err
	}
	mem, err := d.memory()
	m.peak = max(m.peak, mem.peak)
	m.out.add("peak memory, "+when, m.kind.name, megabytes, series{mem.peak}, "below 64 MB")
	return err
}

// verdict lets the client end, or ends it, and waits for the last line.
func (m *swarmMeasure) verdict(ctx context.Context, lines *tail) (err error) {
	defer func() { err = errors.Join(err, m.daemon.stop()) }()
	want, signal := "downloaded successfully", goOn
	logs, err := filepath.Glob(filepath.Join(m.at.logs, "*.log"))
	if err != nil || len(logs) != 1 {
		return fmt.Errorf("there is not one log: %q", logs)
	}
	log := filepath.Base(logs[0])
	switch {
	case m.kind.killed:
		want, signal = "interrupted", syscall.SIGKILL
	case m.kind.local && !m.kind.listed: // nothing says that small files alone are all
		want = "Download ended"
	}
	if err := m.client.cmd.Process.Signal(signal); err != nil {
		return err
	}
	ended := time.Now()
	at, err := lines.within(ctx, swarmPatience, log, 0, want)
	all, _ := lines.lines(log)
	said := texts(all)
	for _, text := range said {
		fmt.Fprintf(m.note, "      %s\n", text)
	}
	if err != nil {
		return err
	}
	m.out.add("verdict after the client's end", m.kind.name, seconds, series{at.Sub(ended).Seconds()}, "")
	m.out.explain("%s: %q", m.kind.name, said[max(0, len(said)-2):])
	return nil
}
