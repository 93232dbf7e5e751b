package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"progressd/hfcache"
	"progressd/internal/hub"
)

// others are a fixture's client as each of the other kinds, with Xet files.
func others(t *testing.T, run func(t *testing.T, f *fixture, o *Other)) {
	t.Helper()
	for _, kind := range Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			f := setup(t, Trees, hub.Options{})
			f.publish(t, append(slices.Clone(files),
				hub.File{Path: "xet-1.bin", Size: 3*chunk + 5, Storage: hub.Xet}, hub.File{Path: "xet-2.bin", Size: chunk, Storage: hub.Xet})...)
			f.Ahead, f.Burst = 2, 2*chunk
			run(t, f, &Other{HH: f.HH, Kind: kind})
		})
	}
}

// whole fails unless a large file has the content that its name promises.
func whole(t *testing.T, path, sum string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
		t.Errorf("%s holds other bytes (%d) than the hub", path, len(data))
	}
}

func TestOtherClientsLeaveWholeFilesAndNothingElse(t *testing.T) {
	locks := map[Kind]string{
		Rust04: "models--org--demo/blobs/%s.lock", Rust04Tokio: "models--org--demo/blobs/%s.lock",
		Rust1: ".locks/models--org--demo/%s.lock", Swift: ".locks/models--org--demo/blobs/%s.lock",
	}
	others(t, func(t *testing.T, f *fixture, o *Other) {
		snapshot, err := o.Download(t.Context(), demo, "main")
		if err != nil {
			t.Fatal(err)
		}
		want, mayBe := map[string]bool{"models--org--demo/refs/main": true}, map[string]bool{}
		if o.Kind == GoHub {
			want = map[string]bool{"models--org--demo/info/main": true}
		}
		for path, e := range f.entries {
			want["models--org--demo/blobs/"+e.Etag] = true
			want["models--org--demo/snapshots/"+f.commit+"/"+path] = true
			// Who has waited for the lock of the same content makes its file anew.
			mayBe["models--org--demo/blobs/"+e.Etag+".lock"] = o.Kind == GoHub
			if locks[o.Kind] != "" {
				want[fmt.Sprintf(locks[o.Kind], e.Etag)] = true
			}
			text, err := os.Readlink(filepath.Join(snapshot, path))
			if etag, ok := hfcache.SnapshotBlob(path, text); err != nil || !ok || etag != e.Etag {
				t.Errorf("%s leads to %q (%v), want %s", path, text, err, e.Etag)
			}
			if e.Storage != hub.Git {
				whole(t, filepath.Join(snapshot, path), e.Etag)
			}
		}
		for _, path := range f.inside(t) {
			if !want[path] && !mayBe[path] {
				t.Errorf("%s was left", path)
			}
			delete(want, path)
		}
		if len(want) > 0 {
			t.Errorf("not there: %v", want)
		}
	})
}

