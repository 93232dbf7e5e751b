package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"progressd/hfcache"
	"progressd/internal/hub"
)

var large = files[1].Path

func TestFailureRemovesThePartialOrLeavesIt(t *testing.T) {
	for name, g := range everyGeneration {
		t.Run(name, func(t *testing.T) {
			f := setup(t, g, hub.Options{})
			f.Break(demo, large, hub.Fault{Short: 2*chunk + 5})
			if _, err := f.Download(t.Context(), demo, "main"); err == nil || !strings.Contains(err.Error(), "consistency check failed") {
				t.Fatalf("got %v, want a failed consistency check", err)
			}
			var want []int64
			if g == HH036 || g == HH023 || g == HH022 {
				want = []int64{2*chunk + 5}
			}
			var got []int64
			for _, p := range f.partials(t) {
				got = append(got, size(t, p))
			}
			if !slices.Equal(got, want) {
				t.Errorf("partials of %v bytes, want %v", got, want)
			}
		})
	}
}

func TestARefusedFileLeavesNoBlobsFolder(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	f.Break(demo, large, hub.Fault{Status: 403, ErrorCode: "GatedRepo"})
	f.Include = func(p string) bool { return p == large }
	_, err := f.Download(t.Context(), demo, "main")
	if err == nil || !strings.Contains(err.Error(), "GatedRepo") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Dir(f.blob(large))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("blobs/ is there: %v", err)
	}
}

func TestKillAtAnyStageLeavesTheDisorderOfThatStage(t *testing.T) {
	for _, at := range []Stage{Locked, Opened, Written, Probed, Renamed, Linked} {
		for name, g := range everyGeneration {
			t.Run(name, func(t *testing.T) {
				f := setup(t, g, hub.Options{})
				f.Include = func(p string) bool { return p == large }
				var before seen
				f.Pause = func(_ context.Context, stage Stage, path string) error {
					if stage != at {
						return nil
					}
					before = look(t, f, stage, path)
					return ErrKilled
				}
				if _, err := f.Download(t.Context(), demo, "main"); !errors.Is(err, ErrKilled) {
					t.Fatalf("got %v, want %v", err, ErrKilled)
				}
				after := look(t, f, at, large)
				if !before.locked || after.locked {
					t.Errorf("stage %d: lock held before the kill: %t, after: %t", at, before.locked, after.locked)
				}
				before.locked = false
				if after != before {
					t.Errorf("stage %d: left %+v, want %+v", at, after, before)
				}
			})
		}
	}
}

func TestCancelledContextKillsInTheMiddleOfAFile(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	gate := hub.NewGate()
	f.Break(demo, large, hub.Fault{Gate: gate, GateAt: 3*chunk + 1})
	f.Include = func(p string) bool { return p == large }
	ctx, kill := context.WithCancel(t.Context())
	go func() {
		<-gate.Reached()
		kill()
	}()
	if _, err := f.Download(ctx, demo, "main"); err == nil {
		t.Fatal("no error")
	}
	partials := f.partials(t)
	if len(partials) != 1 || size(t, partials[0]) > 3*chunk {
		t.Errorf("left %v, want one of at most three chunks", partials)
	}
}

func TestInterruptFinishesWhatIsInFlight(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	f.Workers = 1
	ctx, cancel := context.WithCancelCause(t.Context())
	f.Pause = func(_ context.Context, at Stage, path string) error {
		if at == Written && path == large {
			cancel(ErrInterrupted)
		}
		return nil
	}
	if _, err := f.Download(ctx, demo, "main"); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("got %v, want %v", err, ErrInterrupted)
	}
	if left := f.partials(t); left != nil {
		t.Errorf("left %v", left)
	}
	if got := size(t, f.blob(large)); got != f.entries[large].Size {
		t.Errorf("%d bytes of the file in flight", got)
	}
	if _, err := os.Stat(f.blob("sub/copy.json")); err == nil {
		t.Error("another file was begun after the interrupt")
	}
}

func TestOnlyTheMiddleGenerationResumes(t *testing.T) {
	for name, g := range everyGeneration {
		t.Run(name, func(t *testing.T) {
			f := setup(t, g, hub.Options{})
			f.Include = func(p string) bool { return p == large }
			var once sync.Once
			f.Pause = func(_ context.Context, at Stage, _ string) (err error) {
				if at == Written {
					once.Do(func() { err = ErrKilled })
				}
				return err
			}
			if _, err := f.Download(t.Context(), demo, "main"); !errors.Is(err, ErrKilled) {
				t.Fatal(err)
			}
			before := f.Requests(f.entries[large].Etag)
			var opened int64 = -1
			f.Pause = func(_ context.Context, at Stage, _ string) error {
				if at == Opened && opened < 0 {
					for _, p := range f.partials(t) {
						opened = max(opened, size(t, p))
					}
				}
				return nil
			}
			if _, err := f.Download(t.Context(), demo, "main"); err != nil {
				t.Fatal(err)
			}
			orphans := 1
			if g == HH036 || g == HH023 {
				orphans = 0
			}
			if got := len(f.partials(t)); got != orphans {
				t.Errorf("%d orphans, want %d", got, orphans)
			}
			if opened != chunk || f.Requests(f.entries[large].Etag) != before+1 {
				t.Errorf("partials of at most %d bytes, %d requests", opened, f.Requests(f.entries[large].Etag)-before)
			}
			if got := size(t, f.blob(large)); got != f.entries[large].Size {
				t.Errorf("%d bytes", got)
			}
		})
	}
}

