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

	"progressd/account"
	"progressd/config"
	"progressd/daemon"
	"progressd/state"
	"progressd/watcher"
)

// serve runs until a signal says to stop. A reload is a stop and a start in
// one process: everything must hold over a restart anyway, so there is no
// second way to take up a configuration.
func serve(ctx context.Context, set config.Settings, read loader, w world, diag diagnostics) error {
	log := diag.log
	diag.configure(set)
	ctx, stop := context.WithCancel(ctx)
	toggling := daemon.Start(ctx, "toggle", func(ctx context.Context) error { return diag.toggle(ctx, w.toggles) }, log)
	defer func() { stop(); <-toggling }()
	apart, err := setApart(set, w)
	if err != nil {
		return err
	}
	load := apart.covering(read)
	accounts := account.NewBook(account.SystemOwners(apart.table), log)
	store, err := openState(set, accounts, log)
	if err != nil {
		return err
	}
	daemon.WarnIfHidden(set, log)
	sd := daemon.NewSystemd(w.getenv, log)
	open := listeners(w, log)
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	apart.confine(set, open, w, log)
	probes := new(watcher.Probes)
	for {
		next, reload := life(ctx, set, holdings{store, accounts, probes, apart}, open, sd, load, w, log)
		if !reload {
			break
		}
		if next.StateDir != set.StateDir {
			if store, err = moveState(store, next, accounts, log); err != nil {
				return err
			}
		}
		set = next
		diag.configure(set)
	}
	if err := store.Close(); err != nil {
		log.Warn("the state is not complete: what was told since may be told again", "err", err)
	}
	return nil
}

// holdings are what outlives a reload.
type holdings struct {
	store    *state.Store
	accounts *account.Book
	probes   *watcher.Probes
	apart    *apart
}

func openState(set config.Settings, accounts *account.Book, log *slog.Logger) (*state.Store, error) {
	store, err := state.Open(set.StateDir, accounts, log)
	if err != nil {
		return nil, fmt.Errorf("cannot start: %w", err)
	}
	return store, nil
}

func moveState(old *state.Store, next config.Settings, accounts *account.Book, log *slog.Logger) (*state.Store, error) {
	if err := old.Close(); err != nil {
		log.Warn("the former state is not complete", "err", err)
	}
	return openState(next, accounts, log)
}

// life runs the parts under one configuration, until a signal ends it. It
// reports whether, and with which configuration, to go on.
func life(ctx context.Context, set config.Settings, hold holdings, open []*net.UnixListener, sd *daemon.Systemd,
	load func() (config.Settings, error), w world, log *slog.Logger,
) (next config.Settings, reload bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	parts := daemon.New(ctx, daemon.Options{
		Settings: set, Store: hold.store, Accounts: hold.accounts, Probes: hold.probes, Opener: hold.apart.forDaemon(), Hub: hold.apart.forHub(), Systemd: sd, Listeners: open, Console: w.stdout, Getenv: w.getenv, Version: buildVersion(), Log: log,
	})
	go func() {
		defer close(ended)
		parts.Run(ctx)
	}()
	ready := parts.Ready()
	var settle <-chan time.Time
	for {
		select {
		case <-ready:
			ready = nil
			sd.Ready()
			parts.Greet()
		case sig := <-w.signals:
			if sig == syscall.SIGHUP {
				settle = time.After(settleFor)
				continue
			}
			sd.Stopping()
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
func reloaded(load func() (config.Settings, error), sd *daemon.Systemd, log *slog.Logger) (config.Settings, bool) {
	sd.Reloading()
	set, err := load()
	if err == nil {
		err = set.Homeless
	}
	if err != nil {
		for problem := range strings.Lines(err.Error()) {
			log.Error("cannot reload, the old configuration stays", "err", strings.TrimSpace(problem))
		}
		sd.Ready()
		return config.Settings{}, false
	}
	log.Info("configuration reloaded", "file", set.File)
	return set, true
}

// awaitEnd waits for the parts to end, and hands on what signals come
// meanwhile.
func awaitEnd(ended <-chan struct{}, w world, signalled func(os.Signal)) {
	timeout := time.After(daemon.Patience)
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
func afterReload(missed os.Signal, next config.Settings, load func() (config.Settings, error), sd *daemon.Systemd, log *slog.Logger) (config.Settings, bool) {
	switch missed {
	case nil:
	case syscall.SIGHUP:
		if newer, ok := reloaded(load, sd, log); ok {
			next = newer
		}
	default:
		sd.Stopping()
		return next, false
	}
	return next, true
}
