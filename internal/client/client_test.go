package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/hub"
)

func TestMain(m *testing.M) {
	RunIfCalled()
	// Else the race detector lets every child sleep for a second at its end.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	goleak.VerifyTestMain(m)
}

var (
	demo  = hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}
	other = hfcache.Repo{Type: hfcache.Dataset, ID: "org/other"}
)

const chunk = 64 << 10

// files are small, with one content under two paths and one file in a folder.
var files = []hub.File{
	{Path: "config.json", Size: 600},
	{Path: "model-00001-of-00002.safetensors", Size: 5*chunk + 7, Storage: hub.LFS},
	{Path: "sub/copy.json", Size: 600, Seed: 5},
	{Path: "sub/deep/copy.json", Size: 600, Seed: 5},
}

// everyGeneration by its name.
var everyGeneration = map[string]Generation{"trees": Trees, "1.18": HH118, "0.36": HH036, "0.23": HH023, "0.22": HH022}

type fixture struct {
	*hub.Hub
	HH
	commit  string
	entries map[string]hub.Entry
}

// setup is a hub with files as org/demo, and a client of an empty cache.
func setup(t *testing.T, g Generation, opts hub.Options) *fixture {
	t.Helper()
	f := &fixture{Hub: hub.New(opts), entries: map[string]hub.Entry{}}
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("cannot close the hub: %v", err)
		}
	})
	f.publish(t, files...)
	f.HH = HH{Endpoint: f.URL(), Root: t.TempDir(), Generation: g, Chunk: chunk, RetryWait: time.Millisecond}
	return f
}

func (f *fixture) publish(t *testing.T, files ...hub.File) {
	t.Helper()
	commit, entries, err := f.Publish(demo, "main", files...)
	if err != nil {
		t.Fatal(err)
	}
	f.commit = commit
	for _, e := range entries {
		f.entries[e.Path] = e
	}
}

