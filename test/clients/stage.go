package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"progressd/internal/hub"
	"progressd/internal/wait"
)

// stage is what all acts share: a hub, a daemon, and a directory for all that
// is made.
type stage struct {
	options
	dir string
	// caches is where the caches and the directories of their own lie.
	caches string
	// pace is how fast each file comes, in bytes a second.
	pace   int64
	hub    *hub.Hub
	daemon *daemon
	shelf  shelf
	// absent are the kits that this machine can't have.
	absent map[string]bool
	// messageIDs are those seen so far.
	messageIDs idsByKind
}

// How fast each file comes, in bytes a second: slow enough that a file of 30 MB is
// looked at several times; and as slow where one may be looked at by polls alone.
const (
	pace       = 15_000_000
	polledPace = 2_500_000
)

// settle is how long all is quiet at the end, before the lines are judged:
// longer than a verdict waits, so that one too many would have come.
func (s *stage) settle() time.Duration {
	if s.nightly {
		return stallAfter + time.Minute
	}
	return interruptAfter + 15*time.Second
}

// result is how an act went.
type result struct {
	act  *act
	err  error
	took time.Duration
}

// perform plays all acts that are selected and returns how each went.
func perform(ctx context.Context, opts options) (results []*result, err error) {
	dir, err := os.MkdirTemp("", "progressd-clients-")
	if err != nil {
		return nil, err
	}
	s := &stage{options: opts, dir: dir, caches: dir, pace: pace, shelf: shelf{opts.venvs, opts.python}, absent: map[string]bool{}, messageIDs: idsByKind{}}
	if opts.at != "" {
		s.caches, s.pace = opts.at, polledPace
	}
	acts, err := s.prepare(ctx)
	defer func() { err = errors.Join(err, s.clear(acts)) }()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.hub.Close()) }()
	if s.daemon, err = startDaemon(ctx, opts, dir, s.caches); err != nil {
		return nil, err
	}
	results = s.play(ctx, acts)
	if ctx.Err() == nil {
		s.say("all played, %v of silence before the lines are judged", s.settle())
		_ = wait.For(ctx, s.settle())
	}
	if err := s.daemon.stop(); err != nil {
		return results, err
	}
	return results, s.judge(results)
}

// prepare lays out the stage and writes the list of acts.
func (s *stage) prepare(ctx context.Context) ([]*act, error) {
	// Other users download below it.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return nil, err
	}
	for _, dir := range []string{
		filepath.Join(s.caches, "homes"), filepath.Join(s.caches, "users"), filepath.Join(s.caches, localRoot),
		filepath.Join(s.dir, "log"), filepath.Join(s.dir, "output"),
	} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.CopyFS(s.dir, scripts); err != nil {
		return nil, err
	}
	if err := s.install(ctx); err != nil {
		return nil, err
	}
	s.hub = hub.New(hub.Options{FileRate: s.pace})
	if err := s.hub.Start(); err != nil {
		return nil, err
	}
	return s.acts()
}

// install readies every release that is selected. One that needs a tool which
// isn't there is left out, and said so.
func (s *stage) install(ctx context.Context) error {
	for _, r := range everyone() {
		if !s.selectsRelease(r) {
			continue
		}
		err := s.shelf.ensure(ctx, r.kit)
		if errors.Is(err, errNoTool) {
			s.say("SKIPPED %s: %v", r.name, err)
			s.absent[r.kit.name] = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

func everyone() []release { return slices.Concat(releases, others, loaders) }

func (s *stage) selectsRelease(r release) bool {
	for _, sc := range scenes {
		if s.selects(sc, r) {
			return true
		}
	}
	return false
}

func (o options) selects(sc scene, r release) bool {
	switch {
	case !sc.suits(r):
		return false
	case o.only != nil:
		return o.only.MatchString(sc.name + "/" + r.name)
	default:
		return !r.costly && sc.waits(r) == o.nightly
	}
}

func (s *stage) acts() ([]*act, error) {
	var acts []*act
	turns := make(chan struct{}, s.jobs)
	for _, sc := range scenes {
		for _, r := range everyone() {
			if !s.selects(sc, r) || s.absent[r.kit.name] {
				continue
			}
			a := &act{stage: s, release: r, scene: sc, hub: s.hub, books: newBooks(), turn: &turn{all: turns}}
			a.home = filepath.Join(s.caches, "homes", r.name)
			prepare := os.MkdirAll
			if sc.home != nil || hasStore(r) {
				// What another scene has brought would be shared.
				a.home += "-" + sc.name
			}
			if sc.home != nil {
				prepare = sc.home
			}
			if err := prepare(a.root(), 0o755); err != nil {
				return nil, err
			}
			if err := a.publish("main", sc.files...); err != nil {
				return nil, err
			}
			acts = append(acts, a)
		}
	}
	return acts, nil
}

// play plays the acts and says how each went. They begin in order, and all of
// them wait at the same time.
func (s *stage) play(ctx context.Context, acts []*act) []*result {
	var group sync.WaitGroup
	results := make([]*result, len(acts))
	for i, a := range acts {
		results[i] = &result{act: a, err: a.reserve(ctx)}
		if results[i].err != nil {
			continue
		}
		group.Go(func() {
			began := time.Now()
			results[i].err = a.play(ctx)
			results[i].took = time.Since(began)
			word := "played"
			if results[i].err != nil {
				word = "FAILED"
			}
			s.say("%s %s in %.1fs", word, a.label(), results[i].took.Seconds())
		})
	}
	group.Wait()
	return results
}

func (a *act) play(ctx context.Context) error {
	defer a.end()
	defer a.close()
	return a.scene.play(ctx, a)
}

// judge compares what was told with what each act expects.
func (s *stage) judge(results []*result) error {
	told, err := readJournal()
	if err != nil {
		return err
	}
	for _, r := range results {
		for _, want := range r.act.scene.want(r.act) {
			r.err = errors.Join(r.err, r.act.check(want, told[want.of]))
			delete(told, want.of)
		}
	}
	for from, entries := range told {
		err = errors.Join(err, fmt.Errorf("nobody expects what is told of %+v: %q", from, entries[0]["MESSAGE"]))
	}
	return errors.Join(err, s.checkDiagnostics())
}

var complaint = regexp.MustCompile(`(?m)^.*level=(?:WARN|ERROR).*$|^panic:.*$`)

// checkDiagnostics allows the daemon no complaint of its own.
func (s *stage) checkDiagnostics() error {
	text, err := os.ReadFile(s.daemon.stderr)
	if err != nil {
		return err
	}
	if found := complaint.FindAllString(string(text), -1); found != nil {
		return fmt.Errorf("progressd complains:\n%s", strings.Join(found, "\n"))
	}
	return nil
}

// clear removes all that was made, unless it is to be looked at.
func (s *stage) clear(acts []*act) error {
	if s.keep {
		s.say("kept: %s", s.dir)
		return nil
	}
	for _, a := range acts {
		if err := syscall.Unmount(a.home, 0); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot unmount %q: %w", a.home, err)
		}
	}
	return os.RemoveAll(s.dir)
}

func (s *stage) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.progress, format+"\n", args...)
}
