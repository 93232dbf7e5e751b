// Package web shows a running progressd over HTTP: a page for people, JSON and a
// stream of events for programs, metrics for Prometheus. It knows the daemon by
// its socket alone and sees there what its user may see. While nobody is
// connected it doesn't watch the daemon.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options are what a Server is made of; all of them are needed.
type Options struct {
	// Sockets are where a daemon is looked for, in that order.
	Sockets []string
	// Hosts are names of this machine, beside those that are always taken:
	// a request for any other host is refused.
	Hosts []string
	// IdleExit: Serve ends when nobody was connected for a minute.
	IdleExit bool
	Log      *slog.Logger
}

// The bounds. A connection costs some 20 KB, one that follows the events up to
// maxBehind messages more.
const (
	maxConns   = 256
	maxStreams = 128
	maxAsks    = 4
	idleAfter  = time.Minute

	headerTime = 5 * time.Second
	readTime   = 10 * time.Second
	keepTime   = time.Minute // between two requests; Prometheus asks each 15 s to 60 s
	writeTime  = 15 * time.Second
	stopTime   = 2 * time.Second
	maxHeader  = 16 << 10
)

// Server answers requests.
type Server struct {
	opts  Options
	relay *relay
	door  *door
	page  *page
	// streams and asks are the turns of those that last.
	streams, asks chan struct{}
}

// New returns a Server. It starts nothing.
func New(opts Options) *Server {
	return &Server{
		opts: opts, relay: newRelay(opts.Sockets), door: newDoor(maxConns), page: newPage(),
		streams: make(chan struct{}, maxStreams), asks: make(chan struct{}, maxAsks),
	}
}

// errIdle ends Serve without an error.
var errIdle = errors.New("nobody is connected")

// Serve answers at the listeners until ctx is done, or nobody is there any more
// if that is wished. It closes them.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTime, ReadTimeout: readTime, IdleTimeout: keepTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
		// What lasts ends with the server.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	for _, l := range listeners {
		group.Go(func() error {
			if err := server.Serve(s.door.guard(l)); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	group.Go(func() error { return s.watch(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer stop()
		if server.Shutdown(last) != nil {
			return server.Close()
		}
		return nil
	})
	if err := group.Wait(); err != nil && !errors.Is(err, errIdle) {
		return err
	}
	return nil
}

// watch follows the daemon while anybody is connected.
func (s *Server) watch(ctx context.Context) error {
	for s.opts.IdleExit || s.door.occupied(ctx) == nil {
		watching, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); s.relay.follow(watching) }()
		left := s.door.deserted(ctx, idleAfter) == nil
		stop()
		<-done
		if s.opts.IdleExit && left {
			return errIdle
		}
		if !left {
			break
		}
	}
	return nil // ctx is done
}

// Handler answers requests, without a listener.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.path, r.answer)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, r, http.StatusNotFound, "there is nothing at this path; /openapi.json lists what there is")
	})
	return s.guard(mux)
}

// A route is a path, by the pattern of http.ServeMux, and who answers.
type route struct {
	path   string
	answer http.HandlerFunc
}

func (s *Server) routes() []route {
	return []route{
		{"/{$}", s.showPage},
		{"/page/rows", s.streamRows},
		{"/v1/downloads", s.listDownloads},
		{"/v1/models/{type}/{org}/{name}", s.askModel},
		{"/v1/models/{type}/{name}", s.askModel},
		{"/v1/events", s.streamEvents},
		{"/metrics", s.metrics},
		{"/healthz", s.health},
		{"/openapi.json", s.describe},
	}
}
