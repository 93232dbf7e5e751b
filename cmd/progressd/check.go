package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"progressd/config"
	"progressd/daemon"
	"progressd/hfcache"
	"progressd/record"
)

// check prints what would be watched, and where the lines would go.
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
	for _, pattern := range set.Roots {
		found, _ := filepath.Glob(pattern) // its form was checked with the configuration
		if len(found) == 0 {
			fmt.Fprintf(w, "root\t%s\tnothing there yet\n", record.Clean(pattern))
		}
		for _, path := range found {
			fmt.Fprintf(w, "root\t%s\t%s\n", record.Clean(path), repos(path))
		}
	}
	_ = w.Flush()
	return exitOK
}

// place is a directory, or that only the service's environment tells it.
func place(dir string) string {
	if dir == "" {
		return "(as the environment of the service says)"
	}
	return record.Clean(dir)
}

// repos says how many repositories a root holds.
func repos(root string) string {
	dir, err := os.Open(root)
	if err != nil {
		return record.Clean(err.Error())
	}
	defer dir.Close()
	n := 0
	for {
		names, err := dir.Readdirnames(1000)
		for _, name := range names {
			if daemon.IsRepo(name) {
				n++
			}
		}
		if err == io.EOF {
			return fmt.Sprintf("%d repositories", n) + localDirs(root)
		}
		if err != nil {
			return record.Clean(err.Error())
		}
	}
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
