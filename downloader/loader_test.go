package downloader

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"progressd/hfcache"
)

func loads(name, id string) *Loader {
	return &Loader{Name: name, Repo: hfcache.Repo{Type: hfcache.Model, ID: id}}
}

func (l *Loader) at(revision string) *Loader {
	l.Revision = revision
	return l
}

func (l *Loader) as(format string) *Loader {
	l.Format = format
	return l
}

func TestLoadersThatAreUnderstood(t *testing.T) {
	tests := map[string]*Loader{
		"vllm serve o/m": loads("vllm", "o/m"),
		"/usr/bin/python3 /usr/local/bin/vllm serve o/m --port 8000": loads("vllm", "o/m"),
		// Seen, vLLM 0.32.0.
		"/venv/bin/python3 /venv/bin/vllm serve o/m --port 8123 --max-model-len 128":                                loads("vllm", "o/m"),
		"python -m vllm.entrypoints.openai.api_server --model o/m --port 8123 --max-model-len 128":                  loads("vllm", "o/m"),
		"/venv/bin/python /venv/bin/vllm serve o/m --uds /run/v.sock --max-model-len 128":                           loads("vllm", "o/m"),
		"vllm serve --port 8000 --model o/m":                                                                        loads("vllm", "o/m"),
		"vllm serve o/m --model o/m":                                                                                loads("vllm", "o/m"),
		"vllm serve gpt2 --revision v1 --load-format pt":                                                            loads("vllm", "gpt2").at("v1").as("pt"),
		"vllm serve o/m --load_format=Safetensors":                                                                  loads("vllm", "o/m").as("safetensors"),
		"vllm serve o/m --download-dir /models -q awq":                                                              loads("vllm", "o/m"),
		"vllm serve o/m --model-impl transformers --config-format hf":                                               loads("vllm", "o/m"),
		"python -m vllm.entrypoints.openai.api_server --model o/m":                                                  loads("vllm", "o/m"),
		"python3 -m sglang.launch_server --model-path o/m --tp 2":                                                   loads("sglang", "o/m"),
		"python3 -m sglang.launch_server --model o/m":                                                               loads("sglang", "o/m"),
		"sglang serve --model-path o/m":                                                                             loads("sglang", "o/m"),
		"text-generation-launcher --model-id o/m --num-shard 2":                                                     loads("tgi", "o/m"),
		"python3 /opt/conda/bin/text-generation-server download-weights o/m --extension .safetensors --json-output": loads("tgi", "o/m").as(".safetensors"),
	}
	for line, want := range tests {
		if got := ParseLoader(split(line)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", line, got, want)
		}
	}
}

func TestLoadersThatAreNot(t *testing.T) {
	for _, line := range []string{
		"", "vllm", "vllm serve", "vllm bench serve", "vllm chat --model o/m", "hf download o/m", "python3 -m vllm", "VLLM::EngineCore",
		"vllm serve /models/m", "vllm serve ./m", "vllm serve o/m:Q4_K_M", "vllm serve o/m.gguf/x/y",
		"vllm serve --port 8000 o/m", // the model may be any word
		"vllm serve o/m --model o/other", "vllm serve o/m --config c.yaml", "vllm serve o/m --config=c.yaml",
		"vllm serve o/m --ignore-patterns *.pt", "vllm serve o/m --model-loader-extra-config {}",
		"vllm serve o/m --quantization gguf", "vllm serve o/m -q bitsandbytes",
		"vllm serve o/m --load dummy", "vllm serve o/m --rev v1", "vllm serve o/m --revision",
		"vllm serve o/m --revision a --revision b", "vllm serve o/m --revision a\x1b", "vllm serve o/m --revision \xff",
		"vllm serve o/m --load-format " + strings.Repeat("a", maxShortName+1),
		"python3 -m sglang.launch_server o/m", "python3 -c x vllm serve o/m", "text-generation-server serve o/m",
	} {
		if got := ParseLoader(split(line)); got != nil {
			t.Errorf("%s: got %+v", line, got)
		}
	}
	if got := ParseLoader(nil); got != nil {
		t.Errorf("no arguments: %+v", got)
	}
}

