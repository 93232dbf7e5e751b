package downloader

import (
	"testing"

	"progressd/hfcache"
)

func TestLlamaRepo(t *testing.T) {
	for line, want := range map[string]string{
		"llama-cli -hf o/m -p hi":                    "o/m",
		"/usr/bin/llama-server -c 0 -hf o/m:Q8_0":    "o/m",
		"llama-server --hf-repo o/m --port 8080":     "o/m",
		"llama-cli --hf-repo=o/m:q4_k_m -hff a.gguf": "o/m",
		"llama-cli -m model.gguf":                    "",
		"llama-cli -hf":                              "",
		"llama-cli -hf o/m -hfr o/other":             "",
		"llama-cli -hf ../m":                         "",
		"other -hf o/m":                              "",
		"":                                           "",
	} {
		repo, ok := LlamaRepo(split(line))
		if ok != (want != "") || ok && repo != (hfcache.Repo{Type: hfcache.Model, ID: want}) {
			t.Errorf("%q: %+v, %v", line, repo, ok)
		}
	}
}
