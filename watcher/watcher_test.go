package watcher

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// both runs a test twice: by events, with a poll that never comes, and by
// poll, with events switched off (fault E6).
func both(t *testing.T, test func(t *testing.T, rig func(roots ...string) *rig)) {
	t.Run("events", func(t *testing.T) {
		t.Parallel()
		test(t, func(roots ...string) *rig { return newRig(t, far, true, roots...) })
	})
	t.Run("poll", func(t *testing.T) {
		t.Parallel()
		test(t, func(roots ...string) *rig { return newRig(t, soon, false, roots...) })
	})
}

func TestLooksWhereSomethingHappened(t *testing.T) {
	tests := []struct {
		name string
		// before the watcher starts; then, once the repo was seen; and what
		// has to be seen of it.
		before, then func(t *testing.T, repo string)
		files        int
	}{
		{
			name:   "a blob comes into a repo at rest",
			before: func(t *testing.T, repo string) { mkdir(t, repo, "blobs"); age(t, repo, "blobs") },
			then:   func(t *testing.T, repo string) { touch(t, repo, "blobs", "a") },
			files:  1,
		},
		{
			name:   "a blob goes",
			before: func(t *testing.T, repo string) { mkdir(t, repo, "blobs"); touch(t, repo, "blobs", "a") },
			then:   func(t *testing.T, repo string) { must(t, os.Remove(filepath.Join(repo, "blobs", "a"))) },
		},
		{
			name:   "blobs come into a repo without a blobs directory",
			before: func(t *testing.T, repo string) { mkdir(t, repo, "refs") },
			then:   func(t *testing.T, repo string) { mkdir(t, repo, "blobs"); touch(t, repo, "blobs", "a") },
			files:  1,
		},
		{
			name:   "a repo vanishes",
			before: func(t *testing.T, repo string) { mkdir(t, repo, "blobs") },
			then:   func(t *testing.T, repo string) { must(t, os.RemoveAll(repo)) },
			files:  -1,
		},
		{
			name:   "the blobs directory is swapped for another",
			before: func(t *testing.T, repo string) { mkdir(t, repo, "blobs") },
			then: func(t *testing.T, repo string) {
				must(t, os.Rename(filepath.Join(repo, "blobs"), filepath.Join(repo, "old")))
				mkdir(t, repo, "blobs")
				touch(t, repo, "blobs", "a")
			},
			files: 1,
		},
		{
			name: "the blobs directory is a link, then a directory",
			before: func(t *testing.T, repo string) {
				mkdir(t, repo)
				must(t, os.Symlink("/etc", filepath.Join(repo, "blobs")))
			},
			then: func(t *testing.T, repo string) {
				must(t, os.Remove(filepath.Join(repo, "blobs")))
				mkdir(t, repo, "blobs")
				touch(t, repo, "blobs", "a")
			},
			files: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, rig func(...string) *rig) {
				root := tempRoot(t)
				repo := mkdir(t, root, "models--a--b")
				tt.before(t, repo)
				g := rig(root).start()
				g.await("first look", func(s seen) bool { return s.folder == "models--a--b" })
				if g.w.notify != nil {
					g.awaitWatches(2)
				}
				tt.then(t, repo)
				g.awaitLook("models--a--b", tt.files)
			})
		})
	}
}

func TestFindsNewRepos(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(...string) *rig) {
		root := tempRoot(t)
		g := rig(root).start()
		mkdir(t, root, ".locks")
		touch(t, root, "models--a--file")
		must(t, os.Symlink("/etc", filepath.Join(root, "models--a--link")))
		mkdir(t, root, "models--a--b", "blobs")
		touch(t, root, "models--a--b", "blobs", "x")
		g.awaitLook("models--a--b", 1)
		if g.lookWithin(100*time.Millisecond, func(s seen) bool { return s.folder != "models--a--b" }) {
			t.Error("something that is no repository was looked at")
		}
	})
}

func TestForgetsAVanishedRepoAfterOneLook(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(...string) *rig) {
		root := tempRoot(t)
		repo := mkdir(t, root, "models--a--b", "blobs")
		g := rig(root).start()
		g.awaitLook("models--a--b", 0)
		must(t, os.RemoveAll(filepath.Dir(repo)))
		g.awaitLook("models--a--b", -1)
		g.awaitTrue("forgotten", func() bool { return g.w.Status()[0].Repos == 0 })
		if g.lookWithin(150*time.Millisecond, func(seen) bool { return true }) {
			t.Error("looked at again")
		}
	})
}

func TestFastAndSteadyAreUnwatchedAndLookedAtOften(t *testing.T) {
	t.Parallel()
	for _, pace := range []Pace{Fast, Steady} {
		testTimed(t, pace)
	}
}

func testTimed(t *testing.T, pace Pace) {
	both(t, func(t *testing.T, rig func(...string) *rig) {
		root := tempRoot(t)
		mkdir(t, root, "models--a--b", "blobs")
		g := rig(root)
		g.setPace("models--a--b", pace)
		g.start()
		for range 5 {
			g.awaitLook("models--a--b", 0)
		}
		if g.w.notify == nil {
			return
		}
		g.awaitWatches(1) // the root's
		g.setPace("models--a--b", Idle)
		g.awaitWatches(2)
		touch(t, root, "models--a--b", "blobs", "x")
		g.awaitLook("models--a--b", 1)
	})
}

func TestSlowIsLookedAtEveryPoll(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	age(t, root, "models--a--b", "blobs")
	g := newRig(t, 100*time.Millisecond, true, root)
	g.setPace("models--a--b", Slow)
	g.start()
	g.awaitLook("models--a--b", 0)
	start := time.Now()
	for range 4 {
		g.awaitLook("models--a--b", 0)
	}
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Errorf("4 looks took only %v", d)
	}
}

