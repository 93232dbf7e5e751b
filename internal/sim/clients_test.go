package sim

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	realclient "progressd/internal/client"

	"progressd/hfcache"
	"progressd/internal/hub"
)

// writers are those of internal/client that write as a habit says: they write
// to real files, what a real hub gives them.
var writers = map[string]struct {
	generation realclient.Generation
	transfer   realclient.Transfer
	kind       realclient.Kind
	store      bool
}{
	"huggingface_hub 0.19 to 0.22":                    {generation: realclient.HH022},
	"huggingface_hub 0.23 to 0.35":                    {generation: realclient.HH023},
	"huggingface_hub 0.36 to 1.17":                    {generation: realclient.HH036},
	"huggingface_hub 0.36 with hf_transfer":           {generation: realclient.HH036, transfer: realclient.HFTransfer},
	"huggingface_hub 0.36 to 1.17 with hf_xet <= 1.2": {generation: realclient.HH036, transfer: realclient.XetSparse},
	"huggingface_hub 1.18 to 1.21":                    {generation: realclient.HH118},
	"huggingface_hub 1.18 to 1.21 with hf_xet <= 1.2": {generation: realclient.HH118, transfer: realclient.XetSparse},
	"huggingface_hub >= 1.22":                         {generation: realclient.Trees},
	"huggingface_hub >= 1.22 with hf_xet >= 1.3":      {generation: realclient.Trees, transfer: realclient.XetBurst},
	"huggingface_hub >= 2.4 with the shared store":    {generation: realclient.Trees, transfer: realclient.XetBurst, store: true},
	"Rust hf-hub <= 0.3":                              {kind: realclient.Rust03},
	"Rust hf-hub <= 0.3 on tokio":                     {kind: realclient.Rust03Tokio},
	"Rust hf-hub 0.4 and 0.5":                         {kind: realclient.Rust04},
	"Rust hf-hub 0.4 and 0.5 on tokio":                {kind: realclient.Rust04Tokio},
	"Rust hf-hub >= 1.0":                              {kind: realclient.Rust1},
	"Rust hf-hub >= 1.0 by Xet":                       {kind: realclient.Rust1},
	"huggingface.js":                                  {kind: realclient.JS},
	"llama.cpp":                                       {kind: realclient.LlamaCpp},
	"swift-huggingface":                               {kind: realclient.Swift},
	"go-huggingface":                                  {kind: realclient.GoHub},
}

const piece = 64 << 10

// shown are the names in a cache at one moment, what is random in them apart.
type shown string

var (
	randomPart = regexp.MustCompile(`\.[0-9a-f]{8}\.(incomplete|tmp|shared)`)
	temporary  = regexp.MustCompile(`tmp[a-z0-9_]{8}`)
	rustTemp   = regexp.MustCompile(`tmp/[A-Za-z0-9]{7}$`)
	probe      = regexp.MustCompile(`tmp_[0-9a-f-]{36}`)
)

func normal(paths []string) shown {
	// What a client keeps of the hub's word on a revision matters to nobody else.
	paths = slices.DeleteFunc(paths, func(p string) bool { return strings.Contains(p, "/info/") })
	for i, p := range paths {
		p = probe.ReplaceAllString(p, "<probe>")
		p = randomPart.ReplaceAllString(p, ".#.$1")
		p = temporary.ReplaceAllString(p, "<temp>")
		paths[i] = rustTemp.ReplaceAllString(p, "tmp/#")
	}
	slices.Sort(paths)
	return shown(strings.Join(paths, "\n"))
}

// A show collects what is shown, each time that it differs.
type show struct {
	mu  sync.Mutex
	all []shown
}

func (s *show) add(now shown) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 || s.all[len(s.all)-1] != now {
		s.all = append(s.all, now)
	}
}

