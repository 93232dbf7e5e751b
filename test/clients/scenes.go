package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"progressd/hfcache"
	"progressd/internal/hub"
	"progressd/internal/wait"
)

// scene is a way to download, with what has to be told of it.
type scene struct {
	name, about string
	// applies says which releases can play it; nil is huggingface_hub alone,
	// of any version.
	applies  func(release) bool
	repoType hfcache.RepoType
	// files are in the repository at the start.
	files []hub.File
	// home makes a cache for this scene alone; nil shares the release's. In
	// a shared one nobody can tell whose the partial files of 0.21 are.
	home func(root string, perm fs.FileMode) error
	// local: into a directory of its own, by --local-dir.
	local bool
	// slow says with which releases it waits for stall_after; nil: with none.
	slow func(release) bool
	play func(ctx context.Context, a *act) error
	want func(a *act) []want
}

const mb = 1_000_000

// many is a repository of which parts can be asked for.
var many = []hub.File{
	{Path: "config.json", Size: 700, Seed: 1},
	{Path: "model.safetensors", Size: 36 * mb, Storage: hub.LFS, Seed: 2},
	{Path: "onnx/small/model.onnx", Size: 3 * mb, Storage: hub.LFS, Seed: 3},
	{Path: "pytorch_model.bin", Size: 31 * mb, Storage: hub.LFS, Seed: 4},
	{Path: "tokenizer.json", Size: 2 * mb, Seed: 5},
}

// few is for what doesn't depend on the files. The large one is large enough
// for hf_transfer, which is left out below 50 MiB.
var few = []hub.File{
	{Path: "config.json", Size: 700, Seed: 1},
	{Path: "weights.bin", Size: 56 * mb, Storage: hub.LFS, Seed: 6},
}

// numbered are parts of one model, which can't be complete with one missing.
var numbered = []hub.File{
	{Path: "config.json", Size: 700, Seed: 1},
	{Path: "model-00001-of-00003.safetensors", Size: 24 * mb, Storage: hub.LFS, Seed: 7},
	{Path: "model-00002-of-00003.safetensors", Size: 13 * mb, Storage: hub.LFS, Seed: 8},
	{Path: "model-00003-of-00003.safetensors", Size: 12 * mb, Storage: hub.LFS, Seed: 9},
}

var twins = []hub.File{
	{Path: "a/weights.bin", Size: 31 * mb, Storage: hub.LFS, Seed: 10},
	{Path: "b/c/weights.bin", Size: 31 * mb, Storage: hub.LFS, Seed: 10},
	{Path: "config.json", Size: 700, Seed: 1},
}

var (
	before = []hub.File{
		{Path: "base.bin", Size: 31 * mb, Storage: hub.LFS, Seed: 11},
		{Path: "head.bin", Size: 12 * mb, Storage: hub.LFS, Seed: 12},
	}
	after = []hub.File{
		{Path: "base.bin", Size: 31 * mb, Storage: hub.LFS, Seed: 11},
		{Path: "head.bin", Size: 33 * mb, Storage: hub.LFS, Seed: 13},
	}
	stored = []hub.File{{Path: "model.safetensors", Size: 36 * mb, Storage: hub.LFS, Seed: 14}}
)

// scenes are played in this order, the longest first.
var scenes = slices.Concat(clientScenes, loaderScenes)

