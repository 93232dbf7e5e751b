package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"progressd/config"
	"progressd/hublist"
)

// answersDir is where in the state directory the hub's answers are kept.
const answersDir = "hub"

// hubOf makes the hub look-up, nil if it is switched off or can't be.
func hubOf(set settings, w world, log *slog.Logger) *hublist.Hub {
	if !set.Hub.Enabled {
		return nil
	}
	token, err := config.TokenFile(set.Config, w.getenv)
	if err == nil {
		var hub *hublist.Hub
		if hub, err = hublist.New(hublist.Options{
			Endpoint: set.Hub.Endpoint, TokenFile: token,
			Dir: filepath.Join(set.stateDir, answersDir), Log: log,
		}); err == nil {
			return hub
		}
	}
	log.Error("the hub is not asked: downloads without a listing in the cache are told without a total", "err", err)
	return nil
}

// ask runs the hub look-up, if there is one. It ends by itself soon after ctx
// is done.
func (p *pipeline) ask(ctx context.Context) <-chan struct{} {
	if p.hub == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	return start(ctx, "hub look-up", p.hub.Run, p.log)
}