// trace is one file's stages, each with what the cache shows of it: the sizes
// of partials, "+" a blob, "@" a link, "!" a held lock.
func trace(t *testing.T, f *fixture, o *Other, file string) []string {
	t.Helper()
	var mu sync.Mutex
	var got []string
	names := []string{"listed", "referred", "waiting", "locked", "opened", "written", "probed", "renamed", "moved", "linked", "unlocked"}
	e := f.entries[file]
	o.Include = func(path string) bool { return path == file }
	o.Pause = func(_ context.Context, at Stage, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		s := look(t, f, at, file)
		text := names[at]
		for _, p := range temporaries(t, f) {
			text += fmt.Sprintf(" %d/%d", written(t, p)/(4<<10), size(t, p))
		}
		if s.blob {
			text += fmt.Sprintf(" +%d", size(t, f.blob(file)))
		}
		if s.pointer {
			text += " @"
		}
		for _, path := range []string{f.blob(file) + ".lock", filepath.Join(f.Root, ".locks/models--org--demo/blobs", e.Etag+".lock")} {
			s.locked = s.locked || held(path)
		}
		if s.locked {
			text += " !"
		}
		got = append(got, text)
		return nil
	}
	if _, err := o.Download(t.Context(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	return got
}

// temporaries are partials wherever these clients put them.
func temporaries(t *testing.T, f *fixture) []string {
	t.Helper()
	found := f.partials(t)
	for _, path := range f.inside(t) {
		if strings.HasPrefix(path, "tmp/") {
			found = append(found, filepath.Join(f.Root, path))
		}
	}
	return found
}

func TestOtherClientsTouchTheCacheInTheirOrder(t *testing.T) {
	// Written 4 KiB blocks, then the length; the file has 5 pieces and 7 bytes.
	want := map[Kind]string{
		Rust03:      "opened 0/0, written 16/65536, written 32/131072, written 48/196608, written 64/262144, written 80/327680, written 81/327687, renamed +327687, linked +327687 @, referred +327687 @",
		Rust03Tokio: "opened 0/0, written 16/327687, written 32/327687, written 48/327687, written 64/327687, written 65/327687, written 81/327687, renamed +327687, linked +327687 @, referred +327687 @",
		Rust04:      "locked !, opened 0/0 !, written 16/65536 !, written 32/131072 !, written 48/196608 !, written 64/262144 !, written 80/327680 !, written 81/327687 !, renamed +327687 !, unlocked +327687, linked +327687 @, referred +327687 @",
		Rust04Tokio: "locked !, opened 0/327695 !, written 16/327695 !, written 33/327695 !, written 49/327695 !, written 65/327695 !, written 65/327695 !, written 81/327695 !, renamed +327687 !, unlocked +327687, linked +327687 @, referred +327687 @",
		Rust1:       "locked !, opened 0/0 !, written 16/65536 !, written 32/131072 !, written 48/196608 !, written 64/262144 !, written 80/327680 !, written 81/327687 !, renamed +327687 !, linked +327687 @ !, unlocked +327687 @, referred +327687 @",
		JS:          "referred, opened 0/0, written 16/65536, written 32/131072, written 48/196608, written 64/262144, written 80/327680, written 81/327687, renamed +327687, linked +327687 @",
		LlamaCpp:    "referred, opened 0/0, written 16/65536, written 32/131072, written 48/196608, written 64/262144, written 80/327680, written 81/327687, renamed +327687, linked +327687 @",
		Swift:       "locked !, opened +0 !, written +65536 !, written +131072 !, written +196608 !, written +262144 !, written +327680 !, renamed +327687 !, linked +327687 @ !, referred +327687 @ !, unlocked +327687 @",
		GoHub:       "locked !, opened 0/0 !, written 16/65536 !, written 32/131072 !, written 48/196608 !, written 64/262144 !, written 80/327680 !, written 81/327687 !, renamed +327687 !, unlocked +327687, linked +327687 @",
	}
	others(t, func(t *testing.T, f *fixture, o *Other) {
		if got := strings.Join(trace(t, f, o, large), ", "); got != want[o.Kind] {
			t.Errorf("got\n%s\nwant\n%s", got, want[o.Kind])
		}
	})
}

func TestAXetBatchIsRenamedOnlyAtItsEnd(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	f.publish(t, hub.File{Path: "a", Size: 4 * chunk, Storage: hub.Xet}, hub.File{Path: "b", Size: chunk, Storage: hub.Xet})
	f.Burst = 2 * chunk
	var mu sync.Mutex
	var got []string
	f.Pause = func(_ context.Context, at Stage, path string) error {
		mu.Lock()
		defer mu.Unlock()
		if at == Renamed || at == Linked {
			got = append(got, fmt.Sprintf("%d%s of %d", at, path, len(f.partials(t))))
		}
		return nil
	}
	if _, err := (&Other{HH: f.HH, Kind: Rust1}).Download(t.Context(), demo, "main"); err != nil {
		t.Fatal(err)
	}
	if want := "7a of 1, 7b of 0, 9a of 0, 9b of 0"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestOtherClientsAreKilledAndComeAgain(t *testing.T) {
	// What lies there after the kill, and how many pieces come afterwards.
	left := map[Kind]string{
		Rust03: "tmp", Rust03Tokio: "tmp", Rust04: ".part", Rust04Tokio: ".sync.part",
		Rust1: ".incomplete", JS: ".incomplete", LlamaCpp: ".downloadInProgress", Swift: "", GoHub: ".downloading",
	}
	again := map[Kind]int{
		Rust03: 6, Rust03Tokio: 6, Rust04: 3, Rust04Tokio: 4, Rust1: 6, JS: 6, LlamaCpp: 3, GoHub: 6,
		Swift: 5, // and the last one's end
	}
	others(t, func(t *testing.T, f *fixture, o *Other) {
		pieces := 0
		o.Include = func(path string) bool { return path == large }
		o.Pause = func(_ context.Context, at Stage, _ string) error {
			if at == Written {
				pieces++
			}
			if pieces == 3 || at == Locked && o.Kind == Swift {
				return ErrKilled
			}
			return nil
		}
		if _, err := o.Download(t.Context(), demo, "main"); !errors.Is(err, ErrKilled) {
			t.Fatalf("got %v", err)
		}
		found := temporaries(t, f)
		if (len(found) == 1) != (left[o.Kind] != "") || len(found) == 1 && !strings.Contains(found[0], left[o.Kind]) {
			t.Fatalf("left %v, want one of %q", found, left[o.Kind])
		}
		came := 0
		o.Pause = func(_ context.Context, at Stage, _ string) error {
			if at == Written {
				came++
			}
			return nil
		}
		if _, err := o.Download(t.Context(), demo, "main"); err != nil {
			t.Fatal(err)
		}
		if came != again[o.Kind] {
			t.Errorf("%d pieces came afterwards, want %d", came, again[o.Kind])
		}
		whole(t, f.blob(large), f.entries[large].Etag)
	})
}

func TestAnotherClientInAProcessHasItsOwnName(t *testing.T) {
	f := setup(t, Trees, hub.Options{})
	o := &Other{HH: f.HH, Kind: LlamaCpp}
	cmd, err := o.Command(t.Context(), t.TempDir(), "org/demo")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil || filepath.Base(cmd.Path) != "llama-server" {
		t.Fatalf("%s: %v: %s", cmd.Path, err, out)
	}
	whole(t, f.blob(large), f.entries[large].Etag)
}

func TestAnUnknownClientIsAnError(t *testing.T) {
	o := &Other{HH: HH{Root: t.TempDir()}, Kind: "curl"}
	if _, err := o.Download(t.Context(), demo, "main"); err == nil {
		t.Error("no error")
	}
	if _, err := o.Command(t.Context(), t.TempDir()); err == nil {
		t.Error("no error from Command")
	}
}
