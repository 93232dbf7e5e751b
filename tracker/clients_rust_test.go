package tracker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"progressd/internal/client"
)

// Where the root has a second repository nobody can tell whose a file in
// ROOT/tmp is: its bytes count when it is in its place, and until then nothing
// is called complete that may be waiting for it.

func besides(t *testing.T, w *witness) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(w.hh.Root, "models--org--other", "blobs"), 0o755))
}

func rust03(w *witness) *client.Other {
	w.hh.Workers = 1
	return &client.Other{HH: w.hh, Kind: client.Rust03}
}

func TestAFileInTheRootThatMayBeAnothersCountsWhenItIsInItsPlace(t *testing.T) {
	w := newWitness(t)
	besides(t, w)
	o := rust03(w)
	o.Pause = func(_ context.Context, at client.Stage, path string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.look(0)
		if at != client.Written || path != bigFile {
			return nil
		}
		// Slow: all in all longer than it takes to give a download up.
		for range 12 {
			l := w.look(10 * time.Second)
			if l.Partials != 0 || l.Bytes != 600+2*piece {
				t.Errorf("counted while it is written: %+v", l)
			}
		}
		return nil
	}
	_, err := o.Download(t.Context(), demoRepo, "main")
	must(t, err)
	w.rest(2 * time.Minute)
	if want := "preparing started unlisted completed"; w.told() != want || w.highest != w.size() {
		t.Errorf("told %s, want %s; %d bytes, want %d", w.told(), want, w.highest, w.size())
	}
}

func TestAFileLeftInTheRootThatMayBeAnothersIsNoCompletion(t *testing.T) {
	w := newWitness(t)
	besides(t, w)
	w.killAt(client.Written, 2)
	if _, err := rust03(w).Download(t.Context(), demoRepo, "main"); !errors.Is(err, client.ErrKilled) {
		t.Fatal(err)
	}
	w.rest(12 * time.Minute)
	if want := "preparing started ended"; w.told() != want || w.since(Ended) != defaults.StallAfter {
		t.Errorf("told %s after %v, want %s after %v", w.told(), w.since(Ended), want, defaults.StallAfter)
	}
}

func TestALeftoverInTheRootHoldsNothingUp(t *testing.T) {
	w := newWitness(t)
	besides(t, w)
	old := filepath.Join(w.hh.Root, "tmp", "aB3dE5g")
	must(t, errors.Join(os.MkdirAll(filepath.Dir(old), 0o755), os.WriteFile(old, make([]byte, piece), 0o644)))
	must(t, os.Chtimes(old, time.Time{}, time.Now().Add(-time.Hour)))
	w.watch(time.Now(), nil)
	_, err := rust03(w).Download(t.Context(), demoRepo, "main")
	must(t, err)
	w.rest(2 * time.Minute)
	if want := "preparing started unlisted completed"; w.told() != want || w.highest != w.size() {
		t.Errorf("told %s, want %s; %d bytes, want %d", w.told(), want, w.highest, w.size())
	}
}
