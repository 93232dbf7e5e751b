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

func TestDataless(t *testing.T) {
	for files, want := range map[string]bool{
		"":          false,
		"README.md": true,
		".gitattributes README.md LICENSE.txt load.py dataset_infos.json conf/a.yaml": true,
		"README.md data/train-00000-of-00001.parquet":                                 false,
		"README.md train.json": false,
		"README.md data.csv":   false,
	} {
		if got := Dataless(strings.Fields(files)); got != want {
			t.Errorf("%q: %v", files, got)
		}
	}
}

func TestWhole(t *testing.T) {
	for files, want := range map[string]bool{
		"":                              false,
		"config.json":                   false,
		"model.safetensors":             false,
		"config.json model.safetensors": true,
		"adapter_config.json adapter_model.safetensors":                                     true,
		"params.json consolidated.safetensors":                                              true,
		"sub/config.json model.safetensors":                                                 false,
		"config.json onnx/model.onnx":                                                       false,
		"config.json training_args.bin":                                                     false,
		"config.json model-00001-of-00002.safetensors":                                      false,
		"config.json model.safetensors a-00001-of-00002.bin":                                false,
		"config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors":     true,
		"config.json text/model-00001-of-00002.bin text/model-00002-of-00002.bin README.md": true,
	} {
		if got := Whole(strings.Fields(files)); got != want {
			t.Errorf("%q: %v", files, got)
		}
	}
}
