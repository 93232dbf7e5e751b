// Package packaging holds what is shipped beside the binary. To Go it gives the
// configuration of the packaged service, so that what the tests, the demo and
// the soak run is what users run.
package packaging

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed systemd/config.toml
var shipped string

// Paths are what a configuration says of one machine alone: the caches to
// watch, and the directories of the logs and of the state.
type Paths struct {
	Roots       []string
	Logs, State string
}

// List is the roots as a list of TOML.
func (p Paths) List() string {
	var quoted []string
	for _, root := range p.Roots {
		quoted = append(quoted, fmt.Sprintf("%q", root))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

var (
	roots    = regexp.MustCompile(`(?m)^roots = \[[^\]]*\]`)
	logTable = regexp.MustCompile(`(?m)^\[log\]$`)
)

// Config is the packaged configuration, packaging/systemd/config.toml, with
// other paths and nothing else changed. More tables may follow it, but [log] and
// [state]; keys of no table go before it.
func Config(p Paths) string {
	text := replaceOne(shipped, roots, "roots = "+p.List())
	text = replaceOne(text, logTable, fmt.Sprintf("[log]\ndir = %q", p.Logs))
	return text + fmt.Sprintf("\n[state]\ndir = %q\n", p.State)
}

// replaceOne panics unless there is exactly one match: a file of another form
// would leave a test with the caches of the machine it runs on.
func replaceOne(text string, form *regexp.Regexp, with string) string {
	if n := len(form.FindAllString(text, -1)); n != 1 {
		panic(fmt.Sprintf("packaging/systemd/config.toml has %d times %q, not once", n, form))
	}
	return form.ReplaceAllLiteralString(text, with)
}
