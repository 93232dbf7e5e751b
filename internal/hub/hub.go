// Package hub is a Hugging Face hub on loopback for tests and the demo: it
// speaks as much of the API as huggingface_hub 0.21 to 2.4 and the writers of
// package client ask for. The files are made up, deterministic and never held
// in memory.
package hub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"progressd/hfcache"
)

// Options are what a hub can be told at its start. The zero value serves as
// fast as it can, in one page, without redirects.
type Options struct {
	// Rate limits all content together, in bytes a second; 0 is no limit.
	Rate int64
	// FileRate limits each response with content for itself, in bytes a
	// second; 0 is no limit.
	FileRate int64
	// PageSize is how many entries a page of a tree listing holds; 0 is all.
	PageSize int
	// CDN answers a request for a large file by a redirect to another
	// origin, with the size and etag in headers of their own, as the real
	// hub does.
	CDN bool
}

// Hub serves repositories until it is closed. All methods may be called at
// any time, from any goroutine.
type Hub struct {
	opts     Options
	bucket   *bucket
	server   *http.Server
	url, cdn string
	handlers sync.WaitGroup
	serving  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	failed error
	repos  map[hfcache.Repo]*repository
	blobs  map[string]Entry
	hashed map[content]sums
	faults map[faultKey]*Fault
	counts map[string]int64
	asked  map[string]int
}

// New makes a hub without repositories; Start lets it answer.
func New(opts Options) *Hub {
	h := &Hub{
		opts:   opts,
		bucket: &bucket{rate: opts.Rate},
		repos:  map[hfcache.Repo]*repository{},
		blobs:  map[string]Entry{},
		hashed: map[content]sums{},
		faults: map[faultKey]*Fault{},
		counts: map[string]int64{},
		asked:  map[string]int{},
	}
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	return h
}

// Start listens on free ports of 127.0.0.1 and serves until Close, in the
// background.
func (h *Hub) Start() error {
	// Two, since clients follow a redirect within one origin and miss the
	// headers that came with it.
	for _, url := range []*string{&h.url, &h.cdn} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return errors.Join(fmt.Errorf("cannot listen on loopback: %w", err), h.Close())
		}
		*url = "http://" + l.Addr().String()
		h.serving.Go(func() { h.serve(l) })
	}
	return nil
}

func (h *Hub) serve(l net.Listener) {
	if err := h.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.failed = errors.Join(h.failed, err)
	}
}

// URL is the endpoint (HF_ENDPOINT) of a started hub.
func (h *Hub) URL() string { return h.url }

// Close breaks all connections and returns when every handler has ended.
func (h *Hub) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	// A handler's context ends with its connection.
	err := h.server.Close()
	h.handlers.Wait()
	h.serving.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(err, h.failed)
}

// enter counts a handler, unless it comes too late for Close to wait for it.
func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.handlers.Add(1)
	return true
}

// Served is how many bytes of a blob were sent, over all requests; the last
// piece of a broken connection counts in full.
func (h *Hub) Served(etag string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[etag]
}

// Requests is how often a blob was asked for by GET.
func (h *Hub) Requests(etag string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[etag]
}

func (h *Hub) count(etag string, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[etag] += n
}

// bucket spreads bytes over time: each take is due when those before it have
// had their share.
type bucket struct {
	rate int64
	mu   sync.Mutex
	free time.Time
}

// take waits until n more bytes may pass, or for ctx.
func (b *bucket) take(ctx context.Context, n int) error {
	if b.rate <= 0 {
		return ctx.Err()
	}
	b.mu.Lock()
	now := time.Now()
	if b.free.Before(now) {
		b.free = now
	}
	b.free = b.free.Add(time.Duration(int64(n) * int64(time.Second) / b.rate))
	wait := b.free.Sub(now)
	b.mu.Unlock()

	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
