package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"progressd/internal/wait"
	"progressd/sizer"
)

// swarm is a download of very many small files: how many, in how many
// directories, how many of them come slowly, at the end, and how many a second
// then.
type swarm struct{ files, folders, live, rate int }

const (
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

// swarmKinds are all ways; each of them has its daemon started anew in the middle.
func swarmKinds() []swarmKind {
	kinds := []swarmKind{
		{name: "cache with a listing", listed: true},
		{name: "cache without a listing"},
		{name: "--local-dir with a listing", local: true, listed: true},
		{name: "--local-dir without a listing", local: true},
	}
	for _, k := range kinds {
		k.name += ", killed"
		k.killed = true
		kinds = append(kinds, k)
	}
	return kinds
}

// verdict is the line that is true in the end.
func (k swarmKind) verdict(s swarm) string {
	total := int64(s.files) * swarmSize
	whole, reached := sizer.FormatBytes(total), sizer.FormatBytes(total-swarmSize/2)
	switch {
	case k.killed && k.listed:
		return fmt.Sprintf("Download interrupted at %s/%s ~ ", reached, whole)
	case k.killed:
		return fmt.Sprintf("Download interrupted at %s: ", reached)
	case k.local && !k.listed: // nothing says that small files alone are all
		return fmt.Sprintf("Download ended: %s in %d files", whole, s.files)
	default:
		return " downloaded successfully"
	}
}

// swarm measures downloads of very many small files. progressd sees them from
// the first one on, is started anew in the middle of the last ones, and has to
// get the numbers and the verdict right.
func (b *bench) swarm(ctx context.Context) error {
	s := b.scale.swarm
	out := b.report.section(fmt.Sprintf("%d small files in %d directories, a poll every %v", s.files, s.folders, b.scale.interval))
	out.explain("All but the last %d come as fast as can be, those at %d a second, with progressd started anew in the middle of them. "+
		"A way whose lines are not these fails the measurement: one beginning, progress that only grows, one last line, with the right numbers.", s.live, s.rate)
	var failed error
	for _, k := range swarmKinds() {
		fmt.Fprintf(b.note, "   %s, %s\n", k.name, time.Now().Format(time.TimeOnly))
		if err := b.swarmOf(ctx, k, out); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", k.name, err))
		}
	}
	return failed
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
	m := &swarmMeasure{bench: b, at: at, root: root, out: out, kind: k}
	defer func() { err = errors.Join(err, m.stop()) }()
	for _, part := range []func(context.Context) error{m.start, m.most, m.steadily, m.anew} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return m.verdict(ctx, lines)
}

// A swarmMeasure follows one download.
type swarmMeasure struct {
	*bench
	at     place
	root   string
	client *process
	out    *section
	kind   swarmKind
	daemon *daemon
}

func (m *swarmMeasure) stop() error {
	var err error
	if m.client != nil {
		err = m.client.stop()
	}
	if m.daemon != nil {
		err = errors.Join(err, m.daemon.stop())
	}
	return err
}

// start starts progressd, where nothing is yet, and then the client.
func (m *swarmMeasure) start(ctx context.Context) (err error) {
	if m.daemon, err = m.daemonAt(ctx, m.at); err != nil {
		return err
	}
	s := m.scale.swarm
	m.client, err = launch(exec.Command(m.self, "bringer", m.root, strconv.FormatBool(m.kind.local), strconv.FormatBool(m.kind.listed),
		strconv.Itoa(s.files), strconv.Itoa(s.folders), strconv.Itoa(s.live), strconv.Itoa(s.rate)))
	return err
}

