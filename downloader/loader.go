package downloader

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"progressd/hfcache"
)

// Loader is a program that serves a model and fetches its weights first. It
// is no Request: it doesn't fetch all that is listed, and it goes on running
// when it has what it needs. Its texts are as untrusted as a Request's.
type Loader struct {
	// Name of the program: vllm, sglang or tgi.
	Name     string       `json:"name"`
	Repo     hfcache.Repo `json:"repo"`
	Revision string       `json:"revision,omitempty"`
	// Format is the format of weights that it was told to load, empty if
	// the choice is its own.
	Format string `json:"format,omitempty"`
}

// ParseLoader returns what a command line (program first, an interpreter
// before it or not) loads. It is nil for all that isn't surely understood, and
// where an option makes the program choose its files in another way.
func ParseLoader(argv []string) *Loader {
	for _, arg := range argv {
		if !utf8.ValidString(arg) {
			return nil
		}
	}
	p, ok := parseProgram(argv)
	if !ok {
		return nil
	}
	switch {
	case p.script == "vllm" && len(p.args) > 1 && p.args[0] == "serve":
		return readLoader("vllm", p.args[1:], "--model")
	case p.module == "vllm.entrypoints.openai.api_server" || p.module == "vllm.entrypoints.api_server":
		return readLoader("vllm", p.args, "--model")
	case p.module == "sglang.launch_server":
		return readLoader("sglang", p.args, "--model-path", "--model")
	case p.script == "sglang" && len(p.args) > 1 && p.args[0] == "serve":
		return readLoader("sglang", p.args[1:], "--model-path", "--model")
	case p.script == "text-generation-launcher":
		return readLoader("tgi", p.args, "--model-id")
	case p.script == "text-generation-server" && len(p.args) > 1 && p.args[0] == "download-weights":
		return readLoader("tgi", p.args[1:], "--model-id")
	default:
		return nil
	}
}

// deciding are the options by which these programs choose what they fetch;
// the rest is passed over. Those of the second list lead to choices that are
// not known here.
var (
	deciding = []string{"--revision", "--load-format", "--extension", "--quantization", "--quantize", "-q"}
	strange  = []string{"--config", "--ignore-patterns", "--model-loader-extra-config"}
)

// otherLoaders are the quantizations that these programs load in ways of
// their own.
var otherLoaders = []string{"bitsandbytes", "bitsandbytes-nf4", "bitsandbytes-fp4", "gguf"}

// readLoader understands a command line whose model is its first word, or the
// value of one of the options named.
func readLoader(name string, args []string, model ...string) *Loader {
	given, ok := readOptions(args, slices.Concat(model, deciding, strange))
	if !ok {
		return nil
	}
	id := ""
	if len(args) > 0 && !isOption(args[0]) && (name == "vllm" || name == "tgi") {
		id = args[0]
	}
	for _, option := range model {
		if value, ok := given[option]; ok {
			if id != "" && id != value {
				return nil
			}
			id = value
		}
	}
	for _, option := range strange {
		if _, ok := given[option]; ok {
			return nil
		}
	}
	for _, option := range []string{"--quantization", "--quantize", "-q"} {
		if slices.Contains(otherLoaders, given[option]) {
			return nil
		}
	}
	repo, ok := hfcache.NewRepo(hfcache.Model, id)
	l := Loader{Name: name, Repo: repo, Revision: given["--revision"], Format: strings.ToLower(given["--load-format"] + given["--extension"])}
	if !ok || !validText(l.Revision) || !validText(l.Format) || len(l.Format) > maxShortName {
		return nil
	}
	return &l
}

// readOptions gives the values of the options named, "--name value" or
// "--name=value", an underscore for a dash. It is false where one is repeated
// with another value, has none, or may be meant by an abbreviation.
func readOptions(args, names []string) (map[string]string, bool) {
	given := make(map[string]string)
	for i, arg := range args {
		if !isOption(arg) {
			continue
		}
		name, value, attached := strings.Cut(arg, "=")
		name = strings.ReplaceAll(name, "_", "-")
		if !slices.Contains(names, name) {
			if abbreviates(name, names) {
				return nil, false
			}
			continue
		}
		if !attached {
			if i+1 == len(args) {
				return nil, false
			}
			value = args[i+1]
		}
		if former, twice := given[name]; twice && former != value {
			return nil, false
		}
		given[name] = value
	}
	return given, true
}

// abbreviates reports whether argparse would take the name for one of those.
func abbreviates(name string, names []string) bool {
	return len(name) > len("--") && slices.ContainsFunc(names, func(full string) bool {
		return strings.HasPrefix(full, name)
	})
}

// maxAncestors bounds how far up a process's ancestors are looked at: vLLM's
// workers are its grandchildren.
const maxAncestors = 4

// inheritedLoader looks for the loader that a process works for. vLLM and
// SGLang fetch weights in processes of their own (VLLM::EngineCore,
// sglang::scheduler), whose command lines tell nothing.
func (d ProcDir) inheritedLoader(parent int) *Loader {
	for range maxAncestors {
		if parent <= 1 {
			return nil
		}
		if l := ParseLoader(d.readCommandLine(parent)); l != nil {
			return l
		}
		s, err := d.readStat(parent)
		if err != nil {
			return nil
		}
		parent = s.parent
	}
	return nil
}

