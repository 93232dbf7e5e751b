package downloader

import (
	"path/filepath"
	"strings"

	"progressd/untrusted"
)

// maxShortName bounds a command's short name, in bytes.
const maxShortName = 64

// shortName is what an operator calls a process by: the kernel's name for it,
// but for a Python interpreter the script it runs ("hf"), or the package that
// -m names ("vllm").
func shortName(comm string, argv []string) string {
	name := comm
	if isPython(comm) {
		if p, ok := parseProgram(argv); ok {
			name, _, _ = strings.Cut(p.module, ".")
			if p.module == "" {
				name = p.script
			}
		}
	}
	if name == "" {
		name = "?"
	}
	return printable(name)
}

// printable replaces all but printable ASCII.
func printable(s string) string {
	s = untrusted.Printable(s)
	return s[:min(len(s), maxShortName)]
}

// program is what a command line runs, an interpreter left out.
type program struct {
	// script is the base name of the file that runs, empty with module.
	script string
	// module is the argument of python -m.
	module string
	args   []string
}

// parseProgram is false for a command line that names no program: code given
// inline, standard input, a title that a process has set for itself.
func parseProgram(argv []string) (program, bool) {
	if len(argv) == 0 || argv[0] == "" {
		return program{}, false
	}
	if name := filepath.Base(argv[0]); !isPython(name) {
		return program{script: name, args: argv[1:]}, true
	}
	args := argv[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		flags, ok := strings.CutPrefix(args[0], "-")
		args = args[1:]
		// The flags that take a value take the rest of the word, else
		// the next one.
		i := strings.IndexAny(flags, "mcXW")
		if !ok || flags == "" || strings.HasPrefix(flags, "-") {
			return program{}, false
		}
		if i < 0 {
			continue
		}
		value := flags[i+1:]
		if value == "" {
			if len(args) == 0 {
				return program{}, false
			}
			value, args = args[0], args[1:]
		}
		switch flags[i] {
		case 'm':
			return program{module: value, args: args}, true
		case 'c':
			return program{}, false
		}
	}
	if len(args) == 0 || args[0] == "" {
		return program{}, false
	}
	return program{script: filepath.Base(args[0]), args: args[1:]}, true
}

func isPython(name string) bool {
	return strings.HasPrefix(name, "python") || strings.HasPrefix(name, "pypy")
}
