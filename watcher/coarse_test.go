package watcher

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"progressd/internal/simfs"
)

// What a download makes first seemed to have lain there before where times are coarse: it
// got one of before the poll that hadn't found its root.
func TestARootOfWhichTimesAreCoarseIsNoYoungerThanWhatIsMadeInIt(t *testing.T) {
	const uneven = 4300 * time.Millisecond // so that polls fall anywhere in a second
	for _, grain := range []time.Duration{0, time.Second, 2 * time.Second} {
		t.Run(grain.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := simfs.New(time.Now)
				must(t, f.MkdirAll("/disk"))
				must(t, f.Mount(f.NewVolume(simfs.Traits{Magic: unix.EXT4_SUPER_MAGIC, Grain: grain}), "/disk"))
				l := &looks{n: make(map[string]int), came: make(map[string]time.Time)}
				w := New(Options{
					FS: f, Roots: []string{"/disk/*/hub"}, Poll: uneven, Active: time.Second, Steady: 2 * time.Second,
					ProcessorTime: func() time.Duration { return 0 },
					IsRepo:        isRepo, NewLooker: func(r Root) Looker { l.roots.Store(r.Path, r); return l }, Log: quietLog(),
				})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- w.Run(ctx) }()
				<-w.Ready()
				for i := range 20 {
					root, asked := fmt.Sprintf("/disk/%d/hub", i), time.Now()
					pass(uneven + 100*time.Millisecond)
					must(t, f.MkdirAll(root+"/models--a--b"))
					var st unix.Stat_t
					must(t, f.Lstat(root+"/models--a--b", &st))
					pass(uneven)
					found, ok := l.roots.Load(root)
					if !ok {
						t.Fatal("it isn't found")
					}
					since, made := found.(Root).Since, time.Unix(st.Mtim.Unix())
					if !since.Before(made) || since.Before(asked.Add(-2*time.Second)) {
						t.Errorf("what was made in it has the time %v, it is there since %v", made, since)
					}
				}
				stop()
				must(t, <-ended)
			})
		})
	}
}
