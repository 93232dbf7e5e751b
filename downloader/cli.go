package downloader

import "strings"

// arity says how many values an option takes.
type arity int

const (
	flag arity = iota
	// value is one, the next word or behind "=".
	value
	// values are all words up to the next option (argparse, nargs="*").
	values
)

// words is a command line taken apart: the values of each option in order,
// a flag with none, and the rest.
type words struct {
	options map[string][]string
	rest    []string
}

func (w words) has(option string) bool {
	_, ok := w.options[option]
	return ok
}

// last is how both libraries understand an option that is given twice.
func (w words) last(option string) string {
	all := w.options[option]
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// clickOptions are those of hf since 1.0, built on Typer, later on Click:
// read in 1.0, 1.18, 1.28 and 2.4. An option with several values is repeated.
var clickOptions = map[string]arity{
	"--repo-type": value, "--type": value, "--revision": value, "--include": value, "--exclude": value,
	"--cache-dir": value, "--local-dir": value, "--token": value, "--max-workers": value, "--format": value,
	"--force-download": flag, "--no-force-download": flag, "--dry-run": flag, "--no-dry-run": flag,
	"--quiet": flag, "--no-quiet": flag, "-q": flag, "--json": flag, "--no-truncate": flag,
}

// argparseOptions are those of huggingface-cli and of hf before 1.0: read in
// 0.26 and 0.36.
var argparseOptions = map[string]arity{
	"--repo-type": value, "--revision": value, "--include": values, "--exclude": values,
	"--cache-dir": value, "--local-dir": value, "--local-dir-use-symlinks": value, "--token": value,
	"--max-workers": value, "--force-download": flag, "--resume-download": flag, "--quiet": flag,
}

// splitWords takes the arguments apart by the options that are known; it is
// false as soon as one is not, for then nothing is sure any more.
func splitWords(args []string, known map[string]arity) (words, bool) {
	w := words{options: make(map[string][]string)}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			w.rest = append(w.rest, args[i+1:]...)
			break
		}
		if !isOption(arg) {
			w.rest = append(w.rest, arg)
			continue
		}
		name, attached, isAttached := strings.Cut(arg, "=")
		takes, ok := known[name]
		if !ok || isAttached && takes == flag {
			return words{}, false
		}
		// argparse forgets the first list when a second comes: whoever
		// writes that means something else.
		if takes == values && w.has(name) {
			return words{}, false
		}
		given := countValues(args[i+1:], takes)
		if isAttached {
			w.options[name] = append(w.options[name], attached)
			continue
		}
		if takes == value && given == 0 {
			return words{}, false
		}
		w.options[name] = append(w.options[name], args[i+1:i+1+given]...)
		i += given
	}
	return w, true
}

// countValues is how many of the words that follow belong to the option. The
// libraries differ on values that look like options: those are not read.
func countValues(next []string, takes arity) int {
	n := 0
	for n < len(next) && !isOption(next[n]) && (takes == values || takes == value && n == 0) {
		n++
	}
	return n
}

func isOption(arg string) bool {
	return len(arg) > 1 && arg[0] == '-'
}
