package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"progressd/internal/hub"
)

// written is how many bytes of a file are allocated.
func written(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

func TestTransfersFillThePartialInTheirWay(t *testing.T) {
	// In pieces: what is written, and how long the file is.
	want := map[Transfer]string{
		HTTP:       "1/1 2/2 3/3 4/4 5/5 5/5",
		HFTransfer: "1/2 2/2 3/4 4/4 4/5 5/5",
		XetSparse:  "1/2 2/2 3/4 4/4 4/5 5/5",
		XetBurst:   "3/3 5/5",
	}
	for transfer, want := range want {
		t.Run(string(transfer), func(t *testing.T) {
			f := setup(t, HH023, hub.Options{})
			f.Transfer, f.Ahead, f.Burst = transfer, 2, 3*chunk
			f.Include = func(p string) bool { return p == large }
			var got []string
			f.Pause = func(_ context.Context, at Stage, _ string) error {
				if at == Written {
					p := f.partials(t)[0]
					got = append(got, fmt.Sprintf("%d/%d", written(t, p)/chunk, size(t, p)/chunk))
				}
				return nil
			}
			if _, err := f.Download(t.Context(), demo, "main"); err != nil {
				t.Fatal(err)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("got %s, want %s", strings.Join(got, " "), want)
			}
			whole(t, f.blob(large), f.entries[large].Etag)
		})
	}
}

func TestWhatATransferLeavesIsTreatedAsTheRealOneDoes(t *testing.T) {
	// After a kill behind 3 pieces: what the next attempt begins with.
	for transfer, want := range map[Transfer]int64{HTTP: 3, HFTransfer: 0, XetSparse: 4, XetBurst: 0} {
		t.Run(string(transfer), func(t *testing.T) {
			f := setup(t, HH023, hub.Options{})
			f.Transfer, f.Ahead, f.Burst = transfer, 2, chunk
			f.Include = func(p string) bool { return p == large }
			pieces := 0
			f.Pause = func(_ context.Context, at Stage, _ string) error {
				if at == Written {
					pieces++
				}
				if pieces == 3 {
					return ErrKilled
				}
				return nil
			}
			if _, err := f.Download(t.Context(), demo, "main"); !errors.Is(err, ErrKilled) {
				t.Fatal(err)
			}
			f.Pause = func(_ context.Context, at Stage, _ string) error {
				if at == Opened {
					if got := size(t, f.partials(t)[0]) / chunk; got != want {
						t.Errorf("began with %d pieces, want %d", got, want)
					}
				}
				return nil
			}
			if _, err := f.Download(t.Context(), demo, "main"); err != nil {
				t.Fatal(err)
			}
			whole(t, f.blob(large), f.entries[large].Etag)
		})
	}
}

func TestHFTransferThatFailsRemovesItsPartial(t *testing.T) {
	f := setup(t, HH023, hub.Options{})
	f.Transfer = HFTransfer
	f.Break(demo, large, hub.Fault{CutAt: 2 * chunk})
	if _, err := f.Download(t.Context(), demo, "main"); err == nil {
		t.Fatal("no error")
	}
	if left := f.partials(t); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestWithoutSymlinksTheFileItselfLiesInTheSnapshot(t *testing.T) {
	for name, g := range everyGeneration {
		t.Run(name, func(t *testing.T) {
			f := setup(t, g, hub.Options{})
			f.NoSymlinks, f.Workers = true, 1
			known := "config.json"
			data := make([]byte, 600)
			if err := errors.Join(os.MkdirAll(filepath.Dir(f.blob(known)), 0o777), os.WriteFile(f.blob(known), data, 0o666)); err != nil {
				t.Fatal(err)
			}
			snapshot, err := f.Download(t.Context(), demo, "main")
			if err != nil {
				t.Fatal(err)
			}
			var blobs []string
			for _, path := range f.inside(t) {
				if strings.Contains(path, "/blobs/") {
					blobs = append(blobs, filepath.Base(path))
				}
			}
			if want := []string{f.entries[known].Etag}; !slices.Equal(blobs, want) {
				t.Errorf("in blobs/ lie %v, want %v", blobs, want)
			}
			for path, e := range f.entries {
				info, err := os.Lstat(filepath.Join(snapshot, path))
				if err != nil || !info.Mode().IsRegular() || info.Size() != e.Size {
					t.Errorf("%s: %v, %v", path, info, err)
				}
			}
			if got := f.Requests(f.entries["sub/copy.json"].Etag); got != 2 {
				t.Errorf("a content under two paths was fetched %d times", got)
			}
		})
	}
}
