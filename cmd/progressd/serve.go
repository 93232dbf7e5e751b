package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"progressd/state"
)

// serve runs until a signal says to stop. A reload is a stop and a start in
// one process: everything must hold over a restart anyway, so there is no
// second way to take up a configuration.
func serve(ctx context.Context, set settings, load func() (settings, error), w world, log *slog.Logger) error {
	store, err := openState(set, log)
	if err != nil {
		return err
	}
	sd := newSystemd(w.getenv, log)
	open := listeners(w, log)
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	for {
		next, reload := life(ctx, set, store, open, sd, load, w, log)
		if !reload {
			break
		}
		if next.stateDir != set.stateDir {
			if store, err = moveState(store, next, log); err != nil {
				return err
			}
		}
		set = next
	}
	if err := store.Close(); err != nil {
		log.Warn("the state is not complete: what was told since may be told again", "err", err)
	}
	return nil
}

func openState(set settings, log *slog.Logger) (*state.Store, error) {
	store, err := state.Open(set.stateDir, log)
	if err != nil {
		return nil, fmt.Errorf("cannot start: %w", err)
	}
	return store, nil
}

func moveState(old *state.Store, next settings, log *slog.Logger) (*state.Store, error) {
	if err := old.Close(); err != nil {
		log.Warn("the former state is not complete", "err", err)
	}
	return openState(next, log)
}

// life runs the parts under one configuration, until a signal ends it. It
// reports whether, and with which configuration, to go on.
func life(ctx context.Context, set settings, store *state.Store, open []*net.UnixListener, sd *systemd,
	load func() (settings, error), w world, log *slog.Logger,
) (next settings, reload bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	parts := assemble(ctx, set, store, sd, w, log)
	parts.listeners = open
	go func() {
		defer close(ended)
		parts.run(ctx)
	}()
	ready := parts.ready()
	var settle <-chan time.Time
	for {
		select {
		case <-ready:
			ready = nil
			sd.ready()
			parts.greet(log)
		case sig := <-w.signals:
			if sig == syscall.SIGHUP {
				settle = time.After(settleFor)
				continue
			}
			sd.stopping()
			stop()
			awaitEnd(ended, w, abort(w))
			return next, false
		case <-settle:
			settle = nil
			if next, reload = reloaded(load, sd, log); !reload {
				continue
			}
			stop()
			var missed os.Signal
			awaitEnd(ended, w, func(sig os.Signal) { missed = sig })
			return afterReload(missed, next, load, sd, log)
		case <-ctx.Done():
			<-ended
			return set, false
		}
	}
}

// settleFor turns a burst of reloads into one.
const settleFor = 50 * time.Millisecond

// reloaded reads the configuration again. A bad one changes nothing.
func reloaded(load func() (settings, error), sd *systemd, log *slog.Logger) (settings, bool) {
	sd.reloading()
	set, err := load()
	if err == nil {
		err = set.homeless
	}
	if err != nil {
		for problem := range strings.Lines(err.Error()) {
			log.Error("cannot reload, the old configuration stays", "err", strings.TrimSpace(problem))
		}
		sd.ready()
		return settings{}, false
	}
	log.Info("configuration reloaded", "file", set.file)
	return set, true
}

// patience is how long the parts may take to stop. What hangs then, on a file
// system that doesn't answer, is left behind: all that counts is on disk.
const patience = 1800 * time.Millisecond

// awaitEnd waits for the parts to end, and hands on what signals come
// meanwhile.
func awaitEnd(ended <-chan struct{}, w world, signalled func(os.Signal)) {
	timeout := time.After(patience)
	for {
		select {
		case <-ended:
			return
		case <-timeout:
			return
		case sig := <-w.signals:
			signalled(sig)
		}
	}
}

// abort obeys a second signal to stop at once.
func abort(w world) func(os.Signal) {
	return func(sig os.Signal) {
		if sig != syscall.SIGHUP {
			w.exit(exitFailed)
		}
	}
}

// afterReload goes on with the new configuration, unless while the old parts
// stopped somebody asked for something else.
func afterReload(missed os.Signal, next settings, load func() (settings, error), sd *systemd, log *slog.Logger) (settings, bool) {
	switch missed {
	case nil:
	case syscall.SIGHUP:
		if newer, ok := reloaded(load, sd, log); ok {
			next = newer
		}
	default:
		sd.stopping()
		return next, false
	}
	return next, true
}
