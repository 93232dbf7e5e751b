package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// many is a number of pods whose caches aren't all asked about at each poll.
const many = few + 6

// A node is a directory of pods, with a cache in one volume of each, of one repository.
type node struct{ dir string }

func newNode(t *testing.T, pods int) node {
	t.Helper()
	n := node{tempRoot(t)}
	for i := range pods {
		age(t, mkdir(t, n.hub(i), n.folder(i), "blobs"))
		age(t, n.hub(i))
		age(t, n.volumes(i))
	}
	age(t, n.dir, "pods")
	return n
}

func (n node) pattern() string          { return filepath.Join(n.dir, "pods/*/kubelet/volumes/*/hub") }
func (n node) pod(i int) string         { return filepath.Join(n.dir, "pods", fmt.Sprint(i)) }
func (n node) volumes(i int) string     { return filepath.Join(n.pod(i), "kubelet/volumes") }
func (n node) hub(i int) string         { return filepath.Join(n.volumes(i), "cache/hub") }
func (node) folder(i int) string        { return fmt.Sprintf("models--pod--%d", i) }
func (n node) blobs(i int) string       { return filepath.Join(n.hub(i), n.folder(i), "blobs") }
func (l *looks) at(folder string) int   { return l.take()[folder] }
func (m *madeUp) watches(d string) bool { return slices.Contains(m.watched(), d) }

// Of hundreds of caches at rest each is asked about in turns, with the directory that it
// was found in and the repository in it: a call for each, and nobody is woken for it.
func TestOfManyPlacesEachIsAskedAboutInItsTurn(t *testing.T) {
	n := newNode(t, many)
	polling(t, usual, n.pattern(), func(m *madeUp, l *looks) {
		pass(2 * turns * usual)
		if !m.watches(n.volumes(7)) || !m.watches(filepath.Join(n.dir, "pods")) {
			t.Error("the directories on the way aren't watched")
		}
		before := l.kernel.calls.Load()
		pass(trailAge)
		// Once a minute it is asked whether a link has come on the way, which has four
		// more directories for each.
		most := int64(trailAge/(turns*usual))*(1+3*many) + 4*many + int64(strings.Count(n.dir, "/"))
		if calls := l.kernel.calls.Load() - before; calls > most {
			t.Errorf("%d calls in a minute, want %d at most", calls, most)
		}
		if n := l.take(); len(n) > 0 {
			t.Errorf("looks at rest: %v", n)
		}
	})
}

// What no event tells of is found when its turn comes, wherever it is.
func TestWhatNoEventTellsOfIsFoundAmongManyPlaces(t *testing.T) {
	n := newNode(t, many)
	polling(t, usual, n.pattern(), func(_ *madeUp, l *looks) {
		for i := range 2 * turns {
			pass(3 * turns * usual)
			pass(time.Duration(i) * usual)
			l.take()
			mkdir(t, n.hub(i), "models--new--root", "blobs")
			mkdir(t, n.volumes(i+10), "new", "hub", fmt.Sprintf("models--new--volume%d", i), "blobs")
			touch(t, n.blobs(i+20), "x")
			pass(turns*usual + time.Second)
			got := l.take()
			for _, folder := range []string{"models--new--root", fmt.Sprintf("models--new--volume%d", i), n.folder(i + 20)} {
				if got[folder] == 0 {
					t.Errorf("%s isn't found in %d polls", folder, turns)
				}
			}
			must(t, os.RemoveAll(filepath.Join(n.hub(i), "models--new--root")))
			age(t, n.blobs(i+20))
			age(t, n.hub(i))
			age(t, n.volumes(i+10))
		}
	})
}

// What an event tells of is asked about at the next poll, whose turn it may be.
func TestAVolumeOfWhichAnEventTellsIsFoundAtTheNextPoll(t *testing.T) {
	n := newNode(t, many)
	polling(t, usual, n.pattern(), func(m *madeUp, l *looks) {
		for i := range turns {
			pass(3 * turns * usual)
			folder := fmt.Sprintf("models--new--%d", i)
			mkdir(t, n.volumes(i), "new", "hub", folder, "blobs")
			m.events <- fsnotify.Event{Name: filepath.Join(n.volumes(i), "new"), Op: fsnotify.Create}
			pass(usual + time.Second)
			if l.at(folder) == 0 {
				t.Errorf("%s isn't found at the next poll", folder)
			}
			age(t, n.volumes(i))
		}
	})
}

