package daemon

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"progressd/config"
	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
	"progressd/record"
	"progressd/socket"
	"progressd/state"
)

func TestMain(m *testing.M) {
	client.RunIfCalled() // a downloader of ours is this test binary again
	m.Run()
}

const (
	mb      = 1_000_000
	weights = "sub/model.safetensors"
	patient = 20 * time.Second
)

// A rig is a pipeline that runs over caches of the test's, and a hub.
type rig struct {
	t     *testing.T
	dir   string
	roots []string
	hub   *hub.Hub
	p     *Pipeline
	ask   *asker
	stop  func()
	// opener is whom files are asked of; nil: the machine.
	opener Opener
}

func newRig(t *testing.T, roots ...string) *rig {
	t.Helper()
	g := &rig{t: t, dir: t.TempDir(), hub: hub.New(hub.Options{})}
	for _, root := range roots {
		g.roots = append(g.roots, filepath.Join(g.dir, root))
		if err := os.MkdirAll(filepath.Join(g.dir, root), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.hub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.hub.Close() })
	if _, _, err := g.hub.Publish(demo, "main",
		hub.File{Path: "config.json", Size: 1000},
		hub.File{Path: weights, Size: 2 * mb, Storage: hub.LFS}); err != nil {
		t.Fatal(err)
	}
	return g
}

// download fetches the model into a root.
func (g *rig) download(root int, gen client.Generation, include ...func(string) bool) {
	g.t.Helper()
	hh := &client.HH{Endpoint: g.hub.URL(), Root: g.roots[root], Generation: gen, Workers: 1}
	if len(include) > 0 {
		hh.Include = include[0]
	}
	if _, err := hh.Download(context.Background(), demo, "main"); err != nil {
		g.t.Fatal(err)
	}
}

// start runs the daemon's parts until the end of the test, or g.stop.
func (g *rig) start() {
	g.t.Helper()
	set := config.Settings{Config: config.Default(), Roots: g.roots, LogDir: filepath.Join(g.dir, "log"), StateDir: filepath.Join(g.dir, "state")}
	set.Journal.Enabled = false
	set.PollInterval = config.Duration(200 * time.Millisecond)
	set.Download.QuietAfter = config.Duration(time.Second)
	store, err := state.Open(set.StateDir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	g.p = New(ctx, Options{Settings: set, Store: store, Opener: g.opener, Console: io.Discard, Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)})
	g.ask = newAsker(g.p)
	done := make(chan struct{})
	go func() { defer close(done); g.p.Run(ctx) }()
	g.stop = func() {
		stop()
		<-done
		_ = store.Close()
	}
	g.t.Cleanup(g.stop)
	<-g.p.Ready()
	g.until(func() bool { return len(g.p.watcher.Status()) >= len(g.roots) })
}

func (g *rig) until(ok func() bool) {
	g.t.Helper()
	for end := time.Now().Add(patient); !ok(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatal("it did not come")
		}
	}
}

func (g *rig) answer(uid int, model string) []socket.Answered {
	g.t.Helper()
	repo, ok := hfcache.ParseRepo(model)
	if !ok {
		g.t.Fatalf("%q is no model", model)
	}
	return g.ask.Answer(socket.Reader{UID: uid}, repo, nil)
}

// one is the only answer for root.
func (g *rig) one(model string) socket.Answered {
	g.t.Helper()
	all := g.answer(0, model)
	if len(all) != 1 {
		g.t.Fatalf("%d answers: %+v", len(all), all)
	}
	return all[0]
}

func isJSON(path string) bool { return strings.HasSuffix(path, ".json") }

func TestWhatIsCachedIsAnsweredByALook(t *testing.T) {
	for _, c := range []struct {
		name    string
		gen     client.Generation
		include func(string) bool
		spoil   func(g *rig)
		state   record.State
		proof   string
		done    int64
	}{
		{"with a listing", client.Trees, nil, nil, record.Completed, "listing", 2},
		{"without one", client.HH023, nil, nil, record.Completed, "quiet", 2},
		{"a part of it", client.Trees, isJSON, nil, record.Partial, "", 1},
		{"a configuration alone, without a listing", client.HH023, isJSON, nil, record.Partial, "", 1},
		{"a partial is left", client.HH023, nil, func(g *rig) {
			name := filepath.Join(g.roots[0], demo.Folder(), "blobs", strings.Repeat("a", 64)+".incomplete")
			if err := os.WriteFile(name, make([]byte, mb), 0o600); err != nil {
				g.t.Fatal(err)
			}
		}, record.Partial, "", 2},
		{"a file is gone", client.Trees, nil, func(g *rig) {
			blobs, _ := filepath.Glob(filepath.Join(g.roots[0], demo.Folder(), "blobs", "*"))
			for _, blob := range blobs {
				if info, err := os.Stat(blob); err == nil && info.Size() > mb {
					_ = os.Remove(blob)
				}
			}
		}, record.Partial, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, "hub")
			if c.include == nil {
				c.include = func(string) bool { return true }
			}
			g.download(0, c.gen, c.include)
			if c.spoil != nil {
				c.spoil(g)
			}
			<-time.After(1100 * time.Millisecond) // as one that was cached long ago: longer than quiet_after
			g.start()
			a := g.one("org/demo")
			if a.State != c.state || a.Proof != c.proof || a.FilesDone == nil || *a.FilesDone != c.done || a.Model != "org/demo" || a.Root != g.roots[0] {
				t.Errorf("%+v", a)
			}
			if whole := c.state == record.Completed; whole != (a.Message == "Model downloaded successfully") || whole != (a.Event == "completed") || a.ID != "" {
				t.Errorf("%+v", a.Record)
			}
		})
	}
}

