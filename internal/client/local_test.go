package client

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"progressd/hfcache"
	"progressd/internal/hub"
)

func TestALocalDirHoldsWhatTheGenerationLeavesThere(t *testing.T) {
	for name, g := range everyGeneration {
		if g == HH022 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			f := setup(t, g, hub.Options{})
			cache := f.Root
			f.LocalDir = filepath.Join(t.TempDir(), "model")
			if _, err := f.Download(t.Context(), demo, "main"); err != nil {
				t.Fatal(err)
			}
			want := []string{".cache/huggingface/.gitignore"}
			for path, e := range f.entries {
				staged := ".cache/huggingface/download/" + path
				want = append(want, path, staged+".lock", staged+".metadata")
				if got := size(t, filepath.Join(f.LocalDir, path)); got != e.Size {
					t.Errorf("%s has %d bytes, want %d", path, got, e.Size)
				}
				text, err := os.ReadFile(filepath.Join(f.LocalDir, staged+".metadata"))
				if commit, etag, ok := hfcache.ReadLocalNote(string(text)); err != nil || !ok || commit != f.commit || etag != e.Etag {
					t.Errorf("metadata of %s: %q (%v)", path, text, err)
				}
			}
			if g == Trees || g == HH118 {
				want = append(want, ".cache/huggingface/CACHEDIR.TAG")
			}
			if g == Trees {
				want = append(want, ".cache/huggingface/trees/"+f.commit+".json")
			}
			f.Root = f.LocalDir
			got := f.inside(t)
			slices.Sort(got)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			f.Root = cache
			if got := f.inside(t); !slices.Equal(got, []string{"models--org--demo/refs/main"}) {
				t.Errorf("in the cache: %s", got)
			}
		})
	}
}

func TestPartialsInALocalDirAreNamedAsTheGenerationDoes(t *testing.T) {
	forms := map[Generation]string{
		Trees: `^[\w-]{27}=\.[0-9a-f]{64}\.[0-9a-f]{8}\.incomplete$`,
		HH118: `^[\w-]{27}=\.[0-9a-f]{64}\.[0-9a-f]{8}\.incomplete$`,
		HH036: `^[\w-]{27}=\.[0-9a-f]{64}\.incomplete$`,
		HH023: `^` + regexp.QuoteMeta(large) + `\.[0-9a-f]{64}\.incomplete$`,
	}
	for g, form := range forms {
		f := setup(t, g, hub.Options{})
		dir := filepath.Join(t.TempDir(), "model")
		cmd, _ := f.process(t, "org/demo", large, "--local-dir", dir)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		found, err := filepath.Glob(filepath.Join(dir, ".cache/huggingface/download/*.incomplete"))
		if err != nil || len(found) != 1 || !regexp.MustCompile(form).MatchString(filepath.Base(found[0])) {
			t.Errorf("%q: partials %q (%v), want one like %s", g, found, err, form)
			continue
		}
		p, ok := hfcache.ParseLocalPartial(filepath.Base(found[0]))
		if !ok || p.Etag != f.entries[large].Etag || p.File != large && p.Hash != hfcache.LocalHash(large) {
			t.Errorf("%q is read as %+v", found[0], p)
		}
	}
}
