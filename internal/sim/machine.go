package sim

import (
	"slices"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"progressd/daemon"
	"progressd/internal/simfs"
	"progressd/sizer"
	"progressd/watcher"
)

// machine is what the daemon asks about files and processes.
func (k *keeper) machine() *daemon.Machine {
	m := &daemon.Machine{FS: k.life.world.fs, Proc: k.life.world.procs, OpenNotify: k.openNotify, Pass: k.pass}
	if slices.ContainsFunc(k.life.story.Strikes, func(s strike) bool { return s.Kind == suspend }) {
		m.Beat, m.BeatEvery = func() { k.gate("judge") }, 200*time.Millisecond
	}
	return k.mutant.machine(m, k.life)
}

// pass hands a look on when all that is due at the same moment is done: who judges has a
// beat of his own, and nothing says which of the two comes first. Nor does anything say
// whether he gets one that is over when the daemon has been told to end: he doesn't.
func (k *keeper) pass(look *sizer.Look) bool {
	k.gate(look.Root + " " + look.Repo.Folder())
	k.handing <- struct{}{} // one at a time may wait
	synctest.Wait()
	<-k.handing
	return !k.ending.Load()
}

// openNotify begins to tell of events, as the story has it.
func (k *keeper) openNotify() (*watcher.Notifications, error) {
	l := k.life
	if l.story.Events == noEvents {
		return nil, unix.EMFILE
	}
	k.watchers++
	rng := l.world.random("events", l.story.Number, k.watchers)
	var opts simfs.WatcherOptions
	if l.story.Events == someEvents {
		opts.Lose = func(fsnotify.Event) bool { return chance(rng, 1, 2) }
	}
	w := l.world.fs.NewWatcher(opts)
	return &watcher.Notifications{Watches: w, Events: w.Events, Errors: w.Errors}, nil
}
