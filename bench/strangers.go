package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"progressd/internal/wait"
)

// The users of the strangers workload: the daemon's, one with downloads, and one who does
// what he can to disturb.
const (
	daemonUID   = 61601
	victimUID   = 61602
	strangerUID = 61603
)

const (
	// victims is how many downloads of the one user run at once.
	victims = 12
	// restarts is how often the daemon is then started anew, restartEvery how long it
	// runs before.
	restarts     = 4
	restartEvery = 5 * time.Second
)

// strangers measures how long after their system calls the lines of one user come,
// while another one of the machine does all that has ever harmed the daemon, at once
// and without a pause; against the same undisturbed.
func (b *bench) strangers(ctx context.Context) error {
	if os.Geteuid() != 0 {
		b.report.section("Among strangers").explain("Not measured: only root can be three users.")
		return nil
	}
	calm, err := b.amongStrangers(ctx, "")
	if err != nil {
		return fmt.Errorf("undisturbed: %w", err)
	}
	storm, err := b.amongStrangers(ctx, strangerPart)
	if err != nil {
		return fmt.Errorf("disturbed: %w", err)
	}
	out := b.report.section(fmt.Sprintf("Among strangers: %d repositories of one user downloaded twice, %d at once, while another user does all of these at once", b.scale.strangers, victims))
	out.explain("A listing of 199 000 files under 16 commits, 16 partials, all of it touched each second; models of 64 KB finished as fast as can be; hello, 199 lines, hang up, again; a root and "+
		"`blobs/` exchanged with links to the other user's 300 times a second; 18 300 open downloads of a byte, which go on; a file made and removed in repositories at rest; 60 000 locks. The daemon is started as by its unit: a user of its own with one capability, confined, "+
		"in a group of processes with 512 MiB of memory, half the share of a processor that the disturber has, and at most 512 threads. The journal limits no rates, as in the unit. Each of the %d lines is waited for in both places: one that doesn't come within %v fails the measurement, also one of the %d verdicts of downloads during which the daemon is then started anew.", 6*b.scale.strangers, patience, 4*victims)
	for i, name := range []string{"start, a repository that was not there", "start, a repository at rest", "step", "completion"} {
		for way, where := range []string{"in the log file", "in the journal"} {
			alone, beside := calm.times[i][way], storm.times[i][way]
			out.add(name+", "+where, "undisturbed", seconds, alone, "")
			out.add(name+", "+where, "disturbed", seconds, beside, "p99 "+seconds(alone.quantile(0.99)+1))
		}
	}
	for _, m := range []*amid{calm, storm} {
		out.add("share of a core meanwhile", m.who, percent, series{m.share}, "")
		out.add("peak memory of the group", m.who, megabytes, series{m.peak}, "below 537 MB")
		out.add("lines in the log files of the other one", m.who, whole, series{m.others}, "")
		for way, where := range []string{"in the log file", "in the journal"} {
			out.add(fmt.Sprintf("completion while the daemon is started anew %d times, %s", restarts, where), m.who, seconds, m.through[way], "none missing")
		}
	}
	return nil
}

// amid is what was measured of one daemon.
type amid struct {
	who                 string
	times               [4][2]series // of each event, in log file and journal
	share, peak, others float64
	// through are the verdicts while the daemon was started anew.
	through [2]series
}

// A stage has the caches of two users, and the groups that their processes are in.
type stage struct {
	homes, hub, theirs string
	at                 place
	unit, session      group
}

