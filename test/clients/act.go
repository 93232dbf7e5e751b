package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"progressd/hfcache"
	"progressd/internal/hub"
)

//go:embed scripts
var scripts embed.FS

// act is one case with one release.
type act struct {
	*stage
	release
	scene scene
	hub   *hub.Hub
	// home is HF_HOME of whoever downloads; owner its user, 0 for root.
	home  string
	owner uint32
	*books
	*turn
}

// label names the act in reports.
func (a *act) label() string { return a.scene.name + "/" + a.name }

// repo is the act's repository: no two acts share one, so that no two share a
// log.
func (a *act) repo() hfcache.Repo { return a.other("") }

// other is one more repository of the act.
func (a *act) other(suffix string) hfcache.Repo {
	repoType := a.scene.repoType
	if repoType == "" {
		repoType = hfcache.Model
	}
	return hfcache.Repo{Type: repoType, ID: a.scene.name + suffix + "/hh-" + a.name}
}

// root is the cache, or the directory of its own that it goes to.
func (a *act) root() string {
	if a.scene.local {
		return filepath.Join(a.caches, localRoot, a.scene.name+"-"+a.name)
	}
	return filepath.Join(a.home, "hub")
}

// localRoot holds the directories of those that go into one of their own.
const localRoot = "local"

// as is the same act in the eyes of another user with a home of 0700.
func (a *act) as(name string, uid uint32) (*act, error) {
	cache := a.userHome(name)
	home := filepath.Dir(filepath.Dir(cache))
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, err
	}
	for _, dir := range []string{home, filepath.Dir(cache), cache} {
		if err := os.Chown(dir, int(uid), int(uid)); err != nil {
			return nil, err
		}
	}
	other := &act{
		stage: a.stage, release: a.release, scene: a.scene, hub: a.hub,
		home: cache, owner: uid, books: a.books, turn: a.turn,
	}
	return other, nil
}

// userHome is HF_HOME of a user.
func (a *act) userHome(user string) string {
	return filepath.Join(a.caches, "users", user+"-"+a.name, ".cache", "huggingface")
}

// publish makes a new commit of the act's repository.
func (a *act) publish(branch string, files ...hub.File) error {
	return a.publishIn(a.repo(), branch, files...)
}

func (a *act) publishIn(repo hfcache.Repo, branch string, files ...hub.File) error {
	files = slices.Clone(files)
	for i := range files {
		if files[i].Storage == hub.LFS && a.storage != 0 {
			files[i].Storage = a.storage
		}
	}
	_, entries, err := a.hub.Publish(repo, branch, files...)
	if err != nil {
		return err
	}
	a.note(repo, entries)
	return nil
}

// hold lets a file come no further than at, in bytes, until the gate opens:
// in any of the responses that bring it.
func (a *act) hold(path string, at int64) *hub.Gate {
	gate := hub.NewGate()
	a.hub.Break(a.repo(), path, hub.Fault{Gate: gate, GateAt: at})
	return gate
}

// process is a downloader, running. loads: its failure is its good end.
type process struct {
	loads  bool
	cmd    *exec.Cmd
	output string
	exited chan struct{}
	err    error
	// patience is how long it may take to end.
	patience time.Duration
	// rest gives its turn back, once.
	rest func()
}

// begin starts the release's own program on the act's repository.
func (a *act) begin(ctx context.Context, args ...string) (*process, error) {
	return a.beginOn(ctx, a.repo(), args...)
}

func (a *act) beginOn(ctx context.Context, repo hfcache.Repo, args ...string) (*process, error) {
	if a.command == "" {
		return a.start(ctx, a.called(repo))
	}
	argv := []string{filepath.Join(a.venv(), "bin", a.command), "download", repo.ID}
	if repo.Type != hfcache.Model {
		argv = append(argv, "--repo-type", string(repo.Type))
	}
	argv = append(argv, args...)
	if a.scene.local {
		argv = append(argv, "--local-dir", a.root())
	}
	return a.start(ctx, argv)
}

// beginScript starts a program of somebody's own that uses the library.
func (a *act) beginScript(ctx context.Context, script string, args ...string) (*process, error) {
	argv := []string{filepath.Join(a.venv(), "bin", "python"), filepath.Join(a.dir, "scripts", script)}
	return a.start(ctx, append(argv, args...))
}

// called is the command line of a client that is not huggingface_hub.
func (a *act) called(repo hfcache.Repo) []string {
	names := strings.NewReplacer("{dir}", a.venv(), "{scripts}", filepath.Join(a.dir, "scripts"), "{home}", a.home, "{repo}", repo.ID, "{now}", strconv.FormatInt(time.Now().UnixNano(), 36))
	var argv []string
	for _, arg := range a.program {
		argv = append(argv, names.Replace(arg))
	}
	if slices.Contains(a.program, "{repo}") {
		return argv
	}
	return append(argv, repo.ID)
}

func (a *act) venv() string { return a.shelf.path(a.kit) }

// start waits for the act's turn.
func (a *act) start(ctx context.Context, argv []string) (*process, error) {
	if err := a.take(ctx); err != nil {
		return nil, err
	}
	p, err := a.launch(argv)
	if err != nil {
		a.give()
		return nil, err
	}
	p.rest = sync.OnceFunc(a.give)
	go func() {
		p.err = p.cmd.Wait()
		p.rest()
		close(p.exited)
	}()
	a.started(p)
	a.sampling.Go(func() { a.sample(a.hub, p.exited) })
	return p, nil
}

