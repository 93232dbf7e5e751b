package main

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"progressd/config"
	"progressd/daemon"
	"progressd/record"
)

// check prints what would be watched, where the lines would go, and what to do
// about what is not as it should be. The exit status is that of a failure if a root
// is there and can't be one.
func check(set config.Settings, out io.Writer) int {
	file := set.File
	if file == "" {
		file = "(none: defaults)"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "configuration\t%s\n", record.Clean(file))
	fmt.Fprintf(w, "log files\t%s\n", place(set.LogDir))
	fmt.Fprintf(w, "state\t%s\n", place(set.StateDir))
	fmt.Fprintf(w, "poll interval\t%v\n", set.PollInterval)
	fmt.Fprintf(w, "step\t%v\n", set.Step)
	if set.Hub.Enabled {
		fmt.Fprintf(w, "hub look-up\t%s\n", set.Hub.Endpoint)
	}
	status := exitOK
	var hints []string
	for _, pattern := range set.Roots {
		found, _ := filepath.Glob(pattern) // its form was checked with the configuration
		if len(found) == 0 {
			fmt.Fprintf(w, "root\t%s\tnothing there yet\n", record.Clean(pattern))
		}
		for _, path := range found {
			r := checkRoot(path, set.Roots)
			fmt.Fprintf(w, "root\t%s\t%s\n", record.Clean(path), r.says())
			hints = append(hints, r.hints...)
			if r.wrong != nil {
				status = exitFailed
			}
		}
	}
	if hint := daemon.ProcessesHidden(set); hint != "" {
		hints = append(hints, hint)
	}
	_ = w.Flush()
	for _, hint := range hints {
		fmt.Fprintf(out, "%s\n", hint)
	}
	return status
}

// place is a directory, or that only the service's environment tells it.
func place(dir string) string {
	if dir == "" {
		return "(as the environment of the service says)"
	}
	return record.Clean(dir)
}
