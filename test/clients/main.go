// Command clients puts progressd to the test with the real clients: every
// supported version of huggingface_hub, and others, download from a hub on
// loopback in every way there is, and what progressd tells of it, in the
// journal and in the log files, is held against what was asked, served and
// written.
//
// It needs root (other users, a small disk), a journald of its own
// (test/harness/journald-alone.sh) and, the first time, PyPI, npm with its
// registry, cargo with its own; a client whose tool is missing is left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"progressd/internal/tool"
)

type options struct {
	progressd string
	venvs     string
	python    string
	only      *regexp.Regexp
	jobs      int
	// at is where the caches lie, if not in a directory that is made for them.
	at       string
	keep     bool
	nightly  bool
	progress io.Writer
}

func main() {
	tool.Main("clients", command)
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts, err := parse(args, stderr)
	if err != nil {
		return err
	}
	results, err := perform(ctx, opts)
	return errors.Join(report(results, stdout), err)
}

func parse(args []string, stderr io.Writer) (options, error) {
	opts := options{progress: stderr}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	set := flag.NewFlagSet("clients", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&opts.progressd, "progressd", "bin/progressd", "path of the `binary` to test")
	set.StringVar(&opts.venvs, "venvs", filepath.Join(cache, "progressd-e2e"), "`directory` in which the clients are kept")
	set.StringVar(&opts.python, "python", "python3", "the `interpreter` for them, 3.10 or newer")
	set.IntVar(&opts.jobs, "jobs", 10, "how many cases have clients that run at a time")
	set.StringVar(&opts.at, "at", "", "an empty `directory` for the caches, on a file system that is to be tried")
	set.BoolVar(&opts.keep, "keep", false, "keep caches, logs and output")
	set.BoolVar(&opts.nightly, "nightly", false, "play the cases that wait for stall_after, ten minutes, instead of the others")
	set.Func("only", "play only the cases whose scene/release matches the `pattern`", func(text string) error {
		opts.only, err = regexp.Compile(text)
		return err
	})
	if err := set.Parse(args); err != nil {
		return opts, err
	}
	if opts.progressd, err = filepath.Abs(opts.progressd); err != nil {
		return opts, err
	}
	if os.Geteuid() != 0 {
		return opts, errors.New("must be run as root: it downloads as other users and mounts a small disk")
	}
	return opts, nil
}

// report prints a table, scene by release, and returns what went wrong.
func report(results []*result, w io.Writer) error {
	verdicts := map[string]string{}
	var failures []error
	for _, r := range results {
		key := r.act.label()
		verdicts[key] = "ok"
		if r.err != nil {
			verdicts[key] = "FAILED"
			failures = append(failures, fmt.Errorf("%s: %w", key, r.err))
		}
	}
	for _, group := range [][]release{releases, others, loaders} {
		table(w, group, verdicts)
	}
	played := len(results)
	_, _ = fmt.Fprintf(w, "%d passed, %d failed\n", played-len(failures), len(failures))
	return errors.Join(failures...)
}

// table has a row for each scene that one of the releases can play.
func table(w io.Writer, group []release, verdicts map[string]string) {
	row(w, group, "", func(r release) string { return r.name })
	row(w, group, "---", func(release) string { return "---" })
	for _, sc := range scenes {
		if !slices.ContainsFunc(group, sc.suits) {
			continue
		}
		row(w, group, sc.about, func(r release) string {
			if v := verdicts[sc.name+"/"+r.name]; v != "" {
				return v
			}
			return "-"
		})
	}
	_, _ = fmt.Fprintln(w)
}

func row(w io.Writer, group []release, first string, cell func(release) string) {
	text := "| " + first
	for _, r := range group {
		text += " | " + cell(r)
	}
	_, _ = fmt.Fprintln(w, text+" |")
}