// A place that hangs keeps the finder from asking about the others in one go: their own
// goroutines look after them meanwhile.
func TestRootsAtRestAreLookedAfterWhileAnotherHangs(t *testing.T) {
	for _, pods := range []int{3, many} {
		n := newNode(t, pods)
		polling(t, usual, n.pattern(), func(_ *madeUp, l *looks) {
			pass(2 * turns * usual)
			var stuck atomic.Bool
			gate := make(chan struct{})
			wait := func(path string) {
				if stuck.Load() && strings.HasPrefix(path, n.pod(2)) {
					<-gate
				}
			}
			l.kernel.waits.Store(&wait)
			stuck.Store(true)
			pass(turns * usual)
			l.take()
			touch(t, n.blobs(1), "x")
			mkdir(t, n.hub(0), "models--new--m", "blobs")
			pass(turns*usual + time.Second)
			if got := l.take(); got[n.folder(1)] == 0 || got["models--new--m"] == 0 {
				t.Errorf("of %d roots, what comes in others than that which hangs isn't found: %v", pods, got)
			}
			stuck.Store(false)
			close(gate)
			pass(turns * usual)
			touch(t, n.blobs(2), "x")
			pass(turns*usual + time.Second)
			if l.at(n.folder(2)) == 0 {
				t.Errorf("of %d roots, that which has hung isn't looked after", pods)
			}
		})
	}
}

// A link on the way, to the directory that was there before, moves nothing that is asked
// about at each poll.
func TestALinkThatComesOnTheWayIsFoundWithinAMinute(t *testing.T) {
	for _, pods := range []int{3, many} {
		n := newNode(t, pods)
		polling(t, usual, n.pattern(), func(_ *madeUp, l *looks) {
			pass(2 * turns * usual)
			l.take()
			elsewhere := filepath.Join(n.dir, "elsewhere")
			must(t, os.Rename(filepath.Join(n.pod(1), "kubelet"), elsewhere))
			must(t, os.Symlink(elsewhere, filepath.Join(n.pod(1), "kubelet")))
			pass(trailAge + 2*usual)
			if l.at(n.folder(1)) == 0 {
				t.Errorf("of %d roots, one is watched by the way on which a link has come", pods)
			}
		})
	}
}

// A root that its own pattern leads to no longer, but another one does, is looked after by
// its own goroutine.
func TestARootThatIsOnNoTrailIsTakenBack(t *testing.T) {
	t.Parallel()
	n := newNode(t, 1)
	f := newFinder(New(Options{Poll: usual}), n.pattern())
	f.resolve(t.Context())
	f.rests.admit()
	on, off := &rest{box: f.box}, &rest{box: newMailbox(0)}
	f.rests.add(n.hub(0), on)
	f.rests.add("/elsewhere", off)
	f.round()
	if len(off.box.wake) != 1 || len(on.box.wake) != 0 {
		t.Error("it is left to a finder that never comes there, or all are taken back")
	}
}

// A repository that has no blobs yet is one that rests, too.
func TestWhatHasNoBlobsYetIsLeftToTheFinder(t *testing.T) {
	root := tempRoot(t)
	age(t, mkdir(t, root, "models--a--b"))
	age(t, root)
	polling(t, usual, root, func(_ *madeUp, l *looks) {
		pass(3 * turns * usual)
		before := l.kernel.calls.Load()
		pass(2 * turns * usual)
		// The root at each poll, what is in it in turns, and the way once a minute.
		most := int64(2*turns + 2 + strings.Count(root, "/"))
		if calls := l.kernel.calls.Load() - before; calls > most {
			t.Errorf("%d calls in %d polls, want %d at most", calls, 2*turns, most)
		}
		l.take()
		mkdir(t, root, "models--a--b", "blobs")
		age(t, root, "models--a--b")
		pass(turns*usual + time.Second)
		if l.at("models--a--b") == 0 {
			t.Error("what comes in it is never found")
		}
	})
}