func (b *bench) newStage() (s *stage, err error) {
	s = &stage{}
	if s.homes, err = os.MkdirTemp(b.fastDir(), "progressd-bench-"); err != nil {
		return nil, err
	}
	s.hub, s.theirs = filepath.Join(s.homes, "victim", "hub"), filepath.Join(s.homes, "stranger")
	err = errors.Join(os.MkdirAll(s.hub, 0o700), os.MkdirAll(filepath.Join(s.theirs, "hub"), 0o755), os.Chmod(s.homes, 0o755), os.Chmod(b.work, 0o755),
		own(victimUID, s.hub, filepath.Dir(s.hub)), own(strangerUID, s.theirs, filepath.Join(s.theirs, "hub")))
	if err != nil {
		return s, err
	}
	if s.at, err = b.newPlace("step = \"1MB\"\n", filepath.Join(s.homes, "*", "hub"), filepath.Join(s.homes, "*", "more", "*", "hub")); err != nil {
		return s, err
	}
	if journalRuns() {
		err = s.at.useJournal()
	}
	if err = errors.Join(err, own(daemonUID, s.at.state, s.at.logs, filepath.Dir(s.at.config))); err != nil {
		return s, err
	}
	if s.unit, err = newGroup("unit", unitShare, unitMemory); err == nil {
		s.session, err = newGroup("session", 2*unitShare, 0)
	}
	return s, err
}

func (s *stage) remove() error {
	return errors.Join(s.unit.remove(), s.session.remove(), os.RemoveAll(s.homes))
}

// amongStrangers measures one daemon, while that part of bench runs as the stranger;
// empty is nobody.
func (b *bench) amongStrangers(ctx context.Context, part string) (m *amid, err error) {
	s, err := b.newStage()
	if s != nil {
		defer func() { err = errors.Join(err, s.remove()) }()
	}
	if err != nil {
		return nil, err
	}
	d, err := b.serviceAt(ctx, s.at, s.unit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	all := &latencies{root: s.hub}
	if journalRuns() {
		if all.journal, err = followJournal(); err != nil {
			return nil, err
		}
		defer all.journal.close()
	}
	if all.lines, err = followSome(d.logs, "org--model-"); err != nil {
		return nil, err
	}
	defer all.lines.close()
	m = &amid{who: "undisturbed"}
	if part != "" {
		m.who = "disturbed"
		other, err := b.stranger(ctx, s.session, part, s.theirs, s.hub, d)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, other.stop()) }()
	}
	if err := m.measure(ctx, b, d, all, s.unit); err != nil {
		return nil, err
	}
	d, err = m.restart(ctx, b, s, d, all)
	return m, err
}

// restart starts the daemon anew, again and again, while downloads go on. The verdict of
// each is waited for. It returns the daemon that runs then.
func (m *amid) restart(ctx context.Context, b *bench, s *stage, d *daemon, all *latencies) (*daemon, error) {
	through := &latencies{root: all.root, lines: all.lines, journal: all.journal, verdictsAlone: true}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return through.many(ctx, 2*victims, victims) })
	for range restarts {
		if err := wait.For(ctx, restartEvery); err != nil {
			return d, errors.Join(err, group.Wait())
		}
		if err := d.stop(); err != nil {
			return d, errors.Join(err, group.Wait())
		}
		next, err := b.serviceAt(ctx, s.at, s.unit)
		if err != nil {
			return d, errors.Join(fmt.Errorf("started anew: %w", err), group.Wait())
		}
		d = next
	}
	err := group.Wait()
	m.through = [2]series{durations(through.done.log), durations(through.done.journal)}
	return d, err
}

func (m *amid) measure(ctx context.Context, b *bench, d *daemon, all *latencies, group group) error {
	before, err := d.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := all.many(ctx, b.scale.strangers, victims); err != nil {
		return err
	}
	after, err := d.cpu()
	if err != nil {
		return err
	}
	m.share = (after - before).Seconds() / time.Since(began).Seconds()
	for i, of := range []*delays{&all.fresh, &all.known, &all.step, &all.done} {
		m.times[i] = [2]series{durations(of.log), durations(of.journal)}
	}
	m.peak = group.peak()
	m.others, err = linesOf(d.logs, "org--model-")
	return err
}

// linesOf counts the lines of all logs but those that begin with that.
func linesOf(dir, except string) (n float64, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), except) {
			continue
		}
		if text, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			n += float64(strings.Count(string(text), "\n"))
		}
	}
	return n, err
}

func own(uid int, paths ...string) (err error) {
	for _, path := range paths {
		err = errors.Join(err, os.Chown(path, uid, uid))
	}
	return err
}