// What each of these loaders fetches of a repository: likely, and what older
// or newer versions of it may fetch beside.
func TestWeights(t *testing.T) {
	llama := "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json" +
		" pytorch_model-00001-of-00001.bin training_args.bin tokenizer.json"
	const shards = "model-00001-of-00002.safetensors model-00002-of-00002.safetensors"
	tests := []struct{ name, loader, format, listed, likely, beside string }{
		{"one format of two", "vllm", "", llama, shards, ""},
		{"the same by auto", "vllm", "auto", llama, shards, ""},
		{"the same by sglang", "sglang", "", llama, shards, ""},
		{"the same by tgi", "tgi", ".safetensors", llama, shards, ""},
		{"bin if told so", "vllm", "npcache", llama, "pytorch_model-00001-of-00001.bin training_args.bin", ""},
		{"bin where there is nothing better", "vllm", "", "a.bin b/c.bin d.pt x.json", "a.bin b/c.bin", ""},
		{"pt last", "sglang", "auto", "d.pt x.json", "d.pt", ""},
		{"tgi takes no training arguments, and nothing beneath", "tgi", "", "a.bin b/c.bin training_args.bin", "a.bin", ""},
		{"what lies beneath counts with what lies at the top", "vllm", "", "model.safetensors 2_Dense/model.safetensors", "model.safetensors 2_Dense/model.safetensors", ""},
		{"only what lies at the top decides", "vllm", "", "sub/model.safetensors a.bin", "a.bin", ""},
		{
			"the index spares the original", "vllm", "",
			"model-00000-of-00002.safetensors model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json original/model.safetensors metal/model.bin",
			"model-00000-of-00002.safetensors model-00001-of-00002.safetensors model-00002-of-00002.safetensors", "original/model.safetensors",
		},
		{
			"sglang reads no index before", "sglang", "",
			"model-00001-of-00001.safetensors model.safetensors.index.json original/model.safetensors original/deep/model.safetensors",
			"model-00001-of-00001.safetensors original/model.safetensors", "original/deep/model.safetensors",
		},
		{"consolidated before all others", "vllm", "", "consolidated.safetensors " + shards + " model.safetensors.index.json", "consolidated.safetensors", shards},
		{"consolidated where it is asked for", "sglang", "mistral", "consolidated.safetensors " + shards, "consolidated.safetensors", ""},
		{"but not where the format is given", "vllm", "safetensors", "consolidated.safetensors " + shards + " model.safetensors.index.json", shards, "consolidated.safetensors"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			paths := split(tt.listed)
			choice, ok := loads(tt.loader, "o/m").as(tt.format).Weights(paths)
			if !ok {
				t.Fatal("not known")
			}
			var likely, beside []string
			for _, path := range paths {
				switch {
				case choice.Likely(path) && !choice.Possible(path):
					t.Errorf("%s is likely and not possible", path)
				case choice.Likely(path):
					likely = append(likely, path)
				case choice.Possible(path):
					beside = append(beside, path)
				}
			}
			if strings.Join(likely, " ") != tt.likely || strings.Join(beside, " ") != tt.beside {
				t.Errorf("likely %q, beside %q", likely, beside)
			}
		})
	}
}

func TestWeightsThatAreNotKnown(t *testing.T) {
	for _, l := range []*Loader{
		loads("vllm", "o/m").as("gguf"), loads("vllm", "o/m").as("sharded_state"), loads("vllm", "o/m").as("dummy"),
		loads("vllm", "o/m").as("pt"), loads("other", "o/m"), loads("tgi", "o/m").as(".gguf"),
	} {
		if _, ok := l.Weights([]string{"a.safetensors", "config.json"}); ok {
			t.Errorf("%+v is known", l)
		}
	}
	if _, ok := loads("tgi", "o/m").Weights([]string{"a.safetensors", "adapter_config.json"}); ok {
		t.Error("an adapter is known")
	}
	if _, ok := loads("vllm", "o/m").Weights(nil); ok {
		t.Error("an empty listing is known")
	}
}

