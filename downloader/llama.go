package downloader

import (
	"strings"

	"progressd/hfcache"
)

// llamaPrograms are llama.cpp's that take -hf.
var llamaPrograms = map[string]bool{"llama-cli": true, "llama-server": true, "llama-completion": true, "llama-bench": true, "llama": true}

// LlamaRepo returns what one of llama.cpp's programs is told to fetch: -hf
// ORG/NAME[:QUANT] (seen, 0.7.0 of Debian). Which of the files it takes isn't
// told. It is false for all that isn't surely understood.
func LlamaRepo(argv []string) (hfcache.Repo, bool) {
	p, ok := parseProgram(argv)
	if !ok || !llamaPrograms[p.script] {
		return hfcache.Repo{}, false
	}
	id := ""
	for i, arg := range p.args {
		name, value, attached := strings.Cut(arg, "=")
		if name != "-hf" && name != "-hfr" && name != "--hf-repo" {
			continue
		}
		if !attached {
			if i+1 == len(p.args) {
				return hfcache.Repo{}, false
			}
			value = p.args[i+1]
		}
		value, _, _ = strings.Cut(value, ":")
		if id != "" && id != value {
			return hfcache.Repo{}, false
		}
		id = value
	}
	return hfcache.NewRepo(hfcache.Model, id)
}