var clientScenes = []scene{
	{name: "hub-dies", about: "the hub dies in the middle", files: few, play: hubDies, want: oneInterrupted},
	{name: "full-disk", about: "the disk is full", files: few, home: smallDisk, play: fullDisk, want: diskFull},
	{name: "sigkill", about: "SIGKILL, then once more", applies: everybody, slow: hasNoLocks, files: few, home: os.MkdirAll, play: killed(syscall.SIGKILL), want: resumed},
	{name: "sigterm", about: "SIGTERM, then once more", files: few, home: os.MkdirAll, play: killed(syscall.SIGTERM), want: resumed},
	{name: "paused", about: "SIGSTOP, then SIGCONT", applies: everybody, slow: everybody, files: few, home: os.MkdirAll, play: paused, want: stalled},
	{name: "ctrl-c", about: "Ctrl-C, then once more", applies: hasWorkers, files: numbered, play: interruptedByHand, want: endedByHand},
	{name: "ctrl-c-script", about: "Ctrl-C in a script, then once more", files: numbered, play: interruptedScript, want: endedScript},
	{name: "new-revision", about: "a new revision with a file of the old one", files: before, play: newRevision, want: twoRevisions},
	{name: "whole", about: "`hf download` of a whole model", applies: everybody, files: many, play: download(), want: complete(many...)},
	{name: "first", about: "the cache is made by it", files: few, home: absent, play: held, want: complete(few...)},
	{name: "again", about: "a model that is cached", applies: everybody, files: few, play: again, want: complete(few...)},
	{name: "one-file", about: "one file", files: many, play: download("model.safetensors"), want: single(many[1])},
	{name: "two-files", about: "two files", files: many, play: download("model.safetensors", "config.json"), want: asked(many[0], many[1])},
	{name: "include", about: "`--include`", files: many, play: download("--include", "*.safetensors"), want: asked(many[1])},
	{name: "exclude", about: "`--exclude`", files: many, play: download("--exclude", "*.bin"), want: asked(many[0], many[1], many[2], many[4])},
	{name: "revision", about: "`--revision`", files: before, play: revision, want: complete(after...)},
	{name: "dataset", about: "`--repo-type dataset`", repoType: hfcache.Dataset, files: few, play: download(), want: complete(few...)},
	{name: "twins", about: "one content under two paths", applies: handlesTwins, files: twins, play: download(), want: complete(twins...)},
	{name: "snapshot", about: "`snapshot_download`", files: many, play: script("snapshot.py"), want: complete(many...)},
	{name: "patterns", about: "`snapshot_download` with `allow_patterns`", files: many, play: script("snapshot.py", "*.safetensors"), want: unknownSubset},
	{name: "library-file", about: "`hf_hub_download`", files: many, play: script("file.py", "model.safetensors"), want: single(many[1])},
	{name: "two-models", about: "two models at once", files: few, play: twoModels, want: bothModels},
	{name: "two-users", about: "two users at once, with homes of 0700", files: few, play: twoUsers, want: bothUsers},
	{name: "local", about: "`--local-dir`", applies: hasLocal, files: many, local: true, home: absent, play: download(), want: complete(many...)},
	{name: "local-include", about: "`--local-dir` with `--include`", applies: hasLocal, files: many, local: true, home: absent, play: download("--include", "*.safetensors"), want: asked(many[1])},
	{name: "local-sigkill", about: "`--local-dir`, SIGKILL, then once more", applies: hasLocal, files: few, local: true, home: absent, play: killed(syscall.SIGKILL), want: resumed},
	{name: "local-again", about: "`--local-dir`, where all is there", applies: hasLocal, files: few, local: true, home: absent, play: again, want: complete(few...)},
	{name: "local-file", about: "`--local-dir`, one file", applies: hasLocal, files: many, local: true, home: absent, play: download("model.safetensors"), want: single(many[1])},
	{name: "local-dataset", about: "`--local-dir` of a dataset", applies: hasLocal, repoType: hfcache.Dataset, files: few, local: true, home: absent, play: download(), want: complete(few...)},
	{name: "local-revision", about: "`--local-dir`, then a new revision", applies: hasLocal, files: before, local: true, home: absent, play: newRevision, want: twoRevisions},
	{name: "local-ctrl-c", about: "`--local-dir`, Ctrl-C, then once more", applies: hasLocal, files: numbered, local: true, home: absent, play: interruptedByHand, want: endedByHand},
	{name: "local-hub-dies", about: "`--local-dir`, the hub dies in the middle", applies: hasLocal, files: few, local: true, home: absent, play: hubDies, want: oneInterrupted},
	{name: "removed", about: "the model is removed in the middle", files: few, home: os.MkdirAll, play: removedMidway, want: oneRemoved},
	{name: "store", about: "the shared store, and a second model from it", applies: hasStore, files: stored, play: sharedStore, want: storeThenSilence},
}

// waits: it takes as long as stall_after, which is left to the nights.
func (sc scene) waits(r release) bool { return sc.slow != nil && sc.slow(r) }

// hasNoLocks: that one is gone is known when nothing has come for stall_after.
func hasNoLocks(r release) bool { return r.lockless }

func hasWorkers(r release) bool { return r.workers }

// hasLocal: older ones bring such a download through the cache.
func hasLocal(r release) bool { return plain(r) && r.name != "0.21.4" }

// hasStore: huggingface_hub shares only what comes by Xet.
func hasStore(r release) bool { return r.command != "" && r.storage == hub.Xet && r.listing }

func everybody(r release) bool { return !r.loads }

// handlesTwins: hf-hub 1.0.0 waits for a lock of its own where two paths of a
// Xet batch have one content, and gives up.
func handlesTwins(r release) bool { return !r.loads && (r.source != "rust1" || r.storage != hub.Xet) }

