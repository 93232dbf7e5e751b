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