// Choice says which files of a listing a loader fetches as weights.
type Choice struct {
	// Likely are those that its present version fetches.
	Likely func(path string) bool
	// Possible are those that any version known fetches. All that is
	// Likely is Possible.
	Possible func(path string) bool
}

// Weights tells the loader's choice among all paths of a revision. It is false
// where that isn't known. vLLM 0.32.0 was run and seen to do what is said of
// newer versions. Sources, read:
//
//   - vLLM, model_executor/model_loader/{default_loader,weight_utils}.py, at
//     0a1ee72e (2025): the first pattern that matches a file at the top, in all
//     directories. At 00b5ad07 (2026): where there are files called
//     consolidated, only these; and since pull request 30537 (December 2025)
//     only what model.safetensors.index.json names, where that is there.
//   - SGLang, srt/model_loader/{loader,weight_utils}.py, at 57003bea (2025) and
//     005cbe0e (2026): as the older vLLM.
//   - text-generation-inference, server/text_generation_server/cli.py at
//     00dede8a and utils/hub.py at 0a6ea7fb: files at the top only.
func (l *Loader) Weights(paths []string) (Choice, bool) {
	switch l.Name {
	case "vllm", "sglang":
		return l.byPattern(paths)
	case "tgi":
		return l.atTop(paths)
	default:
		return Choice{}, false
	}
}

// formats are the patterns that vLLM and SGLang try for each --load-format,
// the first of which with a file at the top of the repository is fetched.
var formats = map[string][]string{
	"":                {"*.safetensors", "*.bin", "*.pt"},
	"auto":            {"*.safetensors", "*.bin", "*.pt"},
	"hf":              {"*.safetensors", "*.bin", "*.pt"},
	"safetensors":     {"*.safetensors"},
	"fastsafetensors": {"*.safetensors"},
	"mistral":         {"consolidated*.safetensors"}, // vLLM 0.32.0, SGLang 0.5.23
	"npcache":         {"*.bin"},
	"pt":              {"*.pt"},
}

// Lacks reports whether none of the paths that are there is one of weights
// that the loader may choose. It is false where its choice isn't known.
func (l *Loader) Lacks(paths []string) bool {
	patterns := formats[l.Format]
	if l.Name == "tgi" {
		patterns = []string{"*.safetensors", "*.bin"}
	}
	weights := hfcache.Filter{Include: patterns}.Matcher()
	return len(patterns) > 0 && !slices.ContainsFunc(paths, weights)
}

// original is what both leave out: checkpoints as their makers published them.
const original = "original/**/*"

func (l *Loader) byPattern(paths []string) (Choice, bool) {
	top := topOf(paths)
	for _, pattern := range formats[l.Format] {
		all := hfcache.Filter{Include: []string{pattern}}
		if !slices.ContainsFunc(top, all.Matcher()) {
			continue
		}
		choice := Choice{Possible: all.Matcher()}
		all.Exclude = []string{original}
		match := all.Matcher()
		choice.Likely = match
		if l.Name == "vllm" && pattern == "*.safetensors" {
			choice.Likely = l.newVLLM(top, match)
		}
		return choice, true
	}
	return Choice{}, false
}

// newVLLM narrows safetensors as newer versions of vLLM do. The index can't be
// read; by its convention it names the numbered files at the top.
func (l *Loader) newVLLM(top []string, all func(string) bool) func(string) bool {
	consolidated := hfcache.Filter{Include: []string{"consolidated*.safetensors"}}.Matcher()
	if l.Format == "" || l.Format == "auto" {
		if slices.ContainsFunc(top, consolidated) {
			return consolidated
		}
	}
	indexed := func(path string) bool {
		_, numbered := hfcache.ShardGroup(path)
		return numbered && strings.HasPrefix(path, "model-") && !strings.Contains(path, "/") && all(path)
	}
	if slices.Contains(top, "model.safetensors.index.json") && slices.ContainsFunc(top, indexed) {
		return indexed
	}
	return all
}

func (l *Loader) atTop(paths []string) (Choice, bool) {
	top := topOf(paths)
	// An adapter's base model comes from a repository of its own.
	if slices.Contains(top, "adapter_config.json") {
		return Choice{}, false
	}
	extensions := []string{".safetensors", ".bin"}
	if l.Format != "" {
		extensions = []string{l.Format}
	}
	for _, extension := range extensions {
		match := func(path string) bool {
			return filepath.Ext(path) == extension && !strings.Contains(path, "/") &&
				!strings.Contains(path, "arguments") && !strings.Contains(path, "args") && !strings.Contains(path, "training")
		}
		if slices.ContainsFunc(top, match) {
			return Choice{Likely: match, Possible: match}, true
		}
	}
	return Choice{}, false
}

// topOf gives the paths that lie in no directory.
func topOf(paths []string) []string {
	var top []string
	for _, path := range paths {
		if !strings.Contains(path, "/") {
			top = append(top, path)
		}
	}
	return top
}
