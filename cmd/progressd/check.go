package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"progressd/account"
	"progressd/config"
	"progressd/daemon"
	"progressd/untrusted"
)

// check prints what would be watched, where the lines would go, and what to do
// about what is not as it should be, or not seen. The exit status is that of a failure
// if a root is there and can't be one.
func (h host) check(set config.Settings, out io.Writer) int {
	file := set.File
	if file == "" {
		file = "(none: defaults)"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "configuration\t%s\n", untrusted.Name(file))
	fmt.Fprintf(w, "log files\t%s\n", place(set.LogDir))
	fmt.Fprintf(w, "state\t%s\n", place(set.StateDir))
	fmt.Fprintf(w, "poll interval\t%v\n", set.PollInterval)
	fmt.Fprintf(w, "step\t%v\n", set.Step)
	if set.Hub.Enabled {
		fmt.Fprintf(w, "hub look-up\t%s\n", set.Hub.Endpoint)
	}
	if h.isSystem(set) {
		fmt.Fprintf(w, "confinement\t%s\n", confinement())
	}
	status, owned, service := exitOK, shares{}, h.service()
	var hints []string
	for _, pattern := range set.Roots {
		found, _ := filepath.Glob(pattern) // its form was checked with the configuration
		if len(found) == 0 {
			fmt.Fprintf(w, "root\t%s\tnothing there yet\n", untrusted.Name(pattern))
		}
		for _, path := range found {
			r := checkRoot(path, set.Roots)
			fmt.Fprintf(w, "root\t%s\t%s\n", untrusted.Name(path), r.says())
			hints = append(append(hints, r.hints...), service.hints(path, h.isSystem(set))...)
			owned[r.owner] += r.repos
			if r.wrong != nil {
				status = exitFailed
			}
		}
	}
	if daemon.ProcessesHidden() || h.hidesProcesses(service, set) {
		hints = append(hints, daemon.HiddenHint(set))
	}
	hints = append(hints, h.uncovered(set)...)
	hints = append(append(hints, h.shortOfWatches(owned)...), h.shortOfInstances(service)...)
	if service.shut {
		hints = append(hints, fmt.Sprintf("what the running service (pid %d) sees of this is shown to root only: ask as root", service.pid))
	}
	for _, line := range owned.over() {
		fmt.Fprintf(w, "over budget\t%s\n", line)
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
	return untrusted.Name(dir)
}

// shares are how many repositories there are of each user.
type shares map[account.User]int

// over names the users who have more than can be remembered.
func (n shares) over() (lines []string) {
	limit := account.Names.Limit()
	for _, user := range slices.Sorted(maps.Keys(n)) {
		if int64(n[user]) > limit.All {
			lines = append(lines, fmt.Sprintf("uid %v: %d repositories, %s are remembered", user, n[user], limit))
		}
	}
	return lines
}
