// Command exec puts progressctl exec to the test with the real hf of three
// generations, which downloads from a hub on loopback to which all goes wrong
// that can: what passes through, the exit status and the lines are held
// against what was done to it.
//
// It needs root for the small disk, tmux for the screens, and PyPI the first
// time; the clients are those of test/clients.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"progressd/internal/tool"
)

// A release is one generation of the client. resumes: a broken connection is
// no end for it. listing: it leaves one.
type release struct {
	version, command string
	resumes, listing bool
}

var releases = []release{
	{version: "2.4.0", command: "hf", resumes: true, listing: true},
	{version: "0.36.2", command: "hf"},
	{version: "0.26.5", command: "huggingface-cli"},
}

// A testCase is what is played on a stage of its own.
type testCase struct {
	name string
	play func(context.Context, *stage) error
}

// everything is all scenes, those in a terminal last.
func everything() []testCase {
	var all []testCase
	for _, sc := range scenes {
		all = append(all, testCase{sc.name, func(ctx context.Context, s *stage) error { return play(ctx, s, sc) }})
	}
	for _, sc := range screenScenes {
		all = append(all, testCase{sc.name, func(ctx context.Context, s *stage) error { return playScreens(ctx, s, sc) }})
	}
	return all
}

type options struct {
	progressctl, venvs, python string
	only                       *regexp.Regexp
}

func main() {
	tool.Main("exec", command)
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts, err := parse(args, stderr)
	if err != nil {
		return err
	}
	var failures []error
	passed := 0
	for _, r := range releases {
		program, err := opts.client(ctx, r)
		if err != nil {
			return err
		}
		for _, s := range everything() {
			name := s.name + "/" + r.version
			if !opts.only.MatchString(name) {
				continue
			}
			if err := onStage(ctx, opts, r, program, s.play); err != nil {
				failures = append(failures, fmt.Errorf("%s: %w", name, err))
				fmt.Fprintln(stdout, "FAILED", name)
				continue
			}
			passed++
			fmt.Fprintln(stdout, "ok    ", name)
		}
	}
	fmt.Fprintf(stdout, "%d passed, %d failed\n", passed, len(failures))
	return errors.Join(failures...)
}

func parse(args []string, stderr io.Writer) (options, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	var opts options
	only := ""
	set := flag.NewFlagSet("exec", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&opts.progressctl, "progressctl", "bin/progressctl", "path of the `binary` to test")
	set.StringVar(&opts.venvs, "venvs", filepath.Join(cache, "progressd-e2e"), "`directory` in which the clients are kept")
	set.StringVar(&opts.python, "python", "python3", "the `interpreter` for them, 3.10 or newer")
	set.StringVar(&only, "only", "", "play only what matches the `pattern`: scene/release")
	if err := set.Parse(args); err != nil {
		return opts, err
	}
	if opts.only, err = regexp.Compile(only); err != nil {
		return opts, err
	}
	opts.progressctl, err = filepath.Abs(opts.progressctl)
	return opts, err
}

// client is the path of a release's program, which is installed if it isn't
// there.
func (o options) client(ctx context.Context, r release) (string, error) {
	dir := filepath.Join(o.venvs, "hh-"+r.version)
	program := filepath.Join(dir, "bin", r.command)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	for _, argv := range [][]string{
		{o.python, "-m", "venv", dir},
		{filepath.Join(dir, "bin", "pip"), "install", "--quiet", "huggingface_hub==" + r.version},
	} {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("cannot install huggingface_hub %s: %w", r.version, err)
		}
	}
	return program, nil
}
