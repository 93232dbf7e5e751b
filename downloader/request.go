package downloader

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"progressd/hfcache"
)

const (
	// maxPattern bounds one pattern, maxWildcards all that hold a
	// wildcard, in bytes: every path of a listing is tried with them.
	maxPattern   = 1024
	maxWildcards = 4096
)

// ParseRequest returns what a command line (program first, an interpreter
// before it or not) asks to be downloaded, into a cache or, with LocalDir set,
// into a directory of its own. It is nil for all that it doesn't surely
// understand and for a trial run.
//
// hf was built on argparse before 1.0 and on Click since, and nothing in a
// command line tells which it is: where both readings are possible and differ,
// it is nil. What the program would have refused is no possible reading, since
// the process runs. An --include or --exclude that is repeated is read the new
// way: argparse would forget all but the last.
func ParseRequest(argv []string) *Request {
	for _, arg := range argv {
		if !utf8.ValidString(arg) {
			return nil
		}
	}
	p, ok := parseProgram(argv)
	if !ok || len(p.args) == 0 || p.args[0] != "download" {
		return nil
	}
	args := p.args[1:]
	switch {
	case p.script == "huggingface-cli" || p.module == "huggingface_hub.commands.huggingface_cli":
		return readArgparse(args)
	case p.script == "hf" || p.module == "huggingface_hub.cli.hf":
		return agreed(readClick(args), readArgparse(args))
	default:
		return nil
	}
}

// agreed is the one possible reading, nil if there are two.
func agreed(a, b *Request) *Request {
	if a == nil {
		return b
	}
	if b == nil || reflect.DeepEqual(a, b) {
		return a
	}
	return nil
}

func readArgparse(args []string) *Request {
	w, ok := splitWords(args, argparseOptions)
	if !ok || len(w.rest) == 0 {
		return nil
	}
	repoType := w.last("--repo-type")
	if !w.has("--repo-type") {
		repoType = string(hfcache.Model)
	}
	return newRequest(w, target{repoType: repoType, id: w.rest[0], revision: w.last("--revision"), names: w.rest[1:]})
}

func readClick(args []string) *Request {
	w, ok := splitWords(args, clickOptions)
	if !ok || len(w.rest) == 0 {
		return nil
	}
	typed := w.has("--type") || w.has("--repo-type")
	t := target{id: w.rest[0], revision: w.last("--revision"), names: w.rest[1:]}
	// Given under both names, it makes no valid type.
	t.repoType = w.last("--type") + w.last("--repo-type")
	if !typed {
		t.repoType = string(hfcache.Model)
	}
	switch uri, isURI := strings.CutPrefix(t.id, "hf://"); {
	case isURI:
		if typed || w.has("--revision") {
			return nil
		}
		if t, ok = parseURI(uri, t.names); !ok {
			return nil
		}
	case strings.Count(t.id, "/") == 2:
		// datasets/org/name stands for --type dataset org/name.
		prefix, id, _ := strings.Cut(t.id, "/")
		if typed {
			return nil
		}
		t.repoType, t.id = typeOfPrefix(prefix), id
	}
	return newRequest(w, t)
}

// target is the repository, the revision and the file names of a request,
// before any is known to be valid.
type target struct {
	repoType, id, revision string
	names                  []string
}

// newRequest applies what all versions of the client do alike.
func newRequest(w words, t target) *Request {
	localDir := w.last("--local-dir")
	if w.has("--dry-run") || w.has("--local-dir") && localDir == "" || !validText(localDir) {
		return nil
	}
	repo, ok := hfcache.NewRepo(hfcache.RepoType(t.repoType), t.id)
	if !ok || !validText(t.revision) || w.has("--revision") && t.revision == "" {
		return nil
	}
	filter, ok := newFilter(t.names, w)
	if !ok || !bounded(filter) {
		return nil
	}
	return &Request{Repo: repo, Revision: t.revision, Filter: filter, LocalDir: localDir}
}

// newFilter follows the client's download command: a single name is a file,
// several are patterns, a name with a slash at its end is all beneath it, and
// with any name --include and --exclude are ignored.
func newFilter(names []string, w words) (hfcache.Filter, bool) {
	include, exclude := w.options["--include"], w.options["--exclude"]
	switch {
	case len(names) == 0:
		// An empty list of patterns selects nothing, no list all.
		ok := len(include) > 0 || !w.has("--include")
		return hfcache.Filter{Include: include, Exclude: exclude}, ok
	case len(names) == 1 && !strings.HasSuffix(names[0], "/"):
		// No file on the hub is called so: the download would fail.
		if strings.ContainsAny(names[0], "*?") {
			return hfcache.Filter{}, false
		}
		return hfcache.Filter{Include: []string{hfcache.LiteralPattern(names[0])}}, true
	}
	folders := 0
	for _, name := range names {
		if strings.HasSuffix(name, "/") {
			folders++
		}
	}
	// Folders beside patterns are refused by the versions that know them.
	if folders > 0 && len(include)+len(exclude) > 0 {
		return hfcache.Filter{}, false
	}
	return hfcache.Filter{Include: names}, true
}

func bounded(f hfcache.Filter) bool {
	wild := 0
	for _, list := range [][]string{f.Include, f.Exclude} {
		for _, pattern := range list {
			// A backslash is a slash to newer versions only.
			if pattern == "" || len(pattern) > maxPattern || !validText(pattern) || strings.Contains(pattern, `\`) {
				return false
			}
			if strings.ContainsAny(pattern, "*?[") {
				wild += len(pattern)
			}
		}
	}
	return wild <= maxWildcards
}

func validText(s string) bool {
	return len(s) <= maxPattern && !strings.ContainsFunc(s, unicode.IsControl)
}

// typeOfPrefix knows the plural that stands before an id in a URI.
func typeOfPrefix(prefix string) string {
	repoType, ok := strings.CutSuffix(prefix, "s")
	if !ok {
		return ""
	}
	return repoType
}
