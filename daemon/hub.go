package daemon

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"progressd/config"
	"progressd/hfcache"
	"progressd/hublist"
)

// answersDir is where in the state directory the hub's answers are kept.
const answersDir = "hub"

// A Way is how what this process may not do itself is done for the hub look-up; nil:
// it may.
type Way struct {
	// Open opens the token.
	Open func(path string) (*os.File, error)
	// Dial connects.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// HubOf makes the hub look-up, nil if it is switched off or can't be.
func HubOf(set config.Settings, getenv func(string) string, way Way, log *slog.Logger) *hublist.Hub {
	if !set.Hub.Enabled {
		return nil
	}
	token, err := config.TokenFile(set.Config, getenv)
	if err == nil {
		var hub *hublist.Hub
		if hub, err = hublist.New(hublist.Options{
			Endpoint: set.Hub.Endpoint, TokenFile: token, OpenToken: way.Open, Dial: way.Dial,
			Dir: filepath.Join(set.StateDir, answersDir), Log: log,
		}); err == nil {
			return hub
		}
	}
	log.Error("the hub is not asked: downloads without a listing in the cache are told without a total", "err", err)
	return nil
}

// ask runs the hub look-up, if there is one. It ends by itself soon after ctx
// is done.
func (p *Pipeline) ask(ctx context.Context) <-chan struct{} {
	if p.hub == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	return Start(ctx, "hub look-up", p.hub.Run, p.log)
}

// listingOf asks the hub for the files of a commit; nil if it is switched off.
func listingOf(hub *hublist.Hub) func(hfcache.Repo, string) (hfcache.Listing, bool) {
	if hub == nil {
		return nil
	}
	return hub.Listing
}
