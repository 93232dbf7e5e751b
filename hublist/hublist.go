// Package hublist asks a Hugging Face hub which files a commit has, for
// downloads of clients that leave no listing in the cache. Nobody waits for
// it: what is known is handed out, what isn't is asked for by one worker.
//
// It trusts neither the hub nor the cache that the names come from: all is
// bounded, and the token goes to the configured endpoint alone.
package hublist

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	"progressd/hfcache"
)

// Options say whom to ask, and how. Endpoint, Dir and Log are needed.
type Options struct {
	// Endpoint is the hub's address, with https, or with http on loopback;
	// see config.Hub.
	Endpoint string
	// TokenFile holds the token; empty to ask as nobody.
	TokenFile string
	// OpenToken opens it; nil: this process itself.
	OpenToken func(path string) (*os.File, error)
	// Dial connects to the hub, or to a proxy; nil: this process itself.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Dir is where answers are kept. It is made when the first one comes.
	Dir string
	Log *slog.Logger
}

// Hub knows listings, or gets to know them while Run works.
type Hub struct {
	client *client
	shelf  shelf
	log    *slog.Logger
	wake   chan struct{}
	// said counts the refusals told; of the worker.
	said int
	// unwritable: the shelf can't be written, and that was said.
	unwritable bool

	mu    sync.Mutex
	queue fetchQueue
}

// New makes a Hub. It touches nothing.
func New(opts Options) (*Hub, error) {
	endpoint, err := url.Parse(opts.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the hub: %w", err)
	}
	if opts.OpenToken == nil {
		opts.OpenToken = openToken
	}
	token := func() (string, error) { return "", nil }
	if opts.TokenFile != "" {
		token = func() (string, error) { return readToken(opts.TokenFile, opts.OpenToken) }
	}
	return &Hub{
		client: newClient(endpoint, token, newTransport(opts.Dial)),
		shelf:  shelf{dir: opts.Dir, endpoint: opts.Endpoint},
		log:    opts.Log, wake: make(chan struct{}, 1),
	}, nil
}

// Listing gives the files of a commit, if they are known; it never waits. If
// they aren't, they are asked for: a later call has them. An answer is given
// once, and is the caller's to keep; after that it takes a moment again. It
// may be called from any goroutine.
func (h *Hub) Listing(repo hfcache.Repo, commit string) (hfcache.Listing, bool) {
	if _, ok := hfcache.NewRepo(repo.Type, repo.ID); !ok || !hfcache.IsCommit(commit) {
		return hfcache.Listing{}, false
	}
	h.mu.Lock()
	listing, ok, fresh := h.queue.ask(time.Now(), request{repo, commit})
	h.mu.Unlock()
	if fresh {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
	return listing, ok
}

// Run works on what is asked for until ctx is done, one thing at a time.
func (h *Hub) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		h.mu.Lock()
		do, r, pause := h.queue.next(time.Now())
		h.mu.Unlock()
		switch do {
		case toLook:
			h.look(r)
		case toFetch:
			h.fetch(ctx, r)
		case toRest, toWait:
			h.idle(ctx, pause)
		}
	}
	return nil
}

// idle returns when something is asked for, after pause if there is one, or
// when ctx is done.
func (h *Hub) idle(ctx context.Context, pause time.Duration) {
	var over <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-h.wake:
	case <-over:
	case <-ctx.Done():
	}
}

func (h *Hub) look(r request) {
	listing, err := h.shelf.load(r)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.log.Debug("a kept answer of the hub can't be used, and is asked for again", "file", h.shelf.path(r), "err", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.queue.notShelved(r)
		return
	}
	h.queue.answered(time.Now(), r, listing)
}

func (h *Hub) fetch(ctx context.Context, r request) {
	listing, err := h.client.list(ctx, r)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		h.keep(r, listing)
	}
	now := time.Now()
	h.mu.Lock()
	was := h.queue.down
	h.queue.fetched(now, r, err)
	if err == nil {
		h.queue.answered(now, r, listing)
	}
	is, pause := h.queue.down, h.queue.pause.Sub(now)
	h.mu.Unlock()
	switch {
	case is && !was:
		h.log.Warn("cannot ask the hub: downloads without a listing in the cache are told without a total, and it is tried again",
			"endpoint", h.shelf.endpoint, "err", err, "in", pause)
	case is:
		h.log.Debug("still cannot ask the hub", "err", err, "in", pause)
	case was:
		h.log.Info("the hub can be asked again", "endpoint", h.shelf.endpoint)
	}
	if err != nil && !is {
		h.tellRefusal(ctx, r, err)
	}
}

// maxRefusals bounds what is told of them: a hostile cache must not fill the
// journal.
const maxRefusals = 100

func (h *Hub) tellRefusal(ctx context.Context, r request, err error) {
	level := slog.LevelInfo
	if h.said++; h.said > maxRefusals {
		level = slog.LevelDebug
	}
	h.log.Log(ctx, level, "the hub doesn't list the files of a download: it is told without a total",
		"repo", r.repo.Slug(), "commit", r.commit, "err", err)
}

// keep puts an answer on the shelf; without one it is asked for again after
// a restart.
func (h *Hub) keep(r request, listing hfcache.Listing) {
	err := h.shelf.save(r, listing)
	if err != nil && !h.unwritable {
		h.log.Warn("cannot keep an answer of the hub", "dir", h.shelf.dir, "err", err)
	}
	h.unwritable = err != nil
}