// inside lists what lies beneath the root, directories without links apart.
func (f *fixture) inside(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(f.Root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(f.Root, path)
		paths = append(paths, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func (f *fixture) blob(path string) string {
	return filepath.Join(f.Root, "models--org--demo", "blobs", f.entries[path].Etag)
}

// partials are the unfinished files in the cache, by their paths.
func (f *fixture) partials(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, path := range f.inside(t) {
		if hfcache.ParseBlob(filepath.Base(path)).Kind == hfcache.Partial || !strings.Contains(path, "/") && hfcache.IsRootTemp(path) {
			found = append(found, filepath.Join(f.Root, path))
		}
	}
	return found
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestDownloadLeavesTheCacheOfItsGeneration(t *testing.T) {
	for name, g := range everyGeneration {
		t.Run(name, func(t *testing.T) {
			f := setup(t, g, hub.Options{PageSize: 3, CDN: true})
			snapshot, err := f.Download(t.Context(), demo, "main")
			if err != nil {
				t.Fatal(err)
			}
			repo := "models--org--demo/"
			want := []string{repo + "refs/main"}
			blobs := map[string]bool{}
			for path, e := range f.entries {
				want = append(want, repo+"snapshots/"+f.commit+"/"+path)
				if !blobs[e.Etag] {
					want = append(want, repo+"blobs/"+e.Etag, ".locks/"+repo+e.Etag+".lock")
				}
				blobs[e.Etag] = true
				text, err := os.Readlink(filepath.Join(snapshot, path))
				if etag, ok := hfcache.SnapshotBlob(path, text); err != nil || !ok || etag != e.Etag {
					t.Errorf("%s leads to %q (%v), want %s", path, text, err, e.Etag)
				}
				if got := size(t, filepath.Join(snapshot, path)); got != e.Size {
					t.Errorf("%s has %d bytes, want %d", path, got, e.Size)
				}
			}
			if g == Trees || g == HH118 {
				want = append(want, "CACHEDIR.TAG")
			}
			if g == Trees {
				want = append(want, repo+"trees/"+f.commit+".json")
			}
			slices.Sort(want)
			got := f.inside(t)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if ref, err := os.ReadFile(filepath.Join(f.Root, repo, "refs/main")); err != nil || string(ref) != f.commit {
				t.Errorf("refs/main holds %q (%v), want %s", ref, err, f.commit)
			}
		})
	}
}

func TestBytesOnDiskAreThoseOfTheHub(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	if _, err := f.Download(t.Context(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	// The etag of a large file is its sha256: publishing what was read
	// would name it the same, so compare with another client's copy.
	again := f.HH
	again.Root, again.Generation = t.TempDir(), HH022
	if _, err := again.Download(t.Context(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	for path := range f.entries {
		one, err := os.ReadFile(f.blob(path))
		two, err2 := os.ReadFile(strings.Replace(f.blob(path), f.Root, again.Root, 1))
		if err != nil || err2 != nil || !bytes.Equal(one, two) {
			t.Errorf("%s differs: %d and %d bytes, %v, %v", path, len(one), len(two), err, err2)
		}
	}
}

func TestListingTellsOfEveryFile(t *testing.T) {
	f := setup(t, Trees, hub.Options{PageSize: 1})
	f.Include = func(path string) bool { return path == "config.json" }
	if _, err := f.Download(t.Context(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.Root, "models--org--demo/trees", f.commit+".json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("listing has mode %v, %v; want 0600", info.Mode(), err)
	}
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	listing, err := hfcache.ParseListing(r, hfcache.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if len(listing.Files) != len(files) {
		t.Fatalf("listed %d files, want all %d", len(listing.Files), len(files))
	}
	for _, got := range listing.Files {
		if e := f.entries[got.Path]; got.Etag != e.Etag || got.Size != e.Size {
			t.Errorf("listed %+v, want %s with %d bytes", got, e.Etag, e.Size)
		}
	}
	if _, err := os.Stat(f.blob("config.json")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.blob(files[1].Path)); err == nil {
		t.Error("a file was fetched that was not wanted")
	}
}

// seen is what a test sees at each stage of one file.
type seen struct {
	stage                  Stage
	locked, pointer, blob  bool
	partials, probes, size int64
}

func TestStagesComeInTheOrderOfTheRealClient(t *testing.T) {
	for name, g := range everyGeneration {
		t.Run(name, func(t *testing.T) {
			f := setup(t, g, hub.Options{})
			path := files[1].Path
			f.Include = func(p string) bool { return p == path }
			var got []seen
			f.Pause = func(_ context.Context, at Stage, _ string) error {
				got = append(got, look(t, f, at, path))
				return nil
			}
			if _, err := f.Download(t.Context(), demo, "main"); err != nil {
				t.Fatal(err)
			}
			total := f.entries[path].Size
			want := []seen{{stage: Referred}, {stage: Locked, locked: true}, {stage: Opened, locked: true, partials: 1}}
			if g == Trees {
				want = slices.Insert(want, 0, seen{stage: Listed})
			}
			for at := int64(chunk); at-chunk < total; at += chunk {
				want = append(want, seen{stage: Written, locked: true, partials: 1, size: min(at, total)})
			}
			want = append(want,
				seen{stage: Probed, locked: true, partials: 1, probes: 1, size: total},
				seen{stage: Renamed, locked: true, blob: true},
				seen{stage: Linked, locked: true, blob: true, pointer: true},
				seen{stage: Unlocked, blob: true, pointer: true})
			if !slices.Equal(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

func look(t *testing.T, f *fixture, at Stage, path string) seen {
	t.Helper()
	s := seen{stage: at}
	e := f.entries[path]
	s.locked = held(filepath.Join(f.Root, ".locks/models--org--demo", e.Etag+".lock"))
	_, err := os.Lstat(f.blob(path))
	s.blob = err == nil
	_, err = os.Lstat(filepath.Join(f.Root, "models--org--demo/snapshots", f.commit, path))
	s.pointer = err == nil
	for _, p := range f.partials(t) {
		s.partials++
		s.size += size(t, p)
	}
	for _, p := range f.inside(t) {
		if hfcache.ParseBlob(filepath.Base(p)).Kind == hfcache.Probe {
			s.probes++
		}
	}
	return s
}

// held reports whether somebody has the lock; it tries it.
func held(path string) bool {
	fd, err := unix.Open(path, unix.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return errors.Is(unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func TestASecondRunMovesNoByte(t *testing.T) {
	for name, g := range everyGeneration {
		t.Run(name, func(t *testing.T) {
			f := setup(t, g, hub.Options{})
			if _, err := f.Download(t.Context(), demo, "main"); err != nil {
				t.Fatal(err)
			}
			var stages []Stage
			f.Pause = func(_ context.Context, at Stage, _ string) error {
				stages = append(stages, at)
				return nil
			}
			served := f.Served(f.entries[files[1].Path].Etag)
			if _, err := f.Download(t.Context(), demo, "main"); err != nil {
				t.Fatal(err)
			}
			// The newest leaves even the ref alone; the older write it again.
			want := []Stage{Referred}
			if g == Trees {
				want = nil
			}
			if !slices.Equal(stages, want) {
				t.Errorf("stages %v, want %v", stages, want)
			}
			if again := f.Served(f.entries[files[1].Path].Etag); again != served {
				t.Errorf("%d bytes were served again", again-served)
			}
		})
	}
}

func TestTwoPathsWithOneContentAreFetchedOnceButByTheOldest(t *testing.T) {
	for name, g := range everyGeneration {
		t.Run(name, func(t *testing.T) {
			f := setup(t, g, hub.Options{})
			etag := f.entries["sub/copy.json"].Etag
			f.Include = func(p string) bool { return strings.HasSuffix(p, "copy.json") }
			// The first goes on when the second waits for it.
			second := make(chan struct{})
			arrived := sync.OnceFunc(func() { close(second) })
			var inside atomic.Int32
			f.Pause = func(_ context.Context, at Stage, _ string) error {
				switch at { // the other stages say nothing here
				case Waiting:
					arrived()
				case Locked:
					if inside.Add(1) > 1 {
						t.Error("two hold one lock")
						arrived()
					}
					<-second
				case Linked:
					inside.Add(-1)
				}
				return nil
			}
			if _, err := f.Download(t.Context(), demo, "main"); err != nil {
				t.Fatal(err)
			}
			want := 1
			if g == HH022 {
				want = 2
			}
			if got := f.Requests(etag); got != want {
				t.Errorf("fetched %d times, want %d", got, want)
			}
		})
	}
}

func TestDownloadFileLeavesNoListing(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	path, err := f.DownloadFile(t.Context(), demo, "main", "sub/copy.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := size(t, path); got != 600 {
		t.Errorf("%d bytes at %s", got, path)
	}
	for _, p := range f.inside(t) {
		if strings.Contains(p, "trees") {
			t.Errorf("there is %s", p)
		}
	}
	if ref := filepath.Join(f.Root, "models--org--demo/refs/main"); size(t, ref) != 40 {
		t.Errorf("no %s", ref)
	}
}

func TestLockFilesGoWhereAskedTo(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	f.RemoveLocks = true
	if _, err := f.Download(t.Context(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	for _, p := range f.inside(t) {
		if strings.HasSuffix(p, ".lock") {
			t.Errorf("%s was left", p)
		}
	}
}

func TestUnknownGenerationIsAnError(t *testing.T) {
	h := HH{Root: t.TempDir(), Generation: "9"}
	if _, err := h.Download(t.Context(), demo, "main"); err == nil {
		t.Error("no error")
	}
	if got := fmt.Sprint(os.ReadDir(h.Root)); got != "[] <nil>" {
		t.Errorf("something was written: %s", got)
	}
}