// most waits until most files are there, and for progressd to rest.
func (m *swarmMeasure) most(ctx context.Context) error {
	before, err := m.daemon.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := m.client.line(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := m.daemon.cpu()
	if err != nil {
		return err
	}
	s := m.scale.swarm
	m.out.add("files a second, of most", m.kind.name, count, series{float64(s.files-s.live) / took.Seconds()}, "")
	m.out.add("share of a core while most come", m.kind.name, percent, series{(after - before).Seconds() / took.Seconds()}, "")
	return errors.Join(m.daemon.settle(ctx), wait.For(ctx, m.daemon.untilSlim()))
}

// steadily lets the first half of the rest come.
func (m *swarmMeasure) steadily(ctx context.Context) error {
	if err := m.come(ctx, "share of a core while they come"); err != nil {
		return err
	}
	return m.peak("peak memory, from the first file on")
}

// anew starts progressd once more, while the second half comes.
func (m *swarmMeasure) anew(ctx context.Context) error {
	err := m.daemon.stop()
	m.daemon = nil
	if err != nil {
		return err
	}
	if m.daemon, err = m.daemonAt(ctx, m.at); err != nil {
		return err
	}
	if err := m.come(ctx, "share of a core while they come, from a restart on"); err != nil {
		return err
	}
	return m.peak("peak memory, over a restart")
}

// come lets a half come. progressd rests long after a look that took long, so the
// share is that of the whole time.
func (m *swarmMeasure) come(ctx context.Context, what string) error {
	before, err := m.daemon.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := m.goOn(); err != nil {
		return err
	}
	if _, err := m.client.line(ctx); err != nil {
		return err
	}
	after, err := m.daemon.cpu()
	m.out.add(what, m.kind.name, percent, series{(after - before).Seconds() / time.Since(began).Seconds()}, "below 2%")
	return err
}

func (m *swarmMeasure) goOn() error { return m.client.cmd.Process.Signal(goOn) }

func (m *swarmMeasure) peak(what string) error {
	mem, err := m.daemon.memory()
	m.out.add(what, m.kind.name, megabytes, series{mem.peak}, "below 64 MB")
	return err
}

// verdict lets the client end, or ends it, and waits for the last line.
func (m *swarmMeasure) verdict(ctx context.Context, lines *tail) error {
	logs, err := filepath.Glob(filepath.Join(m.at.logs, "*.log"))
	if err != nil || len(logs) != 1 {
		return fmt.Errorf("there is not one log: %q", logs)
	}
	log, signal := filepath.Base(logs[0]), goOn
	if m.kind.killed {
		signal = syscall.SIGKILL
	}
	if err := m.client.cmd.Process.Signal(signal); err != nil {
		return err
	}
	ended := time.Now()
	at, err := lines.within(ctx, swarmPatience, log, 0, m.kind.verdict(m.scale.swarm))
	all, _ := lines.lines(log)
	said := texts(all)
	for _, text := range said {
		fmt.Fprintf(m.note, "      %s\n", text)
	}
	if err != nil {
		return err
	}
	m.out.add("verdict after the client's end", m.kind.name, seconds, series{at.Sub(ended).Seconds()}, "")
	m.out.add("lines that it can't be seen", m.kind.name, count, series{float64(strings.Count(strings.Join(said, "\n"), "can't be seen"))}, "0")
	return errors.Join(m.peak("peak memory, at the verdict"), trueOfSwarm(said))
}

var (
	beginning = regexp.MustCompile(`Preparing to download`)
	verdicts  = regexp.MustCompile(`downloaded successfully|Download ended|interrupted|stalled|removed|began again|differs`)
	gauged    = regexp.MustCompile(`\] (?:Downloaded|Download progress:) ([0-9.]+)([KMG]?)B`)
)

// trueOfSwarm tells what is wrong in the lines of a download that began once,
// grew and came to one end.
func trueOfSwarm(said []string) error {
	var err error
	text := strings.Join(said, "\n")
	if n := len(beginning.FindAllString(text, -1)); n != 1 {
		err = errors.Join(err, fmt.Errorf("it began %d times: %q", n, said))
	}
	if found := verdicts.FindAllString(text, -1); len(found) != 1 {
		err = errors.Join(err, fmt.Errorf("not one verdict, but %q: %q", found, said))
	}
	last := 0.0
	for _, m := range gauged.FindAllStringSubmatch(text, -1) {
		reached, _ := strconv.ParseFloat(m[1], 64)
		reached *= map[string]float64{"": 1, "K": 1e3, "M": 1e6, "G": 1e9}[m[2]]
		if reached < last {
			err = errors.Join(err, fmt.Errorf("progress goes back to %s%sB: %q", m[1], m[2], said))
		}
		last = reached
	}
	return err
}
