package hfcache

import (
	"path"
	"strings"
)

// weightFormats are the endings under which a repository holds its weights,
// often the same ones several times: PyTorch and safetensors, TensorFlow,
// Flax, Rust, ONNX, Core ML and others.
var weightFormats = map[string]bool{
	".safetensors": true, ".bin": true, ".pt": true, ".pth": true, ".ckpt": true, ".gguf": true,
	".h5": true, ".msgpack": true, ".ot": true, ".onnx": true, ".onnx_data": true, ".mlmodel": true, ".tflite": true,
}

// WeightFormat is the ending of a file of weights, ".safetensors" say, and
// empty for any other file.
func WeightFormat(file string) string {
	ext := path.Ext(file)
	if !weightFormats[ext] {
		return ""
	}
	return ext
}

// companions are the endings of what stands beside the weights of a model: its
// configuration, tokenizer, code and description.
var companions = map[string]bool{
	".json": true, ".txt": true, ".md": true, ".jinja": true, ".py": true, ".yaml": true, ".yml": true,
	".gitattributes": true, ".model": true, ".tiktoken": true, ".jpg": true, ".png": true, ".pdf": true,
}

// Weightless reports whether there are files, and all of them stand beside the
// weights of a model: its configuration and tokenizer, say.
func Weightless(files []string) bool {
	for _, file := range files {
		if name := path.Base(file); !companions[strings.ToLower(path.Ext(name))] && !strings.HasPrefix(name, "LICENSE") {
			return false
		}
	}
	return len(files) > 0
}

// beside are the endings of what stands beside the data of a dataset: its card,
// its scripts and what they need.
var beside = map[string]bool{".md": true, ".py": true, ".yaml": true, ".yml": true, ".gitattributes": true, ".gitignore": true}

// Dataless reports whether there are files, and none of them holds the data of a
// dataset: they are its card, scripts and metadata.
func Dataless(files []string) bool {
	for _, file := range files {
		name := path.Base(file)
		about := beside[strings.ToLower(path.Ext(name))] || strings.HasPrefix(name, "LICENSE") ||
			name == "dataset_info.json" || name == "dataset_infos.json"
		if !about {
			return false
		}
	}
	return len(files) > 0
}

// configurations are the files that say how the weights beside them are to be
// loaded.
var configurations = map[string]bool{
	"config.json": true, "model_index.json": true, "adapter_config.json": true, "params.json": true,
}

// trainers are the files with the ending of weights that training leaves.
var trainers = map[string]bool{
	"training_args.bin": true, "optimizer.bin": true, "optimizer.pt": true, "scheduler.bin": true, "scheduler.pt": true,
}

// Whole reports whether files look like a whole model: its weights, one file at
// the top or a numbered set without a gap, beside a configuration.
func Whole(files []string) bool {
	configured, weighed := false, false
	for _, file := range files {
		_, numbered := ShardGroup(file)
		top := !strings.Contains(file, "/")
		configured = configured || top && configurations[file]
		weighed = weighed || (top || numbered) && WeightFormat(file) != "" && !trainers[path.Base(file)]
	}
	return configured && weighed && !ShardGap(files)
}

// ShardGroup names the group of numbered files that a path belongs to:
// "model-00003-of-00012.safetensors" is of "model-#-of-00012.safetensors". It
// is false for a file without such a number.
func ShardGroup(file string) (string, bool) {
	// Most files are told apart without the expression.
	if !strings.Contains(file, "-of-") {
		return "", false
	}
	m := shardName.FindStringSubmatch(file)
	if m == nil {
		return "", false
	}
	return m[1] + "-#-of-" + m[3] + m[4], true
}
