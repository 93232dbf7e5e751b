package hfcache

import (
	"strings"
	"testing"
)

func TestWeightFormat(t *testing.T) {
	for path, want := range map[string]string{
		"model.safetensors": ".safetensors", "a/pytorch_model.bin": ".bin", "tf_model.h5": ".h5", "q4.gguf": ".gguf",
		"model.safetensors.index.json": "", "README.md": "", ".gitattributes": "", "bin": "", "": "", "a.bin/x": "",
	} {
		if got := WeightFormat(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestShardGroup(t *testing.T) {
	for path, want := range map[string]string{
		"model-00003-of-00012.safetensors":   "model-#-of-00012.safetensors",
		"model-00004-of-00012.safetensors":   "model-#-of-00012.safetensors",
		"a/model-00004-of-00012.safetensors": "a/model-#-of-00012.safetensors",
		"train-00000-of-00001":               "train-#-of-00001",
		"model.safetensors":                  "", "best-of-breed.bin": "", "": "",
	} {
		if got, ok := ShardGroup(path); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", path, got, ok, want)
		}
	}
}

func TestWeightless(t *testing.T) {
	for files, want := range map[string]bool{
		"":            false,
		"config.json": true,
		"config.json tokenizer.model special/vocab.txt LICENSE README.md .gitattributes": true,
		"config.json model.safetensors":          false,
		"config.json model-00001-of-00002.bin":   false,
		"config.json model.nemo":                 false,
		"config.json LICENSE weights/checkpoint": false,
	} {
		if got := Weightless(strings.Fields(files)); got != want {
			t.Errorf("%q: %v", files, got)
		}
	}
}