// A pod that comes or goes has nobody watch the directories of all others anew.
func TestWhatComesElsewhereLeavesGuardsAsTheyAre(t *testing.T) {
	n := newNode(t, many)
	polling(t, usual, n.pattern(), func(m *madeUp, l *looks) {
		pass(2 * turns * usual)
		before := m.added.Load()
		mkdir(t, n.volumes(3), "new", "hub", "models--new--m", "blobs")
		poll := time.Now().Truncate(usual).Add(usual) // at which it has just come
		must(t, os.Chtimes(n.volumes(3), poll, poll))
		m.events <- fsnotify.Event{Name: filepath.Join(n.volumes(3), "new"), Op: fsnotify.Create}
		pass(2 * turns * usual)
		// Its root, and the repository in it.
		if l.at("models--new--m") == 0 || m.added.Load()-before != 2 || !m.watches(n.volumes(3)) {
			t.Errorf("%d directories are watched anew", m.added.Load()-before)
		}
	})
}

// Where not all is asked about at each poll, a root that no event tells of was last known
// not to be there when it was asked about, and not at the polls in between: what had come
// to it by then is no news else.
func TestARootThatNoEventTellsOfWasNotThereBeforeItWasMade(t *testing.T) {
	n := newNode(t, many)
	polling(t, usual, n.pattern(), func(_ *madeUp, l *looks) {
		for i := range 2 * turns {
			pass(3*turns*usual + time.Duration(i)*usual)
			pass(time.Until(time.Now().Truncate(usual).Add(usual + usual/2)))
			made, hub := time.Now(), filepath.Join(n.volumes(i+10), "new", "hub")
			mkdir(t, hub, fmt.Sprintf("models--new--v%d", i), "blobs")
			pass((turns + 1) * usual)
			found, ok := l.roots.Load(hub)
			if !ok {
				t.Fatalf("%d: not found within %d polls", i, turns+1)
			}
			if since := found.(Root).Since; since.After(made) {
				t.Errorf("%d: it is said not to have been there %v after it was made", i, since.Sub(made))
			}
			age(t, n.volumes(i+10))
		}
	})
}

// A directory on the way may be another one all at once, and too much may be told in it.
func TestADirectoryOnTheWayIsWatchedAgain(t *testing.T) {
	for what, change := range map[string]func(n node, m *madeUp){
		"another one lies there": func(n node, _ *madeUp) {
			must(t, os.Rename(filepath.Join(n.pod(3), "kubelet"), filepath.Join(n.pod(3), "old")))
			mkdir(t, n.volumes(3))
			age(t, n.volumes(3))
		},
		"after a storm": func(n node, m *madeUp) {
			for range stormOfOne + 2 {
				m.events <- fsnotify.Event{Name: n.volumes(3) + "/x", Op: fsnotify.Create}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			n := newNode(t, many)
			polling(t, usual, n.pattern(), func(m *madeUp, _ *looks) {
				pass(3 * turns * usual)
				if !m.watches(n.volumes(3)) {
					t.Fatal("it isn't watched")
				}
				added := m.added.Load()
				change(n, m)
				pass(10 * turns * usual)
				if !m.watches(n.volumes(3)) || m.added.Load() == added {
					t.Errorf("watched: %v, with %d more watches", m.watches(n.volumes(3)), m.added.Load()-added)
				}
			})
		})
	}
}

// Where so many places hang that one is waited for, each root looks after itself.
func TestWhileSoManyPlacesHangEachRootLooksAfterItself(t *testing.T) {
	n := newNode(t, 3)
	polling(t, usual, n.pattern(), func(_ *madeUp, l *looks) {
		pass(3 * turns * usual)
		var stuck atomic.Bool
		gate := make(chan struct{})
		wait := func(path string) {
			if stuck.Load() && strings.Contains(path, "/hung") && strings.HasSuffix(path, "hub") {
				<-gate
			}
		}
		l.kernel.waits.Store(&wait)
		stuck.Store(true)
		for i := range maxHanging + 4 {
			mkdir(t, n.volumes(1), fmt.Sprintf("hung%d", i), "hub")
		}
		pass(4 * turns * usual)
		l.take()
		touch(t, n.blobs(0), "x")
		pass((turns + 1) * usual)
		if l.at(n.folder(0)) == 0 {
			t.Errorf("what no event tells of isn't found within %d polls", turns+1)
		}
		close(gate)
		stuck.Store(false)
		pass(4 * usual)
	})
}
