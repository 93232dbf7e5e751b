package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"progressd/config"
)

// diagnostics are what the daemon says of itself, and from which level on.
type diagnostics struct {
	log   *slog.Logger
	level *slog.LevelVar
}

func newDiagnostics(out io.Writer) diagnostics {
	level := new(slog.LevelVar)
	return diagnostics{
		log:   slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: brief, Level: level})),
		level: level,
	}
}

// brief leaves the time to the journal, or to whatever else keeps the
// diagnostics: that has its own.
func brief(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// configure puts the level back to that of the configuration.
func (d diagnostics) configure(set config.Settings) {
	level := slog.LevelInfo
	if set.Diagnostics.Level == config.Debug {
		level = slog.LevelDebug
	}
	d.level.Set(level)
}

// toggle switches the debug level at each signal, until ctx is done. It has a
// goroutine of its own, so that it works also while a reload waits for a file
// system that hangs.
func (d diagnostics) toggle(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case <-signals:
			if d.level.Level() == slog.LevelDebug {
				d.level.Set(slog.LevelInfo)
				d.log.Info("debug level is off")
			} else {
				d.level.Set(slog.LevelDebug)
				d.log.Info("debug level is on: the next SIGUSR1 switches it off")
			}
		case <-ctx.Done():
			return nil
		}
	}
}
