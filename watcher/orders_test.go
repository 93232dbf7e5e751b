package watcher

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"progressd/account"
)

// looksUntil gives when the looks at a folder came until then, since the start,
// to a tenth of a second.
func (g *rig) looksUntil(start time.Time, d time.Duration, folder string) (at []time.Duration) {
	g.t.Helper()
	<-time.After(time.Until(start.Add(d))) // the bubble's time, not ours
	synctest.Wait()
	for {
		select {
		case s := <-g.looks:
			if s.folder == folder {
				at = append(at, s.at.Sub(start).Truncate(100*time.Millisecond))
			}
		default:
			return at
		}
	}
}

func TestAnOrderedLookComesInTime(t *testing.T) {
	const repo = "models--a--b"
	tests := []struct {
		name string
		pace Pace
		poll time.Duration
		// make is false if there is no such repository.
		make  bool
		order func(attend func(by time.Duration))
		want  []time.Duration
	}{
		{
			"however seldom it is polled", Idle, far, true,
			func(attend func(time.Duration)) { attend(7 * time.Second) },
			[]time.Duration{0, 7 * time.Second},
		},
		{
			"and only there: the last order counts", Slow, far, true,
			func(attend func(time.Duration)) {
				attend(7 * time.Second)
				attend(30 * time.Second)
				attend(9 * time.Second)
			},
			[]time.Duration{0, 9 * time.Second},
		},
		{
			"unless it is taken back", Idle, far, true,
			func(attend func(time.Duration)) { attend(7 * time.Second); attend(0) },
			[]time.Duration{0},
		},
		{
			"also of what isn't there", Idle, far, false,
			func(attend func(time.Duration)) { attend(7 * time.Second) },
			[]time.Duration{7 * time.Second},
		},
		{
			"at once if it is overdue", Idle, far, true,
			func(attend func(time.Duration)) { attend(-time.Hour) },
			[]time.Duration{0, 0},
		},
		{
			"and keeps no poll from coming", Slow, 3 * time.Second, true,
			func(attend func(time.Duration)) { attend(10 * time.Second) },
			[]time.Duration{0, 3 * time.Second, 6 * time.Second, 9 * time.Second, 10 * time.Second, 12 * time.Second},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := tempRoot(t)
			if tt.make {
				mkdir(t, root, repo, "blobs")
				age(t, root, repo, "blobs")
			}
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, tt.poll, false, root)
				g.setPace(repo, tt.pace)
				start := time.Now()
				g.start()
				synctest.Wait()
				tt.order(func(by time.Duration) {
					if by == 0 {
						g.w.Attend(root, repo, time.Time{})
					} else {
						g.w.Attend(root, repo, start.Add(by))
					}
				})
				if got := g.looksUntil(start, 14*time.Second, repo); !slices.Equal(got, tt.want) {
					t.Errorf("looked at %v, want %v", got, tt.want)
				}
				g.stop()
			})
		})
	}
}

func TestAnOrderWaitsForItsRoot(t *testing.T) {
	base := tempRoot(t)
	root := filepath.Join(base, "hub")
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, time.Second, false, root).start()
		start := time.Now()
		g.w.Attend(root, "models--a--none", start.Add(5*time.Second))
		if got := g.looksUntil(start, 20*time.Second, "models--a--none"); len(got) > 0 {
			t.Errorf("looked at %v", got)
		}
		must(t, os.Mkdir(root, 0o755))
		if got := g.looksUntil(start, 22*time.Second, "models--a--none"); len(got) != 1 {
			t.Errorf("looked at %v when the root had come", got)
		}
		g.stop()
	})
}

func TestAnOrderedLookThatPanickedComesAgain(t *testing.T) {
	root := tempRoot(t)
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 10*time.Second, false, root)
		failed := false
		g.onLook = func(_ Root, folder string) {
			if folder == "models--a--none" && !failed {
				failed = true
				panic(errors.New("boom"))
			}
		}
		start := time.Now()
		g.start()
		g.w.Attend(root, "models--a--none", start.Add(5*time.Second))
		if got := g.looksUntil(start, time.Minute, "models--a--none"); !failed || len(got) != 1 {
			t.Errorf("panicked: %v, looked at %v", failed, got)
		}
		g.stop()
	})
}

func TestWhatIsNoRepositoryIsNeverOrdered(t *testing.T) {
	g := newRig(t, far, false, "/hub")
	g.w.Attend("/hub", "../etc", time.Now())
	if len(g.w.orders) > 0 {
		t.Error("taken")
	}
}

func TestOrdersWakeNobodyInVain(t *testing.T) {
	o, box, now := newOrders(), newMailbox(account.Unknown), time.Now()
	woken := func() bool {
		select {
		case <-box.wake:
			return true
		default:
			return false
		}
	}
	o.serve(box, now)
	o.sleeps(now.Add(5 * time.Second))
	if o.put("models--a--b", now.Add(6*time.Second)); woken() {
		t.Error("woken for what comes later")
	}
	if o.put("models--a--b", now.Add(4*time.Second)); !woken() {
		t.Error("not woken for what comes sooner")
	}
	o.take(now)
	if o.put("models--a--b", now.Add(time.Hour)); !woken() {
		t.Error("not told while it is awake, and about to say when it sleeps")
	}
}
