package tracker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/sizer"
)

func TestWhereNoLockIsVisibleDeathIsNoticedBySilence(t *testing.T) {
	eachWriter(t, func(t *testing.T, w *witness, name string, _ func() error) {
		if name == "swift" {
			t.Skip("its lock is all that shows while it fetches")
		}
		w.blind = true
		w.killAt(client.Written, 2)
		if err := w.writers()[name](); !errors.Is(err, client.ErrKilled) {
			t.Fatalf("got %v", err)
		}
		w.rest(12 * time.Minute)
		if want := "preparing started interrupted"; w.told() != want || w.since(Interrupted) != defaults.StallAfter {
			t.Errorf("told %s after %v", w.told(), w.since(Interrupted))
		}
	})
}

func TestWhereNoLockIsVisibleTheEndIsTrueAllTheSame(t *testing.T) {
	eachWriter(t, func(t *testing.T, w *witness, name string, download func() error) {
		w.blind = true
		must(t, download())
		w.rest(2 * time.Minute)
		want := "preparing started unlisted completed"
		if strings.Contains(name, ", listed") {
			want = "preparing started completed"
		}
		if w.told() != want || w.highest != w.size() {
			t.Errorf("told %s, want %s; %d bytes, want %d", w.told(), want, w.highest, w.size())
		}
	})
}

func TestEveryClientsSilenceIsJudgedByWhatCanBeKnown(t *testing.T) {
	eachWriter(t, func(t *testing.T, w *witness, name string, _ func() error) {
		w.hh.Workers = 1
		at := client.Written
		if name == "swift" {
			at = client.Locked
		}
		if name == "llama.cpp" || name == "rust-1" { // else others come meanwhile
			w.only(bigFile)
		}
		held := false
		w.hh.Pause = func(_ context.Context, stage client.Stage, path string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.look(0)
			if stage == at && path == bigFile && !held {
				held = true
				w.rest(10*time.Minute + 30*time.Second)
			}
			return nil
		}
		must(t, w.writers()[name]())
		w.die()
		w.rest(2 * time.Minute)
		middle := "stalled moving "
		switch name {
		case "swift": // what it fetches, it fetches elsewhere
			middle = ""
		case "rust-0.3", "rust-0.3-tokio", "huggingface.js", "llama.cpp":
			middle = "interrupted moving " // nobody knows whether somebody is there
		}
		end := "unlisted completed"
		if strings.Contains(name, ", listed") {
			end = "completed"
		}
		if w.hh.Include != nil {
			end = "ended" // the number in its name tells of another one
		}
		if want := "preparing started " + middle + end; w.told() != want || w.highest != w.size() {
			t.Errorf("told %s, want %s; %d bytes, want %d", w.told(), want, w.highest, w.size())
		}
	})
}

func TestOldContentThatIsWrittenOverIsNoStandstill(t *testing.T) {
	w := newWitness(t)
	w.killAt(client.Written, 5)
	if err := w.writers()["xet 1.2"](); !errors.Is(err, client.ErrKilled) {
		t.Fatal(err)
	}
	w.die()
	w.rest(5 * time.Minute)
	w.live()
	w.hh.Pause = func(_ context.Context, at client.Stage, path string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.look(0)
		if at == client.Written && path == bigFile {
			w.rest(4 * time.Minute)
		}
		return nil
	}
	must(t, w.writers()["xet 1.2"]())
	w.die()
	w.rest(2 * time.Minute)
	if want := "preparing started interrupted moving unlisted completed"; w.told() != want || w.highest != w.size() {
		t.Errorf("told %s, want %s; %d bytes, want %d", w.told(), want, w.highest, w.size())
	}
}

// restart ends the daemon and begins another with what the first remembered.
func (w *witness) restart() {
	raw, err := json.Marshal(w.d.episode())
	must(w.t, err)
	var ep Episode
	must(w.t, json.Unmarshal(raw, &ep))
	w.watch(time.Now(), func(hfcache.Repo) (sizer.Checkpoint, bool) { return ep.Checkpoint, true })
	w.d = restoreDownload(defaults, ep, time.Now().Add(w.ahead))
}

func TestEveryClientsDownloadGoesOnOverARestart(t *testing.T) {
	eachWriter(t, func(t *testing.T, w *witness, name string, _ func() error) {
		at, n := client.Written, 2
		if name == "swift" {
			at, n = client.Locked, 1
		}
		w.hh.Workers = 1
		w.hh.Pause = func(_ context.Context, stage client.Stage, path string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.look(0)
			if stage != at || path != bigFile {
				return nil
			}
			if n--; n == 0 {
				w.restart()
				w.look(0)
			}
			return nil
		}
		must(t, w.writers()[name]())
		w.die()
		w.rest(2 * time.Minute)
		want := "preparing started unlisted completed"
		if strings.Contains(name, ", listed") {
			want = "preparing started completed"
		}
		if w.told() != want || w.highest != w.size() {
			t.Errorf("told %s, want %s; %d bytes, want %d", w.told(), want, w.highest, w.size())
		}
	})
}
