package sim

import (
	"fmt"
	"math/rand/v2"
	"path"

	"progressd/hfcache"
)

// A hubFile is one file of a revision as the hub has it.
type hubFile struct {
	path, etag string
	size       int64
	// xet is its name in the store that repositories share; empty: it comes
	// by plain HTTP.
	xet string
}

// A revision is what a commit holds, in the order of the hub.
type revision struct {
	commit string
	files  []hubFile
}

// shape is what kind of repository it is.
type shape string

// The shapes of repositories.
const (
	shaped     shape = "model"           // weights in some numbered files, or one
	plain      shape = "unnumbered"      // several files of weights without numbers
	adapter    shape = "small"           // all of it comes within a look or two
	corpus     shape = "dataset"         // numbered parquet files and a card
	manySmall  shape = "many files"      // a dataset of thousands of small files
	cardOnly   shape = "card"            // a dataset of which the rest is refused
	quantized  shape = "gguf"            // one file of several quantizations
	withExtras shape = "several formats" // safetensors beside others
)

// publish makes up a first revision.
func publish(rng *rand.Rand, s shape) *revision {
	r := &revision{commit: hex(rng, 40)}
	r.add(rng, ".gitattributes", 1519, false)
	r.add(rng, "README.md", 1000+rng.Int64N(20_000), false)
	switch s {
	case corpus, cardOnly:
		n := 1 + rng.IntN(6)
		for i := range n {
			r.add(rng, fmt.Sprintf("data/train-%05d-of-%05d.parquet", i, n), 20_000_000+rng.Int64N(400_000_000), true)
		}
	case manySmall:
		count := 400 + rng.IntN(1600)
		if chance(rng, 1, 10) {
			count = 10_000
		}
		for i := range count {
			r.add(rng, fmt.Sprintf("part-%d/%05d.json", i%20, i), 2_000+rng.Int64N(200_000), false)
		}
	default:
		r.addModel(rng, s)
	}
	return r
}

// addModel adds what a model consists of.
func (r *revision) addModel(rng *rand.Rand, s shape) {
	r.add(rng, "config.json", 400+rng.Int64N(1000), false)
	weight := func() int64 {
		return 30_000_000 + rng.Int64N(oneOf(rng, int64(200_000_000), 900_000_000, 3_000_000_000))
	}
	switch s {
	case adapter:
		r.add(rng, "model.safetensors", 100_000+rng.Int64N(40_000_000), true)
	case plain:
		for _, name := range []string{"unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"} {
			r.add(rng, path.Dir(name)+"/config.json", 500+rng.Int64N(800), false)
			r.add(rng, name, weight(), true)
		}
	case quantized:
		for _, q := range []string{"Q4_K_M", "Q8_0"} {
			r.add(rng, "model-"+q+".gguf", weight(), true)
		}
	default:
		n := 1 + rng.IntN(4)
		for i := range n {
			name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
			if n == 1 {
				name = "model.safetensors"
			}
			r.add(rng, name, weight(), true)
		}
	}
	if s == withExtras {
		r.add(rng, "onnx/model.onnx", weight(), true)
		r.add(rng, "pytorch_model.bin", weight(), true)
	}
	r.add(rng, "tokenizer.json", 700_000+rng.Int64N(9_000_000), chance(rng, 1, 3))
	if chance(rng, 1, 6) {
		r.add(rng, "added_tokens.json", 0, false)
	}
	if chance(rng, 1, 8) { // one content under two paths
		twin := r.files[len(r.files)-1]
		twin.path = "original/" + path.Base(twin.path)
		r.files = append(r.files, twin)
	}
}

func (r *revision) add(rng *rand.Rand, path string, size int64, large bool) { //nolint:revive // as git and LFS tell them apart
	f := hubFile{path: path, etag: hex(rng, 40), size: size}
	if large {
		f.etag, f.xet = hex(rng, 64), hex(rng, 64)
	}
	r.files = append(r.files, f)
}

// renew makes up the next revision: some files are others, at least one.
func (r *revision) renew(rng *rand.Rand) *revision {
	next := &revision{commit: hex(rng, 40)}
	always := rng.IntN(len(r.files))
	for i, f := range r.files {
		if i == always || chance(rng, 1, 4) {
			f.etag = hex(rng, len(f.etag))
			f.size = max(f.size+f.size/10, 1) + rng.Int64N(1000)
			if f.xet != "" {
				f.xet = hex(rng, 64)
			}
		}
		next.files = append(next.files, f)
	}
	return next
}

// size is that of the files that are wanted, each content once.
func (r *revision) size(want func(string) bool) int64 {
	seen := map[string]bool{}
	var sum int64
	for _, f := range r.files {
		if want(f.path) && !seen[f.etag] {
			seen[f.etag] = true
			sum += f.size
		}
	}
	return sum
}

// A repository is one that is downloaded, and where to.
type repository struct {
	repo  hfcache.Repo
	shape shape
	root  string // of the cache
	// local is the directory that it is downloaded to, by a path beneath the
	// root; empty is the cache.
	local     string
	revisions []*revision
	truth     *truth
}

// key is what the daemon calls the place.
func (r *repository) key() hfcache.Repo {
	if r.local == "" {
		return r.repo
	}
	key, _ := hfcache.LocalRepo(r.local)
	return key
}

// dir is where its files are.
func (r *repository) dir() string {
	if r.local != "" {
		return r.root + "/" + r.local
	}
	return r.root + "/" + r.repo.Folder()
}

func (r *repository) newest() *revision { return r.revisions[len(r.revisions)-1] }
