package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"progressd/tracker"
)

// reconcile judges everything, prints what is wrong and returns how much.
func (w *world) reconcile(out io.Writer) int {
	byModel := map[*model][]string{}
	for _, f := range w.faults {
		byModel[f.model] = append(byModel[f.model], f.at.Format(clock)+" "+f.text)
	}
	w.diagnostics(byModel)
	n := len(byModel[nil])
	for _, text := range byModel[nil] {
		fmt.Fprintln(out, "VIOLATION", text)
	}
	for _, m := range w.models {
		lines, err := readLog(m.logPath())
		if err != nil {
			byModel[m] = append(byModel[m], err.Error())
		}
		j := judge{model: m, killed: w.daemon.killedBetween}
		found := append(byModel[m], j.run(lines)...)
		if len(found) == 0 {
			continue
		}
		n += len(found)
		for _, text := range found {
			fmt.Fprintln(out, "VIOLATION", m.repo.ID, text)
		}
		fmt.Fprintln(out, m.story(lines, w.daemon))
	}
	return n
}

// diagnostics looks through what progressd wrote to stderr for what it should
// never have to say here.
func (w *world) diagnostics(byModel map[*model][]string) {
	text, err := os.ReadFile(w.daemon.stderrPath())
	if err != nil {
		return
	}
	const most = 10
	for l := range strings.Lines(string(text)) {
		bad := slices.ContainsFunc([]string{"panic", "DATA RACE", "level=ERROR", "goroutine ", "cannot"}, func(sign string) bool {
			return strings.Contains(l, sign)
		})
		if bad && len(byModel[nil]) < most {
			byModel[nil] = append(byModel[nil], "progressd says: "+strings.TrimSpace(l))
		}
	}
}

// report prints the figures of a run.
func (w *world) report(out io.Writer) {
	lives, endings := 0, map[string]int{}
	kinds := map[tracker.Kind]int{}
	outcomes := map[string]int{}
	for _, m := range w.models {
		for _, l := range m.lives {
			lives++
			switch {
			case l.done:
				endings["done"]++
			case l.sig != 0:
				endings[fmt.Sprint(l.sig)]++
			default:
				endings["failed"]++
			}
		}
		lines, err := readLog(m.logPath())
		if err != nil {
			continue
		}
		for _, l := range lines {
			kinds[l.kind]++
		}
		for _, o := range m.outcomes {
			outcomes[o]++
		}
	}
	strikes := map[syscall.Signal]int{}
	for _, s := range w.daemon.strikes {
		strikes[s.sig]++
	}
	fmt.Fprintf(out, "%s, seed %d: %d lives of repositories, %d clients (%s)\n", time.Since(w.began).Round(time.Second), w.seed, len(w.models), lives, tally(endings))
	fmt.Fprintf(out, "progressd: %d x SIGKILL, %d x SIGTERM, %d x SIGHUP\n", strikes[syscall.SIGKILL], strikes[syscall.SIGTERM], strikes[syscall.SIGHUP])
	fmt.Fprintf(out, "lines: %s\nverdicts awaited: %s\n", tally(kinds), tally(outcomes))
}

func tally[K ~string](counts map[K]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", string(k), counts[k]))
	}
	return strings.Join(parts, ", ")
}