// family writes /proc with a line of processes, each the child of the one
// before it, and returns it with the last one's pid.
func family(t *testing.T, lines ...string) (proc string, pid int) {
	t.Helper()
	proc = t.TempDir()
	for i, line := range lines {
		pid = 100 + i
		dir := filepath.Join(proc, strconv.Itoa(pid))
		files := map[string]string{
			"stat":    strings.Replace(statLine("x", "S", "777"), "S 1", "S "+strconv.Itoa(pid-1), 1),
			"status":  "Uid:\t0\t1000\t0\t0\n",
			"cmdline": strings.ReplaceAll(line, " ", "\x00") + "\x00",
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return proc, pid
}

func TestAWorkerLoadsWhatItsServerLoads(t *testing.T) {
	serve := "/usr/bin/python3 /usr/bin/vllm serve o/m"
	tests := []struct {
		name  string
		lines []string
		want  *Loader
	}{
		{"the server itself", []string{"init", serve}, loads("vllm", "o/m")},
		{"its worker", []string{"init", serve, "VLLM::EngineCore"}, loads("vllm", "o/m")},
		{"a worker's worker", []string{"init", serve, "VLLM::EngineCore", "VLLM::Worker_TP0"}, loads("vllm", "o/m")},
		{"nobody's", []string{"init", "bash", "python3 train.py"}, nil},
		{"too far away", []string{serve, "a", "b", "c", "d", "e"}, nil},
		{"a download command is its own", []string{serve, "hf download o/other"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proc, pid := family(t, tt.lines...)
			p, err := ProcDir(proc).Process(pid)
			if err != nil || !reflect.DeepEqual(p.Loader, tt.want) {
				t.Errorf("got %+v, %v", p.Loader, err)
			}
		})
	}
}

func FuzzParseLoader(f *testing.F) {
	f.Add("vllm\x00serve\x00o/m\x00--revision=v1")
	f.Add("python3\x00-m\x00sglang.launch_server\x00--model-path\x00o/m\x00--load_format\x00pt")
	f.Fuzz(func(t *testing.T, line string) {
		l := ParseLoader(strings.Split(line, "\x00"))
		if l == nil {
			return
		}
		if repo, ok := hfcache.NewRepo(l.Repo.Type, l.Repo.ID); !ok || repo != l.Repo || !validText(l.Revision) || !validText(l.Format) {
			t.Errorf("got %+v", l)
		}
		if choice, ok := l.Weights([]string{"a.bin", "b.safetensors", "x/c.pt", line}); ok && choice.Likely(line) && !choice.Possible(line) {
			t.Errorf("%q is likely and not possible", line)
		}
	})
}

func TestLacks(t *testing.T) {
	tests := []struct {
		loader *Loader
		there  string
		want   bool
	}{
		{loads("vllm", "o/m"), "config.json tokenizer.json", true},
		{loads("vllm", "o/m"), "config.json model.safetensors", false},
		{loads("sglang", "o/m"), "config.json sub/pytorch_model.bin", false},
		{loads("vllm", "o/m").as("safetensors"), "config.json pytorch_model.bin", true},
		{loads("tgi", "o/m").as(".safetensors"), "config.json", true},
		{loads("tgi", "o/m"), "model.safetensors", false},
		// What these want isn't known.
		{loads("vllm", "o/m").as("dummy"), "config.json", false},
		{loads("vllm", "o/m").as("gguf"), "config.json", false},
	}
	for _, tt := range tests {
		if got := tt.loader.Lacks(split(tt.there)); got != tt.want {
			t.Errorf("%+v with %s: %v", tt.loader, tt.there, got)
		}
	}
}

func TestFindCommands(t *testing.T) {
	proc, _ := family(t, "init", "vllm serve o/a", "VLLM::EngineCore", "hf download o/b", "huggingface-cli download o/a x", "hf download o/b y",
		"python3 -m sglang.launch_server --model-path o/c")
	if err := os.WriteFile(filepath.Join(proc, "locks"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := ProcDir(proc).Commands()
	b := loads("", "o/b").Repo
	slices.SortFunc(found[b].Requests["1000"], func(x, y *Request) int { return len(x.Filter.Include) - len(y.Filter.Include) })
	only := func(file string) hfcache.Filter { return hfcache.Filter{Include: []string{file}} }
	a := loads("vllm", "o/a")
	want := map[hfcache.Repo]Commands{
		a.Repo:                {Loader: a, Requests: map[string][]*Request{"1000": {{Repo: a.Repo, Filter: only("x")}}}},
		b:                     {Requests: map[string][]*Request{"1000": {{Repo: b}, {Repo: b, Filter: only("y")}}}},
		loads("", "o/c").Repo: {Loader: loads("sglang", "o/c")},
	}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("got %v, %v", found, err)
	}
	if found, err := ProcDir(t.TempDir()).Commands(); len(found) > 0 || err == nil {
		t.Errorf("of none: %v, %v", found, err)
	}
	if _, err := ProcDir(filepath.Join(proc, "none")).Commands(); err == nil {
		t.Error("no error without a /proc")
	}
}

func TestNoMoreCommandsAreKeptThanServe(t *testing.T) {
	proc, _ := family(t, slices.Repeat([]string{"hf download o/b"}, maxCommands+1)...)
	found, err := ProcDir(proc).Commands()
	if n := len(found[loads("", "o/b").Repo].Requests["1000"]); err != nil || n != maxCommands {
		t.Errorf("%d commands, %v", n, err)
	}
}

func TestACommandOfNobodyKnownIsLeftOut(t *testing.T) {
	proc, pid := family(t, "init", "hf download o/b")
	if err := os.Remove(filepath.Join(proc, strconv.Itoa(pid), "status")); err != nil {
		t.Fatal(err)
	}
	if found, err := ProcDir(proc).Commands(); err != nil || len(found) > 0 {
		t.Errorf("got %v, %v", found, err)
	}
}
