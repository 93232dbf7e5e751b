package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"progressd/internal/hub"
)

// loaders are programs that fetch a model to run it. They are large, and
// played only when they are named: make e2e-loaders. What they load is made up,
// so that all of them fail when they have it.
var loaders = []release{
	{
		// The wheel for processors is vLLM's own code, built for machines
		// without a graphics card.
		name: "vllm-0.32.0", kit: python("vllm", "vllm"), costly: true,
		program: []string{"{dir}/bin/python", "{dir}/bin/vllm", "serve", "{repo}", "--uds", "{home}/{now}.sock", "--max-model-len", "128"},
		env:     []string{"VLLM_CPU_KVCACHE_SPACE=1", "VLLM_NO_USAGE_STATS=1", "OMP_NUM_THREADS=1"},
		traits:  traits{listing: true, orphans: true, loads: true},
	},
	{
		name: "transformers-5.19.0", kit: python("vllm", "vllm"), costly: true,
		program: []string{"{dir}/bin/python", "{scripts}/transformers-load.py"}, traits: traits{loads: true},
	},
	{
		name: "diffusers-0.42.1", kit: python("vllm", "vllm"), costly: true,
		program: []string{"{dir}/bin/python", "{scripts}/diffusers-load.py"}, traits: traits{listing: true, loads: true},
	},
	{
		// Of Debian's newest suite, run by its own C library.
		name: "llama.cpp", costly: true,
		kit: kit{name: "llama.cpp", tool: "mmdebstrap", install: [][]string{{
			"mmdebstrap", "--quiet", "--variant=extract", "--include=llama.cpp-tools", "--aptopt=APT::Install-Recommends \"false\"",
			"--aptopt=Acquire::Check-Valid-Until \"false\"", "sid", "{dir}/root", "http://deb.debian.org/debian",
		}}},
		program: []string{
			"{dir}/root/usr/lib64/ld-linux-x86-64.so.2", "--library-path", "{dir}/root/usr/lib/x86_64-linux-gnu:{dir}/root/usr/lib/x86_64-linux-gnu/llama",
			"{dir}/root/usr/bin/llama-cli", "-hf", "{repo}", "-p", "hi", "-n", "1",
		},
		traits: traits{lockless: true, resumes: true, loads: true},
	},
}

// python is a set of packages of PyPI that a file of requirements below kits/
// names.
func python(name, source string) kit {
	return kit{name: name, tool: "{python}", source: source, install: [][]string{
		{"{python}", "-m", "venv", "{dir}"},
		{"{dir}/bin/pip", "install", "--quiet", "--no-cache-dir", "--no-compile", "--no-deps", "-r", "{dir}/requirements.txt"},
		{"{dir}/bin/python", "{dir}/rename.py"},
	}}
}

// Texts that the programs understand. The names of the weights come last: what
// is held at a gate is the last file.
const (
	llamaConfig = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, ` +
		`"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 3, "max_position_embeddings": 2048, ` +
		`"rms_norm_eps": 1e-6, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2}`
	tokenizer = `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, ` +
		`"pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null, ` +
		`"model": {"type": "WordLevel", "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2}, "unk_token": "<unk>"}}`
	tokenizerConfig = `{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}`
	weightIndex     = `{"metadata": {"total_size": 57000000}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}`
	pipeline        = `{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}`
)

func text(path, content string) hub.File {
	return hub.File{Path: path, Size: int64(len(content)), Text: content}
}

func weights(path string, size int64, seed uint64) hub.File {
	return hub.File{Path: path, Size: size, Storage: hub.LFS, Seed: seed}
}

// configured is what a server fetches before it knows its weights.
var configured = []hub.File{
	text(".gitattributes", "*.safetensors filter=lfs\n"), text("README.md", "# made up\n"), text("config.json", llamaConfig),
	text("tokenizer.json", tokenizer), text("tokenizer_config.json", tokenizerConfig),
}

func with(files []hub.File, more ...hub.File) []hub.File {
	return append(append([]hub.File{}, files...), more...)
}

var (
	indexed = with(configured, text("model.safetensors.index.json", weightIndex),
		weights("model-00001-of-00002.safetensors", 24*mb, 21), weights("model-00002-of-00002.safetensors", 33*mb, 22))
	// formats are the same weights in several forms, of which one is wanted.
	formats = with(indexed, weights("onnx/model.onnx", 12*mb, 32), weights("pytorch_model.bin", 34*mb, 24))
	// official is a checkpoint as its maker published it beside the usual form.
	official = with(indexed, weights("consolidated.safetensors", 36*mb, 25))
	binFirst = with(configured, weights("onnx/model.onnx", 12*mb, 32), weights("pytorch_model.bin", 34*mb, 24))
	quants   = []hub.File{weights("model-Q8_0.gguf", 36*mb, 26), weights("mmproj-model-f16.gguf", 13*mb, 27), weights("model-Q4_K_M.gguf", 56*mb, 28)}
	pictures = []hub.File{
		text("model_index.json", pipeline), text("unet/config.json", `{"_class_name": "UNet2DConditionModel"}`),
		text("vae/config.json", `{"_class_name": "AutoencoderKL"}`), weights("unet/diffusion_pytorch_model.bin", 34*mb, 29),
		weights("vae/diffusion_pytorch_model.safetensors", 13*mb, 30), weights("unet/diffusion_pytorch_model.safetensors", 35*mb, 31),
	}
)

