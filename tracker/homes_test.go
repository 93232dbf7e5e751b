package tracker

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
)

var (
	disk   = fsys.Identity{FS: 0xef53, Volume: 7, Inode: 2, Birth: 100}
	below  = fsys.Identity{FS: 0xef53, Volume: 1, Inode: 4711, Birth: 50}
	spare  = fsys.Identity{FS: 0xef53, Volume: 8, Inode: 2, Birth: 100}
	rclone = fsys.Identity{FS: 0x65735546}
)

// leads has a root's path lead to a directory from now on.
func (e *engine) leads(root string, home fsys.Identity) {
	e.roots <- RootChange{Root: root, Home: home, At: time.Now()}
	synctest.Wait()
}

func (e *engine) loses(root string) {
	e.roots <- RootChange{Root: root, Gone: true, At: time.Now()}
	synctest.Wait()
}

func missing(l *sizer.Look) { *l = sizer.Look{Root: l.Root, Repo: l.Repo, At: l.At, Gone: true} }

func TestADownloadBelongsToTheDirectoryItWasSeenIn(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(*engine)
		want []string
	}{
		{"unmounted and mounted again", func(e *engine) {
			e.loses("/a")
			e.leads("/a", below)
			e.see("/a", "o/m", missing)
			pass(time.Hour)
			e.loses("/a")
			e.leads("/a", disk)
			e.see("/a", "o/m", by(vllm), bytes(2*mb), proof)
		}, []string{"root-gone", "root-back", "root-gone", "root-back", "o/m completed"}},
		{"deleted from the directory it was seen in", func(e *engine) {
			e.see("/a", "o/m", missing)
		}, []string{"o/m removed"}},
		{"deleted while its directory was away", func(e *engine) {
			e.loses("/a")
			e.leads("/a", disk)
			e.see("/a", "o/m", missing)
		}, []string{"root-gone", "root-back", "o/m removed"}},
		{"another disk with the same model in it", func(e *engine) {
			e.loses("/a")
			e.leads("/a", spare)
			e.see("/a", "o/m", by(vllm), func(l *sizer.Look) { l.Play, l.Bytes, l.Arrived = "p2", 5*mb, 5*mb })
			e.see("/a", "o/m", by(vllm), func(l *sizer.Look) { l.Play, l.Bytes = "p2", 5*mb; proof(l) })
			e.loses("/a")
			e.leads("/a", disk)
			e.see("/a", "o/m", by(vllm), bytes(2*mb), proof)
		}, []string{"root-gone", "root-back", "o/m preparing", "o/m started", "o/m completed", "root-gone", "root-back", "o/m completed"}},
		{"both disks have one under way, and change places twice", func(e *engine) {
			for range 2 {
				e.loses("/a")
				e.leads("/a", spare)
				e.see("/a", "o/m", by(vllm), func(l *sizer.Look) { l.Play, l.Bytes = "p2", 5*mb })
				e.loses("/a")
				e.leads("/a", disk)
				e.see("/a", "o/m", by(vllm), func(l *sizer.Look) { l.Bytes = mb })
			}
		}, []string{
			"root-gone", "root-back", "o/m preparing", "o/m started", "root-gone", "root-back",
			"root-gone", "root-back", "root-gone", "root-back",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := runEngine(t, nil, nil)
				e.leads("/a", disk)
				e.see("/a", "o/m", by(vllm), bytes(mb))
				c.play(e)
				e.stop()
				e.want(t, append([]string{"o/m preparing", "o/m started"}, c.want...)...)
			})
		})
	}
}

// lives gives what is remembered of a download on disk after a first life.
func lives(t *testing.T, home fsys.Identity) (open []Episode) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := runEngine(t, nil, nil)
		e.leads("/a", home)
		e.see("/a", "o/m", by(vllm), bytes(mb))
		e.stop()
		open = []Episode{*e.episodes[len(e.episodes)-1]}
	})
	return open
}

