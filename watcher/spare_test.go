package watcher

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// usual is the poll interval that is shipped.
const usual = 5 * time.Second

// A root in which all is watched is polled when the turn comes to what is in it, every
// fourth time. At the others its finder has a look at it, which is one call.
func TestARootAtRestIsPolledInTurns(t *testing.T) {
	root := tempRoot(t)
	age(t, mkdir(t, root, "models--a--b", "blobs"))
	age(t, root)
	polling(t, usual, root, func(_ *madeUp, l *looks) {
		pass(time.Until(time.Now().Truncate(trailAge).Add(trailAge + time.Second)))
		before := l.kernel.calls.Load()
		pass(2 * turns * usual) // and the whole way isn't gone again
		// Twice the root is opened and told from others, and what is in it is looked at.
		if calls := l.kernel.calls.Load() - before; calls > 2*turns+2*3 {
			t.Errorf("%d calls in %d polls", calls, 2*turns)
		}
		if n := l.take(); len(n) > 0 {
			t.Errorf("looks at rest: %v", n)
		}
	})
}

// What no event tells of is found all the same: names in the root at the next poll,
// whichever of them that is, and what is in a repository within four.
func TestWhatNoEventTellsOfIsFoundAtRest(t *testing.T) {
	root := tempRoot(t)
	blobs := mkdir(t, root, "models--a--b", "blobs")
	age(t, blobs)
	age(t, root)
	polling(t, usual, root, func(_ *madeUp, l *looks) {
		for phase := range int(trailAge / usual) { // at one of them the finder goes the whole way
			age(t, root)
			pass(3 * turns * usual)
			pass(time.Duration(phase) * usual)
			l.take()
			folder, now := fmt.Sprintf("models--c--%d", phase), time.Now()
			mkdir(t, root, folder, "blobs")
			pass(usual + time.Second)
			if n := l.take(); n[folder] == 0 {
				t.Errorf("%s isn't found within a poll, %d polls on", folder, phase)
			}
			l.mu.Lock()
			if absent := l.came[folder]; absent.IsZero() || absent.After(now) {
				t.Errorf("%s came at %v, and wasn't there at %v", folder, now, absent)
			}
			l.mu.Unlock()
			age(t, root, folder, "blobs")
		}
		pass(3 * turns * usual)
		l.take()
		touch(t, blobs, "x")
		pass(turns*usual + time.Second)
		if n := l.take(); n["models--a--b"] == 0 {
			t.Error("what comes in a repository is never found")
		}
	})
}

// Since when a folder wasn't there is known to a poll also where the root is polled
// less often.
func TestWhatComesAtRestIsToldOfWithTheTimeOfItsAbsence(t *testing.T) {
	root := tempRoot(t)
	age(t, mkdir(t, root, "models--a--b", "blobs"))
	age(t, root)
	polling(t, usual, root, func(m *madeUp, l *looks) {
		for phase := range 2 * turns {
			age(t, root)
			pass(3*turns*usual + time.Duration(phase)*usual)
			folder, now := fmt.Sprintf("models--c--%d", phase), time.Now()
			age(t, mkdir(t, root, folder, "blobs"))
			m.events <- fsnotify.Event{Name: filepath.Join(root, folder), Op: fsnotify.Create}
			pass(time.Second)
			l.mu.Lock()
			absent := now.Sub(l.came[folder])
			l.mu.Unlock()
			if absent < 0 || absent > usual+time.Second {
				t.Errorf("%s was last known not to be there %v before it came, %d polls on", folder, absent, phase)
			}
		}
	})
}

// When the whole way is gone it isn't seen what has become of a place since it was
// looked at last: whoever looks after it finds out.
func TestWhoGoesTheWholeWayWakesAllThatItLeadsTo(t *testing.T) {
	t.Parallel()
	base := tempRoot(t)
	mkdir(t, base, "a", "hub")
	mkdir(t, base, "b", "hub")
	f := newFinder(New(Options{}), filepath.Join(base, "*", "hub"))
	var woken []string
	f.rouse = func(path string) { woken = append(woken, path) }
	for range 100 { // on a busy machine a place may have to be asked about once more
		if f.find(t.Context(), time.Now(), func(report) {}); len(woken) > 1 {
			break
		}
	}
	if slices.Sort(woken); !slices.Equal(woken, []string{filepath.Join(base, "a", "hub"), filepath.Join(base, "b", "hub")}) {
		t.Errorf("woken are %q", woken)
	}
}