// TestClientsWriteAsInternalClientDoes has each client of internal/client
// download onto real files, and the one of the simulation onto those in
// memory: what the first shows at each of its stages, the other shows as well,
// in the same order.
func TestClientsWriteAsInternalClientDoes(t *testing.T) {
	for name, w := range writers {
		for _, local := range []bool{false, true} {
			habit, ok := hfcache.HabitOf(name)
			if !ok {
				t.Fatalf("there is no habit %q", name)
			}
			if local && habit.LocalName == hfcache.NoLocal || local && w.store {
				continue
			}
			t.Run(fmt.Sprint(name, " local ", local), func(t *testing.T) {
				h := hub.New(hub.Options{})
				if err := h.Start(); err != nil {
					t.Fatal(err)
				}
				defer h.Close()
				storage := hub.Xet
				if name == "Rust hf-hub >= 1.0" {
					storage = hub.LFS
				}
				repo := hfcache.Repo{Type: hfcache.Model, ID: "org/demo"}
				files := []hub.File{
					{Path: "config.json", Size: 600},
					{Path: "model-00001-of-00002.safetensors", Size: 5*piece + 7, Storage: storage},
					{Path: "sub/model-00002-of-00002.safetensors", Size: 3*piece + 7, Storage: storage},
				}
				if w.kind == realclient.LlamaCpp || habit.Link == hfcache.LinkBatches { // all files at a time
					files = files[1:2]
				}
				commit, entries, err := h.Publish(repo, "main", files...)
				if err != nil {
					t.Fatal(err)
				}
				want := realShow(t, h.URL(), repo, name, local)
				rev := &revision{commit: commit}
				for _, e := range entries {
					rev.files = append(rev.files, hubFile{path: e.Path, etag: e.Etag, size: e.Size, xet: e.XetHash})
				}
				compare(t, want, simShow(t, repo, rev, habit, local))
			})
		}
	}
}

// realShow is what a client of internal/client shows.
func realShow(t *testing.T, endpoint string, repo hfcache.Repo, name string, local bool) []shown {
	t.Helper()
	w, root := writers[name], t.TempDir()
	s := &show{}
	hh := realclient.HH{
		Endpoint: endpoint, Root: root, Generation: w.generation, Transfer: w.transfer, Workers: 1, Chunk: piece,
		Ahead: 2, Burst: 2 * piece, SharedStore: w.store,
		Pause: func(context.Context, realclient.Stage, string) error {
			s.add(realNames(t, root))
			return nil
		},
	}
	if local {
		hh.LocalDir = filepath.Join(root, "dir")
	}
	var err error
	if w.kind != "" {
		_, err = (&realclient.Other{HH: hh, Kind: w.kind}).Download(t.Context(), repo, "main")
	} else {
		_, err = hh.Download(t.Context(), repo, "main")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.add(realNames(t, root))
	return s.all
}

func realNames(t *testing.T, root string) shown {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, "CACHEDIR.TAG") || strings.HasSuffix(path, ".gitignore") {
			return nil //nolint:nilerr // it has gone meanwhile
		}
		rel, err := filepath.Rel(root, path)
		paths = append(paths, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return normal(paths)
}

// simShow is what a client of the simulation shows.
func simShow(t *testing.T, repo hfcache.Repo, rev *revision, habit hfcache.Habit, local bool) []shown {
	t.Helper()
	s := &show{}
	synctest.Test(t, func(*testing.T) {
		w := newWorld(7)
		if err := w.fs.MkdirAll("/hub"); err != nil {
			t.Error(err)
		}
		r := &repository{repo: repo, root: "/hub", revisions: []*revision{rev}}
		if local {
			r.local = "dir"
		}
		r.truth = newTruth(w, r)
		c := w.start(r, rev, plan{Habit: habit.Name, By: script, Seed: 3, Rate: 1 << 20, Chunk: piece, Burst: piece, Ahead: 2})
		c.habit.AtOnce = 1
		c.after = func() { s.add(simNames(w)) }
		c.run()
		s.add(simNames(w))
	})
	return s.all
}

func simNames(w *world) shown {
	var paths []string
	var visit func(p string)
	visit = func(p string) {
		names, _ := w.fs.ReadDir(p)
		for _, name := range names {
			var st unix.Stat_t
			_ = w.fs.Lstat(p+"/"+name, &st)
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				visit(p + "/" + name)
			} else {
				paths = append(paths, strings.TrimPrefix(p+"/"+name, "/hub/"))
			}
		}
	}
	visit("/hub")
	return normal(paths)
}

// compare looks for all of want in got, in order.
func compare(t *testing.T, want, got []shown) {
	t.Helper()
	at := 0
	for i, w := range want {
		next := slices.Index(got[at:], w)
		if next < 0 {
			before := shown("")
			if i > 0 {
				before = want[i-1]
			}
			t.Fatalf("this is never shown, or not in this order:\n%s\n\nright before it is\n%s\n\nthe simulation shows then\n%s",
				w, before, strings.Join(texts(got[at:min(at+6, len(got))]), "\n--\n"))
		}
		at += next
	}
	if last := got[len(got)-1]; last != want[len(want)-1] {
		t.Errorf("in the end there is\n%s\n\nwant\n%s", last, want[len(want)-1])
	}
}

func texts(all []shown) (texts []string) {
	for _, s := range all {
		texts = append(texts, string(s))
	}
	return texts
}