func TestADownloadBelongsToItsDirectoryOverARestart(t *testing.T) {
	for _, c := range []struct {
		name    string
		was     fsys.Identity
		play    func(*engine)
		want    []string
		waiting int
	}{
		{"up before the mount", disk, func(e *engine) {
			e.leads("/a", below)
			e.see("/a", "o/m", missing)
			pass(time.Hour)
			e.loses("/a")
			e.leads("/a", disk)
			e.see("/a", "o/m", by(vllm), bytes(2*mb), proof)
		}, []string{"root-gone", "root-gone", "root-back", "o/m completed"}, 0},
		{"deleted while no daemon ran", disk, func(e *engine) {
			e.leads("/a", disk)
			e.see("/a", "o/m", missing)
		}, []string{"o/m removed"}, 0},
		{"not there, where directories can't be told from one another", rclone, func(e *engine) {
			e.leads("/a", rclone)
			e.see("/a", "o/m", missing)
			pass(time.Hour)
		}, nil, 1},
		{"there again, where they can't", rclone, func(e *engine) {
			e.leads("/a", rclone)
			e.see("/a", "o/m", missing)
			e.see("/a", "o/m", by(vllm), bytes(2*mb), proof)
		}, []string{"o/m completed"}, 0},
		{"seen, then deleted, where they can't", rclone, func(e *engine) {
			e.leads("/a", rclone)
			e.see("/a", "o/m", by(vllm), func(l *sizer.Look) { l.Bytes = mb })
			e.see("/a", "o/m", missing)
		}, []string{"o/m removed"}, 0},
		{"a record of a version that knew no directories", fsys.Identity{}, func(e *engine) {
			e.leads("/a", below)
			e.see("/a", "o/m", missing)
			e.loses("/a")
			e.leads("/a", disk)
			e.see("/a", "o/m", by(vllm), bytes(2*mb), proof)
		}, []string{"root-gone", "root-back", "o/m completed"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := lives(t, c.was)
			if open[0].Home != c.was {
				t.Fatalf("remembered in %+v", open[0].Home)
			}
			synctest.Test(t, func(t *testing.T) {
				e := runEngine(t, open, nil)
				c.play(e)
				e.stop()
				e.want(t, c.want...)
				if ended := over(&e.commits); ended != (c.waiting == 0) {
					t.Errorf("the episode is over: %v", ended)
				}
			})
		})
	}
}

func over(rec *commits) bool {
	return slices.ContainsFunc(rec.episodes, func(ep *Episode) bool { return ep != nil && ep.Over() })
}

func TestADownloadWaitsForItsDirectoryForAMonth(t *testing.T) {
	open := lives(t, disk)
	for days, want := range map[int]bool{29: false, 31: true} {
		rec := &commits{}
		now := open[0].LastByteAt.Add(time.Duration(days) * 24 * time.Hour)
		tr := New(defaults, rec, Hooks{}, slog.New(slog.DiscardHandler))
		tr.Restore(open, now)
		tr.root(RootChange{Root: "/a", Home: below, At: now})
		if ended := over(rec); ended != want {
			t.Errorf("after %d days it is over: %v", days, ended)
		}
	}
}

// A run that is reported goes on with its download when that is there again, and
// doesn't keep it alive while it is not.
func TestARunIsTakenOffADownloadThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &commits{}
		tr := New(defaults, rec, Hooks{}, slog.New(slog.DiscardHandler))
		now := time.Now()
		tr.root(RootChange{Root: "/a", Home: disk, At: now})
		tr.report(Report{Root: "/a", Repo: model, At: now, Kind: RunBegan, Process: vllm, Only: true})
		tr.observe(sizer.Look{Root: "/a", Repo: model, At: now, InPlay: true, Play: "p1", Bytes: mb})
		tr.root(RootChange{Root: "/a", Home: below, At: now})
		if len(tr.open) != 0 {
			t.Fatal("it is still watched")
		}
		tr.root(RootChange{Root: "/a", Home: disk, At: now})
		e := tr.open[hfcache.Place{Root: "/a", Repo: model}]
		if e == nil || e.run == nil {
			t.Fatal("the run is not attached to its download")
		}
		tr.root(RootChange{Root: "/a", Home: below, At: now})
		tr.report(Report{Root: "/a", Repo: model, At: now, Kind: RunEnded})
		tr.root(RootChange{Root: "/a", Home: disk, At: now})
		if e := tr.open[hfcache.Place{Root: "/a", Repo: model}]; e == nil || e.run != nil {
			t.Error("a run that has ended is attached to its download")
		}
	})
}

func TestWhatIsSaidOfARootIsTrue(t *testing.T) {
	for _, c := range []struct {
		name  string
		homes []fsys.Identity // zero: gone
		want  []string
	}{
		{"unmounted, and mounted again", []fsys.Identity{{}, below, {}, disk}, []string{
			"root-gone", "root-back: another directory than before, for which 1 download waits",
			"root-gone", "root-back: the directory for which 1 download has waited",
		}},
		{"gone, and back", []fsys.Identity{{}, disk}, []string{"root-gone", "root-back"}},
		{"exchanged without a time between", []fsys.Identity{below}, []string{"root-gone: another directory is there, 1 download waits"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := &commits{}
			tr := New(defaults, rec, Hooks{}, slog.New(slog.DiscardHandler))
			now := time.Now()
			tr.root(RootChange{Root: "/a", Home: disk, At: now})
			tr.observe(sizer.Look{Root: "/a", Repo: model, At: now, InPlay: true, Play: "p1", Bytes: mb})
			rec.events = nil
			for _, home := range c.homes {
				tr.root(RootChange{Root: "/a", Home: home, Gone: home == fsys.Identity{}, At: now})
			}
			var said []string
			for _, ev := range rec.events {
				said = append(said, strings.TrimSuffix(string(ev.Kind)+": "+ev.Reason, ": "))
			}
			if !slices.Equal(said, c.want) {
				t.Errorf("said %q, want %q", said, c.want)
			}
		})
	}
}
