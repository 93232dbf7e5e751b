package simfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A teller gives the events of one kind of machine.
type teller struct {
	events <-chan fsnotify.Event
	add    func(string) error
}

// until collects the events up to one about a name; the same twice in a row is
// one, as the kernel may put them together.
func (w teller) until(t *testing.T, root, last string) string {
	t.Helper()
	var all []string
	for {
		select {
		case e := <-w.events:
			if e.Op == 0 {
				continue
			}
			text := fmt.Sprintf("%s %s", e.Op, strings.TrimPrefix(e.Name, root))
			if strings.HasSuffix(text, last) {
				return strings.Join(all, "\n")
			}
			if len(all) == 0 || all[len(all)-1] != text {
				all = append(all, text)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no event about %s", last)
		}
	}
}

// TestItTellsWhatFsnotifyTells watches two directories while random things are
// done to them, on real files and in memory.
func TestItTellsWhatFsnotifyTells(t *testing.T) {
	base := realRoot(t)
	for seed := range uint64(30) {
		root := filepath.Join(base, fmt.Sprint(seed))
		fsw, err := fsnotify.NewWatcher()
		if err != nil {
			t.Skip(err)
		}
		sim := simMachine{New(time.Now)}
		w := sim.NewWatcher(WatcherOptions{})
		machines := []machine{realMachine{}, sim}
		tellers := []teller{{fsw.Events, fsw.Add}, {w.Events, w.Add}}
		if err := errors.Join(machines[0].mkdir(root), sim.MkdirAll(root)); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, 2))
		var history []string
		play := func(count int) {
			for range count {
				what, do := operation(rng)
				history = append(history, what)
				for _, m := range machines {
					_ = do(m, root+"/")
				}
			}
		}
		play(60)
		history = append(history, "-- watch")
		for i, w := range tellers {
			if a, b := w.add(root+"/a"), w.add(root+"/b"); i == 1 && (a != nil || b != nil) {
				history = append(history, fmt.Sprint("not watched: ", a, b))
			}
			if err := w.add(root); err != nil {
				t.Fatal(err)
			}
		}
		play(40)
		var got [2]string
		for i, m := range machines {
			if err := m.create(root + "/the-end"); err != nil {
				t.Fatal(err)
			}
			got[i] = tellers[i].until(t, root, "/the-end")
		}
		if got[0] != got[1] {
			t.Errorf("seed %d\n%s\n\nthe kernel:\n%s\n\nin memory:\n%s", seed, strings.Join(history, "\n"), got[0], got[1])
		}
		_ = fsw.Close()
		_ = w.Close()
		if t.Failed() {
			return
		}
	}
}

func TestEventsCanBeLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(time.Now)
		lose := true
		w := f.NewWatcher(WatcherOptions{Lose: func(fsnotify.Event) bool { return lose }})
		defer w.Close()
		must(t, f.MkdirAll("/hub"), w.Add("/hub"), f.Mkdir("/hub/a", 0o755))
		lose = false
		must(t, f.Mkdir("/hub/b", 0o755))
		if e := <-w.Events; e.Name != "/hub/b" {
			t.Errorf("got %v, which was to be lost", e)
		}
		w.Overflow()
		got := <-w.Errors
		if !errors.Is(got, fsnotify.ErrEventOverflow) {
			t.Errorf("got %v, want an overflow", got)
		}
	})
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