func TestIdleIsLeftAlone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(...string) *rig) {
		root := tempRoot(t)
		mkdir(t, root, "models--a--b", "blobs")
		age(t, root, "models--a--b", "blobs")
		g := rig(root).start()
		g.awaitLook("models--a--b", 0)
		if g.lookWithin(300*time.Millisecond, func(seen) bool { return true }) {
			t.Error("looked at, though nothing had happened")
		}
	})
}

func TestYoungStampIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, soon, false, root).start()
	for range 3 {
		g.awaitLook("models--a--b", 0)
	}
}

// A few costly looks after a calm come at once; then they rest.
func TestCostlyLooksRestAndAreQuickAfterACalm(t *testing.T) {
	const costly = 200 * time.Millisecond
	p := (&runner{}).newRepo("models--a--b", 1)
	p.looked = true
	look := func(at time.Duration) (next time.Duration) {
		p.pay(at, at+costly, costly, costly)
		return p.plan.rest
	}
	now := time.Hour
	if next := look(now); next != now+2*costly {
		t.Errorf("after a calm the second look comes %v later", next-now)
	}
	began, used := now, time.Duration(0)
	for now < began+10*time.Minute {
		now = look(now)
		used += costly
	}
	if most := (now - began + credit) / (lookShare + 1); used > most+costly {
		t.Errorf("looks used %v in %v, at most %v is allowed", used, now-began, most)
	}
	if least := (now - began) / (lookShare + 2); used < least {
		t.Errorf("looks used %v in %v, they may use %v", used, now-began, least)
	}
	calm := now + credit
	if next := look(calm); next != calm+2*costly {
		t.Errorf("after another calm the second look comes %v later", next-calm)
	}
}

func TestTheFirstLookOwesNothing(t *testing.T) {
	const costly = 2 * credit
	p := (&runner{}).newRepo("models--a--b", 1)
	p.pay(0, costly, costly, costly)
	if p.plan.rest != 2*costly {
		t.Errorf("after the first look the second comes %v later, want %v", p.plan.rest, 2*costly)
	}
	p.looked = true
	p.pay(p.plan.rest, p.plan.rest+costly, costly, costly)
	if p.plan.rest < lookShare*costly {
		t.Errorf("after the second look the third comes as soon as at %v", p.plan.rest)
	}
}

func TestSlowLooksRestAsLongAsTheyTake(t *testing.T) {
	t.Parallel()
	const slow = 200 * time.Millisecond
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, 2*slow, true, root)
	g.setPace("models--a--b", Fast)
	g.onLook = func(Root, string) { <-time.After(slow) }
	g.start()
	first := g.awaitLook("models--a--b", 0)
	if d := g.awaitLook("models--a--b", 0).at.Sub(first.at); d < 2*slow {
		t.Errorf("looks that take %v go on every %v", slow, d)
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, rig func(...string) *rig) {
		dir := tempRoot(t)
		mkdir(t, dir, "there")
		before := time.Now()
		g := rig(filepath.Join(dir, "there"), filepath.Join(dir, "later", "hub")).start()
		if c := g.awaitChange(Found); !c.Root.Since.IsZero() {
			t.Errorf("a root that was there at the start has Since %v", c.Root.Since)
		}
		if g.w.notify != nil {
			g.awaitTrue("the parent is watched", func() bool { return trapped(g) })
		}
		made := time.Now()
		mkdir(t, dir, "later", "hub", "models--a--b", "blobs")
		c := g.awaitChange(Found)
		if s := c.Root.Since; s.Before(before.Add(-clockSlack)) || s.After(made) {
			t.Errorf("a root made at %v has Since %v", made, s)
		}
		g.awaitLook("models--a--b", 0)
	})
}

func trapped(g *rig) bool {
	g.w.notify.mu.Lock()
	defer g.w.notify.mu.Unlock()
	for _, waiting := range g.w.notify.beneath {
		key := waiting[0].key
		if strings.HasSuffix(key, "later") || strings.HasSuffix(key, "later/hub") {
			return true
		}
	}
	return false
}

func TestStatus(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, far, true, root, "/nonexistent/hub").start()
	g.awaitLook("models--a--b", 0)
	g.awaitWatches(2)
	st := g.w.Status()
	if len(st) != 2 || st[0].Path != "/nonexistent/hub" || st[0].Present {
		t.Fatalf("status %+v", st)
	}
	if s := st[1]; s.Path != root || !s.Present || s.Polled || s.Repos != 1 || s.Failing != nil {
		t.Errorf("status %+v", s)
	}
}

func TestRefusesABadPattern(t *testing.T) {
	for _, pattern := range []string{"relative/hub", "/a/[", ""} {
		err := New(Options{Roots: []string{pattern}, Log: quietLog()}).Run(context.Background())
		if err == nil {
			t.Errorf("pattern %q is accepted", pattern)
		}
	}
}

func TestWithoutRootsItIsReadyAndWaits(t *testing.T) {
	newRig(t, far, true).start()
}

func TestHoldsNothingOpenBetweenLooks(t *testing.T) {
	root := tempRoot(t)
	mkdir(t, root, "models--a--b", "blobs")
	g := newRig(t, soon, true, root).start()
	g.awaitLook("models--a--b", 0)
	g.awaitTrue("no descriptor in the cache", func() bool {
		fds, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		for _, fd := range fds {
			if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, root) {
				return false
			}
		}
		return true
	})
}
