package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"progressd/internal/hub"
	"progressd/packaging"
)

// step is that of the configuration, in bytes.
const step = 1_000_000

// world is what all actors share.
type world struct {
	options
	pace   pace
	began  time.Time
	hubs   []*hub.Hub // a slow one, and one as fast as it can
	daemon *daemon
	// clients holds as many as may run at a time.
	clients chan struct{}

	mu     sync.Mutex
	begun  int // stories
	models []*model
	faults []fault
}

// fault is something that progressd may not do.
type fault struct {
	model *model // nil: the daemon itself
	at    time.Time
	text  string
}

func (w *world) cache() string { return filepath.Join(w.dir, "hub") }
func (w *world) logs() string  { return filepath.Join(w.dir, "log") }
func (w *world) bin() string   { return filepath.Join(w.dir, "bin") }

// slowRate is shared by all downloads of the slow hub, in bytes a second.
const slowRate = 8_000_000

// atATime is how many clients run while others wait for their verdicts.
const atATime = 24

func newWorld(o options) (*world, error) {
	w := &world{options: o, pace: o.pace(), began: time.Now(), clients: make(chan struct{}, atATime)}
	if w.actors == 0 {
		w.actors = w.pace.repos
	}
	if w.patience == 0 {
		w.patience = w.pace.patience()
	}
	if w.dir == "" {
		dir, err := os.MkdirTemp("", "progressd-soak-")
		if err != nil {
			return nil, fmt.Errorf("cannot make a directory for the soak: %w", err)
		}
		w.dir = dir
	}
	state := filepath.Join(w.dir, "state")
	if err := mkdirs(w.cache(), w.logs(), w.bin(), state); err != nil {
		return nil, err
	}
	config := filepath.Join(w.dir, "config.toml")
	text := w.pace.config(packaging.Paths{Roots: []string{w.cache()}, Logs: w.logs(), State: state})
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the soak's configuration: %w", err)
	}
	for _, rate := range []int64{slowRate, 0} {
		h := hub.New(hub.Options{Rate: rate})
		if err := h.Start(); err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.hubs = append(w.hubs, h)
	}
	w.daemon = newDaemon(w, o.progressd, config)
	return w, nil
}

func (w *world) close() error {
	var err error
	for _, h := range w.hubs {
		err = errors.Join(err, h.Close())
	}
	return err
}

// next is the number of the next story to play; false if there shall be no
// more of them.
func (w *world) next() (uint64, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lives > 0 && w.begun >= w.lives {
		return 0, false
	}
	w.begun++
	return uint64(w.begun), true
}

// plot is the randomness of a story.
func (w *world) plot(number uint64) *rand.Rand {
	if w.story > 0 {
		number = w.story
	}
	return w.random(number)
}

func (w *world) add(m *model) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.models = append(w.models, m)
}

// blame notes a fault.
func (w *world) blame(m *model, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fault{model: m, at: time.Now(), text: fmt.Sprintf(format, args...)})
}
