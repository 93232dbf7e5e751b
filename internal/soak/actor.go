package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/wait"
	"progressd/tracker"
)

// actor plays one life after the other: the story of a made-up repository, from
// its first download to its removal. What happens in one is decided by the seed
// and its number alone.
type actor struct {
	*world
	rng     *rand.Rand
	curtain <-chan struct{} // closed when nothing new is begun
}

func (a *actor) over() bool {
	select {
	case <-a.curtain:
		return true
	default:
		return false
	}
}

// play goes on until the curtain falls or there are no more stories.
func (a *actor) play(ctx context.Context) error {
	for first := true; first || !a.over(); first = false {
		number, ok := a.next()
		if !ok {
			return nil
		}
		a.rng = a.plot(number)
		m, err := a.newModel(number)
		if err != nil {
			return err
		}
		if err := a.story(ctx, m); err != nil || a.over() {
			return err
		}
		if err := a.remove(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// story is some scenes, with new revisions between them.
func (a *actor) story(ctx context.Context, m *model) error {
	for range 1 + a.rng.IntN(4) {
		if err := a.scenes()(ctx, m); err != nil || a.over() {
			return err
		}
		if a.rng.IntN(3) > 0 {
			if err := m.renew(a.rng); err != nil {
				return err
			}
		}
	}
	return nil
}

type scene func(context.Context, *model) error

// scenes picks what is to happen to a repository next. Each ends when what
// progressd owes has come.
func (a *actor) scenes() scene {
	type choice struct {
		weight int
		scene  scene
	}
	all := []choice{
		{4, a.whole}, {6, a.killedThenWhole}, {3, a.killed}, {2, a.interrupted}, {3, a.part},
		{2, a.single}, {2, a.twice}, {2, a.held}, {3, a.removed}, {2, a.handOver},
	}
	if a.mixed() {
		all = append(all, choice{4, a.troubled}, choice{2, a.overtaken})
	}
	sum := 0
	for _, s := range all {
		sum += s.weight
	}
	n := a.rng.IntN(sum)
	for _, s := range all {
		if n -= s.weight; n < 0 {
			return s.scene
		}
	}
	return a.whole
}

// run lets one client live.
func (a *actor) run(ctx context.Context, m *model, o order) (*life, error) {
	l, err := m.live(ctx, a.cast(m, o))
	if err == nil && a.rng.IntN(3) == 0 {
		a.daemon.hint()
	}
	return l, err
}

// all is a client that downloads everything and lives.
var all = order{}

func (a *actor) kill(sig syscall.Signal) order {
	return order{sig: sig, after: between(a.rng, 5*time.Millisecond, 1500*time.Millisecond)}
}

// whole: nothing bad happens. Once more is silent.
func (a *actor) whole(ctx context.Context, m *model) error {
	if err := a.each(ctx, m, all); err != nil || a.rng.IntN(3) > 0 {
		return err
	}
	return a.each(ctx, m, all)
}

// each runs clients one after the other, without waiting in between, and then
// waits for what is owed.
func (a *actor) each(ctx context.Context, m *model, orders ...order) error {
	begun := m.told()
	var l *life
	for _, o := range orders {
		var err error
		if l, err = a.run(ctx, m, o); err != nil {
			return err
		}
	}
	return a.settle(ctx, m, begun, l)
}

// killedThenWhole: a client dies, perhaps twice, and another finishes its
// work, at once or after it was missed.
func (a *actor) killedThenWhole(ctx context.Context, m *model) error {
	begun := m.told()
	for range 1 + a.rng.IntN(2) {
		sig := syscall.SIGKILL
		if a.rng.IntN(4) == 0 {
			sig = syscall.SIGTERM
		}
		if _, err := a.run(ctx, m, a.kill(sig)); err != nil {
			return err
		}
		gap := between(a.rng, 0, 2*time.Second)
		if a.rng.IntN(4) == 0 {
			gap = a.pace.interrupt + between(a.rng, 0, 3*time.Second)
		}
		if err := wait.For(ctx, gap); err != nil {
			return err
		}
	}
	l, err := a.run(ctx, m, all)
	if err != nil {
		return err
	}
	return a.settle(ctx, m, begun, l)
}

// killed: nobody finishes the work.
func (a *actor) killed(ctx context.Context, m *model) error {
	return a.each(ctx, m, a.kill(syscall.SIGKILL))
}

// interrupted: Ctrl-C.
func (a *actor) interrupted(ctx context.Context, m *model) error {
	return a.each(ctx, m, a.kill(syscall.SIGINT))
}

// part: what is wanted is less than there is.
func (a *actor) part(ctx context.Context, m *model) error {
	o := order{include: []string{"*.safetensors"}}
	if a.rng.IntN(2) == 0 {
		o = order{include: []string{"*.json", "*-00001-*"}}
	}
	if a.rng.IntN(2) == 0 {
		o.sig, o.after = syscall.SIGKILL, between(a.rng, 0, 2*time.Second)
	}
	return a.each(ctx, m, o)
}

// single: one file by its name, which brings no listing.
func (a *actor) single(ctx context.Context, m *model) error {
	files := m.newest().files
	return a.each(ctx, m, order{files: []string{files[a.rng.IntN(len(files))].Path}})
}

// twice: two clients at the same repository, one of which may die.
func (a *actor) twice(ctx context.Context, m *model) error {
	begun := m.told()
	second := all
	if a.rng.IntN(2) == 0 {
		second = a.kill(syscall.SIGKILL)
	}
	first := a.cast(m, all)
	second = a.cast(m, second)
	if first.writer.lockless() || second.writer.lockless() { // would write to one partial
		return a.each(ctx, m, first)
	}
	var last *life
	group, both := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		last, err = m.live(both, first)
		return err
	})
	group.Go(func() error {
		_, err := m.live(both, second)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if !last.truth.whole { // the other one had a file that it then lost
		var err error
		if last, err = a.run(ctx, m, all); err != nil {
			return err
		}
	}
	return a.settle(ctx, m, begun, last)
}

// held: the client is stopped for a while, shorter or longer than it takes to
// call that a stall.
func (a *actor) held(ctx context.Context, m *model) error {
	o := order{holdAfter: between(a.rng, 10*time.Millisecond, time.Second), hold: between(a.rng, time.Second, 6*time.Second)}
	if a.rng.IntN(3) == 0 {
		o.hold = a.pace.hold
	}
	return a.each(ctx, m, o)
}

// removed: the repository is deleted when a download of it has died, and
// downloaded anew.
func (a *actor) removed(ctx context.Context, m *model) error {
	if m.client.SharedStore { // its blobs would stay in the store
		return a.whole(ctx, m)
	}
	if _, err := a.run(ctx, m, a.kill(syscall.SIGKILL)); err != nil {
		return err
	}
	if a.rng.IntN(2) == 0 {
		if err := wait.For(ctx, between(a.rng, 0, 6*time.Second)); err != nil {
			return err
		}
	}
	if err := a.remove(ctx, m); err != nil {
		return err
	}
	return a.each(ctx, m, all)
}

// handOver: a client dies and another one takes its place at once, again and
// again: nothing is interrupted.
func (a *actor) handOver(ctx context.Context, m *model) error {
	var orders []order
	for range 2 + a.rng.IntN(3) {
		orders = append(orders, a.kill(syscall.SIGKILL))
	}
	return a.each(ctx, m, append(orders, all)...)
}

// remove deletes a repository. If its download had been told of, that is told.
func (a *actor) remove(ctx context.Context, m *model) error {
	lines, err := readLog(m.logPath())
	if err != nil {
		return err
	}
	open := openEpisode(lines)
	m.mark()
	m.mu.Lock()
	m.removals = append(m.removals, removal{time.Now(), len(lines)})
	m.mu.Unlock()
	err = errors.Join(os.RemoveAll(m.dir()), os.RemoveAll(filepath.Join(a.cache(), ".locks", filepath.Base(m.dir()))))
	if err != nil || !open || a.rng.IntN(4) == 0 {
		return err
	}
	// Another end may have come just before.
	ends := []tracker.Kind{tracker.Removed, tracker.Completed, tracker.Ended}
	err = a.await(ctx, m, len(lines), verdict{pace: a.pace, kinds: ends, after: time.Now().Add(-a.pace.quiet)})
	m.mark()
	return err
}

// openEpisode reports whether a log tells of a download that has no end yet.
func openEpisode(lines []line) bool {
	return len(lines) > 0 && !terminal(lines[len(lines)-1].kind)
}

// terminal: nothing more is told of an episode.
func terminal(k tracker.Kind) bool {
	return slices.Contains([]tracker.Kind{tracker.Completed, tracker.Ended, tracker.Removed}, k)
}
