package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"progressd/hfcache"
	"progressd/internal/client"
	"progressd/internal/hub"
)

// model is one repository, and all that truly happened to it.
type model struct {
	world  *world
	repo   hfcache.Repo
	hub    *hub.Hub
	client client.HH
	// company are the clients that download it.
	company []writer
	xet     bool // its large files are stored that way
	// revisions are what was published, oldest first.
	revisions []revision

	mu       sync.Mutex
	lives    []*life
	removals []removal
	// scenes are what was settled, in order.
	scenes []mark
	// outcomes are what was awaited, for the report.
	outcomes []string
}

// removal is when the repository was deleted, and how many lines there were.
type removal struct {
	at    time.Time
	lines int
}

// mark is the end of a scene: how many lives and lines there were when its
// verdict had come. What a line tells of is one of the lives before its mark.
type mark struct{ lives, lines int }

type revision struct {
	commit string
	files  []hub.Entry
}

// hidden: what a client is writing may lie in the root, where nothing tells
// whose it is.
func (m *model) hidden() bool { return slices.ContainsFunc(m.company, writer.outside) }

// listed reports whether every client leaves a listing.
func (m *model) listed() bool {
	return !slices.ContainsFunc(m.company, func(w writer) bool { return !w.lists() })
}

func (m *model) dir() string {
	return filepath.Join(m.world.cache(), "models--"+strings.ReplaceAll(m.repo.ID, "/", "--"))
}

func (m *model) logPath() string {
	return filepath.Join(m.world.logs(), strings.ReplaceAll(m.repo.ID, "/", "--")+".log")
}

func (m *model) newest() revision { return m.revisions[len(m.revisions)-1] }

// newModel makes up a repository and publishes its first revision.
func (a *actor) newModel(number uint64) (*model, error) {
	w := a.world
	m := &model{
		world: w, hub: w.hubs[0],
		repo: hfcache.Repo{Type: hfcache.Model, ID: fmt.Sprintf("soak/m%04d", number)},
	}
	if a.rng.IntN(4) == 0 {
		m.hub = w.hubs[1]
	}
	m.company, m.xet = a.company(), a.rng.IntN(2) == 0
	m.client = client.HH{
		Endpoint: m.hub.URL(), Root: w.cache(),
		Chunk:       (64 << 10) << a.rng.IntN(4),
		RemoveLocks: a.rng.IntN(4) == 0,
		SharedStore: m.listed() && a.rng.IntN(5) == 0,
	}
	if err := m.publish(m.invent(a.rng)); err != nil {
		return nil, err
	}
	w.add(m)
	return m, nil
}

// invent makes up the files of a first revision. Their numbers are in their
// names: without a listing those alone can tell that some are missing.
func (m *model) invent(rng *rand.Rand) []hub.File {
	files := []hub.File{{Path: "config.json", Size: 100 + rng.Int64N(1000)}}
	if rng.IntN(4) == 0 {
		files = append(files, hub.File{Path: "empty.txt"})
	}
	shards := 1 + rng.IntN(4)
	for i := range shards {
		files = append(files, hub.File{
			Path: fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards),
			Size: 200_000 + rng.Int64N(2_500_000), Storage: m.storage(),
		})
	}
	if m.listed() && rng.IntN(3) == 0 {
		files = append(files, hub.File{Path: "onnx/model.onnx", Size: 300_000 + rng.Int64N(1_000_000), Storage: m.storage()})
	}
	if !m.hidden() && rng.IntN(4) == 0 { // a twin: one blob under two paths
		twin := files[len(files)-1]
		twin.Seed = rng.Uint64()
		files[len(files)-1].Seed = twin.Seed
		twin.Path = "copy/twin.bin"
		files = append(files, twin)
	}
	return files
}

// renew makes a new revision in which some files are others, at least one.
func (m *model) renew(rng *rand.Rand) error {
	var files []hub.File
	old := m.newest().files
	always := rng.IntN(len(old))
	for i, e := range old {
		f := e.File
		if i == always || rng.IntN(3) == 0 {
			f.Seed, f.Size = rng.Uint64(), max(f.Size, 1)+1
		}
		files = append(files, f)
	}
	return m.publish(files)
}

func (m *model) publish(files []hub.File) error {
	commit, entries, err := m.hub.Publish(m.repo, "main", files...)
	if err != nil {
		return fmt.Errorf("cannot publish %s: %w", m.repo.ID, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revisions = append(m.revisions, revision{commit, entries})
	return nil
}

// union is the size of some revisions together, each blob once.
func union(revisions []revision) int64 {
	seen := map[string]bool{}
	var sum int64
	for _, r := range revisions {
		for _, e := range r.files {
			if !seen[e.Etag] {
				seen[e.Etag] = true
				sum += e.Size
			}
		}
	}
	return sum
}

// whole is the size of a revision's files that are wanted, each blob once.
func (r revision) whole(want func(string) bool) int64 {
	var wanted []hub.Entry
	for _, e := range r.files {
		if want(e.Path) {
			wanted = append(wanted, e)
		}
	}
	return union([]revision{{files: wanted}})
}