// plain is huggingface_hub alone.
func plain(r release) bool {
	return slices.ContainsFunc(releases, func(known release) bool { return known.name == r.name })
}

func (sc scene) suits(r release) bool {
	if sc.applies != nil {
		return sc.applies(r)
	}
	return plain(r)
}

// download runs the client's program once.
func download(args ...string) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		if err := a.download(ctx, args...); err != nil {
			return err
		}
		return a.told(ctx, "completed", 1)
	}
}

// script runs a program of somebody's own once. Its end is told, whichever it is.
func script(name string, args ...string) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		if err := a.runScript(ctx, name, append([]string{a.repo().ID}, args...)...); err != nil {
			return err
		}
		return a.toldOne(ctx, "completed", "ended")
	}
}

// starter begins a download.
type starter func(ctx context.Context, args ...string) (*process, error)

// toTheGate starts a download and returns when its large file stands at the
// gate and that was told.
func (a *act) toTheGate(ctx context.Context, path string, at int64, begin starter, args ...string) (*process, *hub.Gate, error) {
	if a.shuffled {
		// A gate might hold the first part back, and with it all.
		p, err := begin(ctx, args...)
		return p, hub.NewGate(), errors.Join(err, a.toldBytes(ctx, 10*mb))
	}
	gate := a.hold(path, at)
	p, err := begin(ctx, args...)
	if err != nil {
		return nil, nil, err
	}
	select {
	case <-gate.Reached():
	case <-p.exited:
		return nil, nil, fmt.Errorf("the client ended before its time: %w", p.succeed(ctx))
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	// A file comes in steps of 10 MB or more, of 8 MiB by Xet.
	return p, gate, a.toldBytes(ctx, at/10485760*10*mb)
}

func killed(sig syscall.Signal) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		p, gate, err := a.toTheGate(ctx, "weights.bin", 35*mb, a.begin)
		if err != nil {
			return err
		}
		defer gate.Open()
		if err := p.signal(sig); err != nil {
			return err
		}
		if err := p.fail(ctx); err != nil {
			return err
		}
		if err := a.told(ctx, "interrupted", 1); err != nil {
			return err
		}
		gate.Open()
		return download()(ctx, a)
	}
}

// paused: the client lives and brings nothing.
func paused(ctx context.Context, a *act) error {
	p, gate, err := a.toTheGate(ctx, "weights.bin", 18*mb, a.begin)
	if err != nil {
		return err
	}
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p.rest()
	gate.Open()
	if err := a.toldOne(ctx, "stalled", "interrupted"); err != nil {
		return err
	}
	if err := p.signal(syscall.SIGCONT); err != nil {
		return err
	}
	if err := p.succeed(ctx); err != nil {
		return err
	}
	return a.told(ctx, "completed", 1)
}

// interruptedByHand: the file in flight is finished, the others never begin.
func interruptedByHand(ctx context.Context, a *act) error {
	if err := a.ctrlC(ctx, a.begin, "--max-workers", "1"); err != nil {
		return err
	}
	return download()(ctx, a)
}

func interruptedScript(ctx context.Context, a *act) error {
	begin := func(ctx context.Context, args ...string) (*process, error) {
		return a.beginScript(ctx, "one-by-one.py", args...)
	}
	if err := a.ctrlC(ctx, begin, a.repo().ID); err != nil {
		return err
	}
	if err := a.runScript(ctx, "snapshot.py", a.repo().ID); err != nil {
		return err
	}
	return a.told(ctx, "completed", 1)
}

func (a *act) ctrlC(ctx context.Context, begin starter, args ...string) error {
	p, gate, err := a.toTheGate(ctx, numbered[1].Path, 15*mb, begin, args...)
	if err != nil {
		return err
	}
	defer gate.Open()
	if err := p.signal(syscall.SIGINT); err != nil {
		return err
	}
	// The file in flight is let go when the signal has surely come.
	if err := wait.For(ctx, time.Second); err != nil {
		return err
	}
	gate.Open()
	if err := p.fail(ctx); err != nil {
		return err
	}
	return a.toldOne(ctx, "interrupted", "ended")
}

// removedMidway: by somebody who has killed the client first.
func removedMidway(ctx context.Context, a *act) error {
	p, gate, err := a.toTheGate(ctx, "weights.bin", 35*mb, a.begin)
	if err != nil {
		return err
	}
	defer gate.Open()
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := p.fail(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(a.root(), a.repo().Folder())); err != nil {
		return err
	}
	return a.told(ctx, "removed", 1)
}

