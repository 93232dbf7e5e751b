package tracker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// Write-back gives the sparse file of a dead client one block more after some 30 s.
func TestABlockThatComesAfterDeathIsNoLife(t *testing.T) {
	for _, name := range []string{"rust-0.4-tokio", "hf_transfer", "xet 1.2"} {
		t.Run(name, func(t *testing.T) {
			w := newWitness(t)
			w.killAt(client.Written, 2)
			if err := w.writers()[name](); !errors.Is(err, client.ErrKilled) {
				t.Fatal(err)
			}
			w.die()
			w.rest(30 * time.Second)
			w.writeBack()
			w.rest(12 * time.Minute)
			if want := "preparing started interrupted"; w.told() != want || w.since(Interrupted) != defaults.InterruptAfter {
				t.Errorf("told %s after %v", w.told(), w.since(Interrupted))
			}
		})
	}
}

// writeBack fills a block of each hole, as of the time at which the file was
// written to last.
func (w *witness) writeBack() {
	w.t.Helper()
	partials, err := filepath.Glob(filepath.Join(w.hh.Root, folder, "blobs", "*part*"))
	more, err2 := filepath.Glob(filepath.Join(w.hh.Root, folder, "blobs", "*.incomplete"))
	must(w.t, errors.Join(err, err2))
	filled := 0
	for _, path := range append(partials, more...) {
		info, err := os.Stat(path)
		must(w.t, err)
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		must(w.t, err)
		hole, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_HOLE)
		must(w.t, err)
		if hole < info.Size() {
			_, err = f.WriteAt(make([]byte, 1), hole)
			filled++
		}
		must(w.t, errors.Join(err, f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())))
	}
	if filled == 0 {
		w.t.Fatal("no file has a hole")
	}
}
