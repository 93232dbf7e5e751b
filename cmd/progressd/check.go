package main

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"progressd/account"
	"progressd/config"
	"progressd/daemon"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sink"
)

// check prints what would be watched, and where the lines would go.
func check(set config.Settings, out io.Writer) int {
	file := set.File
	if file == "" {
		file = "(none: defaults)"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "configuration\t%s\n", sink.Clean(file))
	fmt.Fprintf(w, "log files\t%s\n", place(set.LogDir))
	fmt.Fprintf(w, "state\t%s\n", place(set.StateDir))
	fmt.Fprintf(w, "poll interval\t%v\n", set.PollInterval)
	fmt.Fprintf(w, "step\t%v\n", set.Step)
	if set.Hub.Enabled {
		fmt.Fprintf(w, "hub look-up\t%s\n", set.Hub.Endpoint)
	}
	remembered := shares{}
	for _, pattern := range set.Roots {
		found, _ := filepath.Glob(pattern) // its form was checked with the configuration
		if len(found) == 0 {
			fmt.Fprintf(w, "root\t%s\tnothing there yet\n", sink.Clean(pattern))
		}
		for _, path := range found {
			fmt.Fprintf(w, "root\t%s\t%s\n", sink.Clean(path), remembered.root(path))
		}
	}
	for _, line := range remembered.over() {
		fmt.Fprintf(w, "over budget\t%s\n", line)
	}
	_ = w.Flush()
	return exitOK
}

// place is a directory, or that only the service's environment tells it.
func place(dir string) string {
	if dir == "" {
		return "(as the environment of the service says)"
	}
	return sink.Clean(dir)
}

// shares are how many repositories there are of each user.
type shares map[account.User]int

// root says what is to be watched at a path, and counts it for its owner.
func (n shares) root(path string) string {
	d, real, err := fsys.Follow(fsys.Real{}, path)
	if err != nil {
		return sink.Clean(err.Error())
	}
	defer d.Close()
	e, err := d.Stat()
	if err != nil {
		return sink.Clean(err.Error())
	}
	repos := 0
	err = d.List(func(items []fsys.Item) error {
		for _, item := range items {
			if daemon.IsRepo(string(item.Name)) {
				repos++
			}
		}
		return nil
	})
	if err != nil {
		return sink.Clean(err.Error())
	}
	n[account.User(e.UID)] += repos
	return fmt.Sprintf("%d repositories", repos) + localDirs(real)
}

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

// localDirs says how many directories a root is, or holds, that a client has
// filled by --local-dir; empty if none.
func localDirs(root string) string {
	n := 0
	for _, rel := range []string{".", "*", "*/*"} {
		found, _ := fs.Glob(os.DirFS(root), path.Join(rel, hfcache.LocalStage)) // its form is good
		for _, stage := range found {
			if daemon.IsLocal(path.Clean(strings.TrimSuffix(stage, hfcache.LocalStage) + ".")) {
				n++
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d filled by --local-dir", n)
}