// serviceAt is daemonAt for a daemon that runs as the unit has it run.
func (b *bench) serviceAt(ctx context.Context, at place, in group) (*daemon, error) {
	// It is in its group before it is the daemon, and leaves no right but one.
	id, capability := strconv.Itoa(daemonUID), "dac_read_search"
	cmd := in.command("--reuid", id, "--regid", id, "--clear-groups", "--inh-caps", "-all,+"+capability, "--ambient-caps", "+"+capability,
		"--bounding-set", "-all,+"+capability, "--no-new-privs", b.progressd, "--config", at.config)
	cmd.Env, cmd.Stderr = []string{in.environ()}, os.Stderr
	return daemonBy(ctx, at, cmd)
}

// stranger starts the other user, and waits until he has done what takes time.
func (b *bench) stranger(ctx context.Context, in group, part, home, hub string, d *daemon) (*process, error) {
	id := strconv.Itoa(strangerUID)
	cmd := in.command("--reuid", id, "--regid", id, "--clear-groups", b.self, part, home, hub, d.manager.Socket())
	cmd.Env = append(os.Environ(), in.environ())
	cmd.Stderr = os.Stderr
	p, err := launch(cmd)
	if err != nil {
		return nil, err
	}
	if _, err := p.line(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// A group is the directories of one group of processes, one for each hierarchy.
type group []string

// The limits of the unit, as weights and bytes; a session of a user has the double
// weight, and no limit of memory.
const (
	unitShare  = 50
	unitMemory = 512 << 20
)

// newGroup makes one with that weight, by either version of cgroups; with memory it has
// the other limits of the unit as well.
func newGroup(name string, share, memory int) (g group, err error) {
	const base = "/sys/fs/cgroup"
	limits := map[string]map[string]string{"cpu": {"cpu.shares": strconv.Itoa(share * 1024 / 100)}}
	if memory > 0 {
		limits["memory"] = map[string]string{"memory.limit_in_bytes": strconv.Itoa(memory)}
		limits["pids"] = map[string]string{"pids.max": "512"}
	}
	if _, err := os.Stat(filepath.Join(base, "cgroup.controllers")); err == nil {
		limits = map[string]map[string]string{"": {"cpu.weight": strconv.Itoa(share)}}
		if memory > 0 {
			limits[""]["memory.max"], limits[""]["memory.high"], limits[""]["pids.max"] = strconv.Itoa(memory), strconv.Itoa(memory/8*7), "512"
		}
	}
	for hierarchy, files := range limits {
		dir := filepath.Join(base, hierarchy, "progressd-bench-"+name+"-"+strconv.Itoa(os.Getpid()))
		err = errors.Join(err, os.MkdirAll(dir, 0o755))
		for file, value := range files {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644))
		}
		g = append(g, dir)
	}
	return g, err
}

// command is setpriv(1) with these arguments, in the group.
func (group) command(args ...string) *exec.Cmd {
	const join = `for g in $PROGRESSD_BENCH_GROUPS; do echo $$ >"$g/cgroup.procs" || exit; done; exec setpriv "$@"`
	return exec.Command("sh", append([]string{"-c", join, "sh"}, args...)...)
}

func (g group) environ() string { return "PROGRESSD_BENCH_GROUPS=" + strings.Join(g, " ") }

// peak is the most memory that the group has had, in bytes.
func (g group) peak() float64 {
	for _, dir := range g {
		for _, file := range []string{"memory.peak", "memory.max_usage_in_bytes"} {
			if text, err := os.ReadFile(filepath.Join(dir, file)); err == nil {
				n, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
				return n
			}
		}
	}
	return 0
}

// remove takes the group away when it has no processes any more.
func (g group) remove() (err error) {
	for _, dir := range g {
		end := time.Now().Add(5 * time.Second)
		removed := unix.Rmdir(dir)
		for errors.Is(removed, syscall.EBUSY) && time.Now().Before(end) {
			<-time.After(50 * time.Millisecond)
			removed = unix.Rmdir(dir)
		}
		err = errors.Join(err, removed)
	}
	return err
}