func TestWhatIsNotThereIsUnknown(t *testing.T) {
	g := newRig(t, "hub")
	if err := os.MkdirAll(filepath.Join(g.roots[0], "models--org--empty", "blobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(g.roots[0], "models--org--link")); err != nil {
		t.Fatal(err)
	}
	g.start()
	for _, model := range []string{"org/none", "datasets/org/demo", "org/empty", "org/link"} {
		if all := g.answer(0, model); len(all) != 0 {
			t.Errorf("%s: %+v", model, all)
		}
	}
}

// What came a moment ago may be followed by more: where nothing but quiet would
// prove it, that is waited for.
func TestWhatHasJustComeIsNotTakenForAll(t *testing.T) {
	g := newRig(t, "hub")
	g.start()
	set := g.p.set
	set.Download.QuietAfter = config.Duration(time.Hour)
	g.p.set = set
	g.download(0, client.HH023)
	root := g.p.watcher.Status()[0]
	look := g.ask.look(root, demo, time.Time{}, 0, nil)
	if d, ok := g.ask.judge(root, *look, nil, 0, nil); !ok || d.State != record.Partial {
		t.Errorf("%+v, %v", d, ok)
	}
	set.Download.QuietAfter = config.Duration(time.Nanosecond)
	g.p.set = set
	if d, ok := g.ask.judge(root, *look, nil, 0, nil); !ok || d.State != record.Completed || d.Proof != "quiet" {
		t.Errorf("%+v, %v", d, ok)
	}
}

// A subset that was proven complete when it came stays so, as long as it is as
// it was.
func TestWhatWasToldIsHeldAgainstWhatIsThere(t *testing.T) {
	g := newRig(t, "hub")
	g.start()
	gate := hub.NewGate()
	g.hub.Break(demo, weights, hub.Fault{GateAt: mb, Gate: gate})
	hh := client.HH{Endpoint: g.hub.URL(), Root: g.roots[0], Generation: client.Trees, Workers: 1}
	cmd, err := client.Command(context.Background(), t.TempDir(), hh, "org/demo", "--include", "*.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.until(func() bool { d, ok := g.ask.Standing(g.roots[0], demo); return ok && d.PID == int64(cmd.Process.Pid) })
	gate.Open()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	g.until(func() bool { // and its line is in the log
		e, ok := g.p.opts.Store.Verdict(g.roots[0], demo)
		lines := g.ask.lines(g.roots[0], demo)
		return ok && e.Proof == "request" && len(lines) > 0 && strings.HasSuffix(lines[len(lines)-1], "successfully")
	})
	check := func(state record.State) {
		t.Helper()
		a := g.one("org/demo")
		if a.State != state || state == record.Completed && a.Proof != "request" || !slices.ContainsFunc(a.Lines, func(l string) bool {
			return strings.HasSuffix(l, "[SUCCESS] Model downloaded successfully")
		}) {
			t.Errorf("%+v", a)
		}
	}
	check(record.Completed)
	g.stop()
	g.start()
	check(record.Completed)
	blobs, _ := filepath.Glob(filepath.Join(g.roots[0], demo.Folder(), "blobs", "*"))
	for _, blob := range blobs {
		_ = os.Truncate(blob, 1)
	}
	check(record.Partial)
}

func TestWhoMayAskForWhat(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give caches to others")
	}
	const alice, bob = 1000, 1001
	g := newRig(t, "alice", "bob")
	for i, uid := range []int{alice, bob} {
		g.download(i, client.Trees)
		if err := os.Chown(g.roots[i], uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	g.start()
	where := func(uid int) (roots []string) {
		for _, a := range g.answer(uid, "org/demo") {
			roots = append(roots, filepath.Base(a.Root))
		}
		return roots
	}
	for uid, want := range map[int][]string{0: {"alice", "bob"}, alice: {"alice"}, bob: {"bob"}, 1002: nil} {
		if got := where(uid); !slices.Equal(got, want) {
			t.Errorf("user %d sees it in %q, want %q", uid, got, want)
		}
	}
}

// In a directory that a client has filled.
func TestALocalDirectoryIsAnswered(t *testing.T) {
	g := newRig(t, "models")
	dir := filepath.Join(g.roots[0], "org", "demo")
	hh := client.HH{Endpoint: g.hub.URL(), Root: filepath.Join(g.dir, "unused"), Generation: client.Trees, Workers: 1}
	cmd, err := client.Command(context.Background(), t.TempDir(), hh, "org/demo", "--local-dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g.start()
	a := g.one("org/demo")
	if a.State != record.Completed || a.Root != dir || a.RepoType != "model" {
		t.Errorf("%+v", a)
	}
}

func TestADownloadThatGoesOnIsAnsweredAsItStands(t *testing.T) {
	g := newRig(t, "hub")
	g.start()
	gate := hub.NewGate()
	g.hub.Break(demo, weights, hub.Fault{GateAt: mb, Gate: gate})
	done := make(chan struct{})
	go func() { defer close(done); g.download(0, client.Trees) }()
	g.until(func() bool { _, ok := g.ask.Standing(g.roots[0], demo); return ok })
	if a := g.one("org/demo"); a.State != record.Downloading || a.Total != 2*mb+1000 || a.Key == "" {
		t.Errorf("%+v", a)
	}
	gate.Open()
	<-done
	g.until(func() bool { return g.one("org/demo").State == record.Completed })
}