func hubDies(ctx context.Context, a *act) error {
	a.hub = hub.New(hub.Options{FileRate: a.pace})
	if err := a.hub.Start(); err != nil {
		return err
	}
	defer func() { _ = a.hub.Close() }()
	if err := a.publish("main", a.scene.files...); err != nil {
		return err
	}
	p, _, err := a.toTheGate(ctx, "weights.bin", 35*mb, a.begin)
	if err != nil {
		return err
	}
	if err := a.hub.Close(); err != nil {
		return err
	}
	p.rest() // it only tries again now and then
	if err := p.fail(ctx); err != nil {
		return err
	}
	return a.told(ctx, "interrupted", 1)
}

// smallDisk holds less than the large file.
func smallDisk(root string, perm fs.FileMode) error {
	home := filepath.Dir(root)
	if err := os.MkdirAll(home, perm); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", home, "tmpfs", 0, "size=38m,mode=755"); err != nil {
		return fmt.Errorf("cannot mount a small disk: %w", err)
	}
	return os.Mkdir(root, perm)
}

// fullDisk: when the next step doesn't fit any more, and that it won't was told
// where it can be known, the client goes on.
func fullDisk(ctx context.Context, a *act) error {
	p, gate, err := a.toTheGate(ctx, "weights.bin", 35*mb, a.begin)
	if err != nil {
		return err
	}
	if a.listing {
		if err := a.told(ctx, "low-space", 1); err != nil {
			return err
		}
	}
	gate.Open()
	if err := p.fail(ctx); err != nil {
		return err
	}
	return a.told(ctx, "interrupted", 1)
}

// absent makes all but the cache itself.
func absent(root string, perm fs.FileMode) error { return os.MkdirAll(filepath.Dir(root), perm) }

// held goes no further than the middle until that was told.
func held(ctx context.Context, a *act) error {
	p, gate, err := a.toTheGate(ctx, "weights.bin", 35*mb, a.begin)
	if err != nil {
		return err
	}
	gate.Open()
	if err := p.succeed(ctx); err != nil {
		return err
	}
	return a.told(ctx, "completed", 1)
}

func again(ctx context.Context, a *act) error {
	if err := download()(ctx, a); err != nil {
		return err
	}
	return a.download(ctx)
}

func revision(ctx context.Context, a *act) error {
	if err := a.publish("v2", after...); err != nil {
		return err
	}
	return download("--revision", "v2")(ctx, a)
}

func newRevision(ctx context.Context, a *act) error {
	if err := download()(ctx, a); err != nil {
		return err
	}
	if err := a.publish("main", after...); err != nil {
		return err
	}
	if err := a.download(ctx); err != nil {
		return err
	}
	return a.told(ctx, "completed", 2)
}

func twoModels(ctx context.Context, a *act) error {
	other := a.other("-b")
	if err := a.publishIn(other, "main", few...); err != nil {
		return err
	}
	var group errgroup.Group
	group.Go(func() error { return download()(ctx, a) })
	group.Go(func() error {
		p, err := a.beginOn(ctx, other)
		if err != nil {
			return err
		}
		if err := p.succeed(ctx); err != nil {
			return err
		}
		return a.toldOf(ctx, other, "completed", 1)
	})
	return group.Wait()
}

// twoUsers go no further than the middle until both were told of: their
// caches are new, and may be found only by the next poll.
func twoUsers(ctx context.Context, a *act) error {
	gate := hub.NewGate()
	a.hub.Break(a.repo(), "weights.bin", hub.Fault{Gate: gate, GateAt: 35 * mb})
	var users []*act
	var group errgroup.Group
	for i, name := range userNames {
		user, err := a.as(name, uint32(64001+i))
		if err != nil {
			return err
		}
		users = append(users, user)
		group.Go(func() error { return download()(ctx, user) })
	}
	// Until both have a log, the only one is taken for that of either.
	err := a.until(ctx, progress, "a log for each user", func() bool {
		return users[0].logPath(users[0].root(), a.repo()) != users[1].logPath(users[1].root(), a.repo())
	})
	if err != nil {
		return errors.Join(err, group.Wait())
	}
	for _, user := range users {
		if err := user.toldBytes(ctx, 30*mb); err != nil {
			return errors.Join(err, group.Wait())
		}
	}
	gate.Open()
	return group.Wait()
}

func sharedStore(ctx context.Context, a *act) error {
	if err := download()(ctx, a); err != nil {
		return err
	}
	other := a.other("-b")
	if err := a.publishIn(other, "main", stored...); err != nil {
		return err
	}
	p, err := a.beginOn(ctx, other)
	if err != nil {
		return err
	}
	return p.succeed(ctx)
}