// sizes records how the partial of the large file grows.
func (f *fixture) sizes(t *testing.T) *[]int64 {
	t.Helper()
	var got []int64
	f.Include = func(p string) bool { return p == large }
	f.Pause = func(_ context.Context, at Stage, _ string) error {
		if at == Opened || at == Written {
			for _, p := range f.partials(t) {
				got = append(got, size(t, p))
			}
		}
		return nil
	}
	return &got
}

func TestBrokenConnection(t *testing.T) {
	const end = 5*chunk + 7
	whole := []int64{chunk, 2 * chunk, 3 * chunk, 4 * chunk, 5 * chunk, end}
	for name, c := range map[string]struct {
		g     Generation
		fault hub.Fault
		want  []int64
		fails bool
	}{
		"the newest goes on where the last whole chunk ended": {Trees, hub.Fault{CutAt: 2*chunk + 9, Times: 1},
			append([]int64{0}, whole...), false},
		// The second request is cut, too; the third gets its range.
		"and begins again in the same partial without ranges": {Trees, hub.Fault{CutAt: 2*chunk + 9, Times: 2, IgnoreRange: true},
			slices.Concat([]int64{0}, whole[:2], whole), false},
		"1.18 gives up": {HH118, hub.Fault{CutAt: 2*chunk + 9, Times: 1}, append([]int64{0}, whole[:2]...), true},
		"0.23 gives up": {HH023, hub.Fault{CutAt: 2*chunk + 9, Times: 1}, append([]int64{0}, whole[:2]...), true},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, c.g, hub.Options{})
			f.Break(demo, large, c.fault)
			got := f.sizes(t)
			if _, err := f.Download(t.Context(), demo, "main"); (err != nil) != c.fails {
				t.Errorf("got %v, want an error: %t", err, c.fails)
			}
			if !slices.Equal(*got, c.want) {
				t.Errorf("sizes %v, want %v", *got, c.want)
			}
		})
	}
}

func TestResumingWithoutRangesBeginsAgainInPlace(t *testing.T) {
	f := setup(t, HH023, hub.Options{})
	f.Break(demo, large, hub.Fault{CutAt: 2*chunk + 9})
	f.sizes(t)
	if _, err := f.Download(t.Context(), demo, "main"); err == nil {
		t.Fatal("no error")
	}
	f.Break(demo, large, hub.Fault{IgnoreRange: true})
	got := f.sizes(t)
	if _, err := f.Download(t.Context(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	if len(*got) < 2 || (*got)[0] != 2*chunk || (*got)[1] != chunk {
		t.Errorf("sizes %v, want two chunks, then one", *got)
	}
}

func TestSharedStore(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	f.SharedStore = true
	f.publish(t, hub.File{Path: "w.safetensors", Size: 3 * chunk, Storage: hub.Xet, Seed: 3}, hub.File{Path: "small", Size: 9})
	moved := false
	f.Pause = func(_ context.Context, at Stage, path string) error {
		if at == Moved {
			_, err := os.Lstat(f.blob(path))
			moved = errors.Is(err, os.ErrNotExist)
		}
		return nil
	}
	if _, err := f.Download(t.Context(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	if !moved {
		t.Error("there was no moment without the blob's name")
	}
	e := f.entries["w.safetensors"]
	text, err := os.Readlink(f.blob("w.safetensors"))
	rel, ok := hfcache.SharedBlob(text)
	if err != nil || !ok || filepath.Base(rel) != e.XetHash || size(t, filepath.Join(f.Root, rel)) != e.Size {
		t.Errorf("the blob is %q (%v)", text, err)
	}
	if _, err := os.Readlink(f.blob("small")); err == nil {
		t.Error("a file without a Xet hash was shared")
	}
	// Another repository with the same content takes it from there.
	served := f.Served(e.Etag)
	if _, _, err := f.Publish(other, "main", e.File); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Download(t.Context(), other, "main"); err != nil {
		t.Fatal(err)
	}
	link, err := os.Readlink(filepath.Join(f.Root, other.Folder(), "blobs", e.Etag))
	if err != nil || link != text || f.Served(e.Etag) != served {
		t.Errorf("second blob is %q (%v), %d bytes served", link, err, f.Served(e.Etag)-served)
	}
	refs, err := os.ReadFile(filepath.Join(f.Root, rel+".refs"))
	if want := demo.Folder() + "/blobs/" + e.Etag + "\n" + other.Folder() + "/blobs/" + e.Etag + "\n"; err != nil || string(refs) != want {
		t.Errorf("refs %q (%v), want %q", refs, err, want)
	}
	for _, p := range f.inside(t) {
		if strings.HasSuffix(p, ".shared") || hfcache.ParseBlob(filepath.Base(p)).Kind == hfcache.Partial {
			t.Errorf("%s was left", p)
		}
	}
}