func (a *act) launch(argv []string) (*process, error) {
	output, err := os.CreateTemp(filepath.Join(a.dir, "output"), a.scene.name+"-"+a.name+"-")
	if err != nil {
		return nil, err
	}
	defer output.Close()
	if a.owner != 0 {
		// The environments may lie in a home that others can't enter. What
		// opens it works only behind one exec.
		argv = append([]string{"/usr/bin/env"}, argv...)
	}
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), output: output.Name(), exited: make(chan struct{}), loads: a.loads, patience: a.patience()}
	p.cmd.Env = a.environment()
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a.owner != 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.owner, Gid: a.owner}
		p.cmd.SysProcAttr.AmbientCaps = []uintptr{capDACReadSearch}
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", argv, err)
	}
	return p, nil
}

// capDACReadSearch is CAP_DAC_READ_SEARCH.
const capDACReadSearch = 2

func (a *act) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "HF_") || strings.HasPrefix(v, "XDG_") || strings.HasPrefix(v, "HUGGINGFACE_")
	})
	env = append(env, "HOME="+filepath.Dir(filepath.Dir(a.home)), "HF_HOME="+a.home, "HF_ENDPOINT="+a.hub.URL(), "HF_HUB_DISABLE_TELEMETRY=1",
		"HF_HUB_DISABLE_UPDATE_CHECK=1", "DO_NOT_TRACK=1", "PYTHONDONTWRITEBYTECODE=1")
	return append(env, a.env...)
}

// wait returns how the process ended.
func (p *process) wait(ctx context.Context) error {
	ctx, cancel := within(ctx, p.patience)
	defer cancel()
	select {
	case <-p.exited:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%q has not ended: %w", p.cmd.Args, context.Cause(ctx))
	}
}

// succeed waits for an end with exit status 0.
func (p *process) succeed(ctx context.Context) error {
	err := p.wait(ctx)
	if exit := new(exec.ExitError); p.loads && errors.As(err, &exit) && exit.Exited() {
		return nil
	}
	if err != nil {
		text, _ := os.ReadFile(p.output)
		return fmt.Errorf("%q: %w\n%s", p.cmd.Args, err, lastPart(string(text)))
	}
	return nil
}

func lastPart(text string) string { return text[max(0, len(text)-2000):] }

// fail waits for an end that is none with exit status 0.
func (p *process) fail(ctx context.Context) error {
	err := p.wait(ctx)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%q ended with exit status 0, a failure was expected", p.cmd.Args)
	}
	return err
}

func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("cannot send %v to %q: %w", sig, p.cmd.Args, err)
	}
	return nil
}

// download runs the release's own program to its good end.
func (a *act) download(ctx context.Context, args ...string) error {
	p, err := a.begin(ctx, args...)
	if err != nil {
		return err
	}
	return p.succeed(ctx)
}

// runScript runs a program of somebody's own to its good end.
func (a *act) runScript(ctx context.Context, script string, args ...string) error {
	p, err := a.beginScript(ctx, script, args...)
	if err != nil {
		return err
	}
	return p.succeed(ctx)
}

// patience is how long anything may take that an act waits for, but for its
// turn: longer than the longest wait of the packaged configuration that can be
// part of it. The slowest clients try a hub that has died for half a minute.
func (a *act) patience() time.Duration {
	patience := 3 * time.Minute
	if a.loads {
		patience = 8 * time.Minute
	}
	if a.scene.waits(a.release) {
		patience += stallAfter
	}
	return patience
}

func within(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %v", patience))
}

// told waits until the log of the act's repository holds a kind of line for
// the nth time.
func (a *act) told(ctx context.Context, kind string, n int) error {
	return a.toldOf(ctx, a.repo(), kind, n)
}

func (a *act) toldOf(ctx context.Context, repo hfcache.Repo, kind string, n int) error {
	return a.until(ctx, verdict, fmt.Sprintf("line %q of %s, %d times", kind, repo.ID, n), func() bool {
		found := 0
		for _, line := range a.lines(repo) {
			if line.kind == kind {
				found++
			}
		}
		return found >= n
	})
}

// toldOne waits until the log holds a line of one of the kinds.
func (a *act) toldOne(ctx context.Context, kinds ...string) error {
	return a.until(ctx, verdict, fmt.Sprintf("one of %q of %s", kinds, a.repo().ID), func() bool {
		return slices.ContainsFunc(a.lines(a.repo()), func(l line) bool { return slices.Contains(kinds, l.kind) })
	})
}

// toldBytes waits until a line of progress has told of some bytes or more.
func (a *act) toldBytes(ctx context.Context, bytes int64) error {
	return a.until(ctx, progress, fmt.Sprintf("progress of %d bytes of %s", bytes, a.repo().ID), func() bool {
		for _, line := range a.lines(a.repo()) {
			if line.kind == "progress" && line.bytes() >= float64(bytes) {
				return true
			}
		}
		return false
	})
}

// How often it is looked for a line: while a client is held for it, and while
// hundreds of acts wait for their verdicts.
const (
	progress = 100 * time.Millisecond
	verdict  = time.Second
)

// until looks again and again: a log file tells nobody that it has grown.
func (a *act) until(ctx context.Context, every time.Duration, what string, done func() bool) error {
	ctx, cancel := within(ctx, a.patience())
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("progressd did not tell: %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

// lines are those told so far of a repository in the act's cache.
func (a *act) lines(repo hfcache.Repo) []line { return readLog(a.logPath(a.root(), repo)) }

// bytes is the size that a line of progress begins with, roughly.
func (l line) bytes() float64 {
	size := strings.TrimPrefix(strings.TrimPrefix(l.text, "Downloaded "), "Download progress: ")
	size, _, _ = strings.Cut(size, "B")
	number, scale := size, 1.0
	for suffix, factor := range map[string]float64{"K": 1e3, "M": 1e6, "G": 1e9} {
		if rest, ok := strings.CutSuffix(size, suffix); ok {
			number, scale = rest, factor
		}
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	return value * scale
}
