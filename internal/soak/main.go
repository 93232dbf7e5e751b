// Command soak lets simulated downloaders write into a real cache, kills them
// and progressd at random, and then compares every line that progressd wrote
// with what truly happened. It exits with 1, and keeps all files, if a line is
// lost, doubled or untrue. How a line is judged stands in judge.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/internal/client"
	"progressd/internal/tool"
)

func main() {
	client.RunIfCalled()
	runIfLibrary()
	tool.Main("soak", command)
}

// options are what a run can be told.
type options struct {
	progressd string
	length    time.Duration
	lives     int
	seed      uint64
	story     uint64
	actors    int
	dir       string
	// patience is how long a verdict may take; 0 is what the pace needs.
	patience time.Duration
}

// pace: clients of all kinds play lives, and some of those have no lock.
func (o options) pace() pace {
	if o.lives > 0 {
		return quick()
	}
	return shipped()
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	set := flag.NewFlagSet("soak", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&o.progressd, "progressd", "", "path of the progressd `binary`")
	set.DurationVar(&o.length, "for", time.Minute, "how long to run, the waiting at the end not included")
	set.IntVar(&o.lives, "lives", 0, "how many `stories` of repositories to play instead, each to its end, by clients of all kinds, with shorter waits")
	set.Uint64Var(&o.seed, "seed", 1, "what is done; when it is done the machine has a say in")
	set.Uint64Var(&o.story, "story", 0, "play the story of this `number` alone, as often as there are lives")
	set.IntVar(&o.actors, "repos", 0, "how many repositories are downloaded at a time; 0 is 150, or 16 with --lives")
	set.StringVar(&o.dir, "dir", "", "`directory` to work in, by default a new one beneath $TMPDIR")
	if err := set.Parse(args); err != nil {
		return err
	}
	if o.progressd == "" {
		return errors.New("which progressd? Build it and name it by --progressd FILE, or use make soak")
	}
	return soak(ctx, o, stdout)
}

// soak runs once and removes what it made if nothing was wrong.
func soak(ctx context.Context, o options, stdout io.Writer) error {
	w, err := newWorld(o)
	if err != nil {
		return err
	}
	err = w.run(ctx)
	err = errors.Join(err, w.close())
	if err != nil {
		return fmt.Errorf("%w (all is kept in %s)", err, w.dir)
	}
	faults := w.reconcile(stdout)
	w.report(stdout)
	if faults > 0 {
		return fmt.Errorf("%d violations; all is kept in %s", faults, w.dir)
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return fmt.Errorf("cannot remove what the soak made: %w", err)
	}
	return ctx.Err()
}

// run lets all actors play until the time is over, or all lives were played,
// and each has seen the end of what it began.
func (w *world) run(ctx context.Context) error {
	killer, calm := context.WithCancel(ctx)
	defer calm()
	supervised := make(chan error, 1)
	if err := w.daemon.start(); err != nil {
		return err
	}
	// Before its first baseline is noted, what comes into a cache was there
	// before anyone watched: that is no fault, so it isn't played with.
	select {
	case <-w.daemon.ready:
	case <-time.After(orderly):
		w.daemon.stop()
		return fmt.Errorf("progressd did not say within %v that it is ready", orderly)
	}
	go func() { supervised <- w.daemon.supervise(killer, w.random(0)) }()
	curtain, end := context.WithCancel(ctx)
	defer end()
	if w.lives == 0 {
		curtain, end = context.WithTimeout(ctx, w.length)
		defer end()
	}
	// What is still owed then must come without more kills.
	defer context.AfterFunc(curtain, calm)()
	group, ctx := errgroup.WithContext(ctx)
	for range w.actors {
		group.Go(func() error {
			a := &actor{world: w, curtain: curtain.Done()}
			return a.play(ctx)
		})
	}
	err := group.Wait()
	calm()
	err = errors.Join(err, <-supervised)
	w.daemon.stop()
	return err
}

// random is a source of its own for each part, so that one doesn't disturb
// what another does.
func (w *world) random(part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, part))
}

// between is a random duration, short ones more often than long ones.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	u := rng.Float64()
	return least + time.Duration(u*u*float64(most-least))
}

func mkdirs(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Clean(dir), 0o755); err != nil {
			return fmt.Errorf("cannot make a directory for the soak: %w", err)
		}
	}
	return nil
}