var loaderScenes = []scene{
	{name: "vllm-formats", about: "vLLM, three forms of the weights", applies: called("vllm-0.32.0"), files: formats, home: absent, play: fetch, want: loaded(indexed...)},
	{name: "vllm-bin", about: "vLLM, `.bin` alone", applies: called("vllm-0.32.0"), files: binFirst, home: absent, play: fetch, want: loaded(with(configured, binFirst[6])...)},
	{name: "vllm-official", about: "vLLM, `consolidated` beside the usual form", applies: called("vllm-0.32.0"), files: official, home: absent, play: fetch, want: undecided},
	{name: "vllm-sigkill", about: "vLLM, SIGKILL, once more, once more", applies: called("vllm-0.32.0"), files: indexed, home: absent, play: killedLoader, want: loadedAgain},
	{name: "transformers", about: "`AutoModelForCausalLM.from_pretrained`", applies: called("transformers-5.19.0"), files: formats, home: absent, play: fetch, want: fetchedSome("57.0MB in 4 of 10 files, without .+")},
	{name: "diffusers", about: "`DiffusionPipeline.from_pretrained`", applies: called("diffusers-0.42.1"), files: pictures, home: absent, play: fetch, want: fetchedSome("48.0MB in 5 of 6 files, without .+")},
	{name: "gguf", about: "llama.cpp, one of two quantizations", applies: called("llama.cpp"), files: quants, home: absent, play: fetch, want: fetchedAlone},
	{name: "gguf-sigkill", about: "llama.cpp, SIGKILL, once more, once more", applies: called("llama.cpp"), slow: hasNoLocks, files: quants, home: absent, play: killedLoader, want: fetchedAgain},
}

// called applies to one release alone.
func called(name string) func(release) bool {
	return func(r release) bool { return r.name == name }
}

// fetch runs the program until it fails of what it has fetched.
func fetch(ctx context.Context, a *act) error {
	if err := a.download(ctx); err != nil {
		return err
	}
	return a.toldOne(ctx, "completed", "ended")
}

// killedLoader dies in the middle, with all that it has started; then it
// fetches all; then all is there.
func killedLoader(ctx context.Context, a *act) error {
	last := a.scene.files[len(a.scene.files)-1].Path
	p, gate, err := a.toTheGate(ctx, last, 25*mb, a.begin)
	if err != nil {
		return err
	}
	defer gate.Open()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("cannot kill %q: %w", p.cmd.Args, err)
	}
	if err := p.fail(ctx); err != nil {
		return err
	}
	if err := a.told(ctx, "interrupted", 1); err != nil {
		return err
	}
	gate.Open()
	if err := download()(ctx, a); err != nil {
		return err
	}
	return a.download(ctx)
}

// loaded: the weights that it wants, and what it has taken before. The rest of
// the listing doesn't count.
func loaded(files ...hub.File) func(*act) []want {
	return func(a *act) []want {
		w := a.about("preparing started( keepalive)*( progress)+ completed:loader", files)
		return []want{w.says(a.opening(), a.success())}
	}
}

// undecided: older versions take more than this one does, and nobody can see
// which one it is.
func undecided(a *act) []want {
	return []want{a.about("preparing started( keepalive)*( progress)+ ended", nil).says("Download ended: 36.0MB in 7 of 9 files, without .+")}
}

// loadedAgain: it takes all that there is, so that the listing itself proves it.
func loadedAgain(a *act) []want {
	w := a.about("preparing started( keepalive)*( progress)+ interrupted restarted( restarted)*( progress)* orphans completed:listing", indexed)
	return []want{w.says("Download interrupted at .*: downloader " + `\(pid [0-9]+, VLLM::Worker\)` + " is gone")}
}

// fetchedAlone: no listing, and the others are not missed.
func fetchedAlone(a *act) []want { return []want{a.unlisted(quants[1:])} }

func fetchedAgain(a *act) []want {
	w := a.about("preparing started( progress)+( keepalive)* interrupted moving( progress)* unlisted completed:quiet", quants[1:])
	return []want{w.says("Download interrupted at " + a.gone())}
}

// fetchedSome: a script tells nobody that it wants one form of two.
func fetchedSome(text string) func(*act) []want {
	return func(a *act) []want {
		return []want{a.about("preparing started( progress)+ ended", nil).says("Download ended: " + text)}
	}
}

// meet looks once a second who belongs to the groups of programs that load a
// model: their workers download.
func (b *books) meet(now time.Time) {
	if now.Sub(b.met) < time.Second {
		return
	}
	b.met = now
	groups := map[int]bool{}
	for _, p := range b.processes {
		if p.loads {
			groups[p.cmd.Process.Pid] = true
		}
	}
	if len(groups) == 0 {
		return
	}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if group, err := syscall.Getpgid(pid); err == nil && groups[group] {
				b.kin[pid] = true
			}
		}
	}
}
