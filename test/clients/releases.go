package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// release is a version of huggingface_hub as it is put to the test.
type release struct {
	// name stands in the table and in the ids of the repositories.
	name    string
	version string
	// command is what it calls its program.
	command string
	env     []string
	traits
}

// traits are how releases differ in what they leave on disk, and so in what
// progressd can know.
type traits struct {
	// listing: a whole download leaves trees/<commit>.json.
	listing bool
	// resumes: a later attempt goes on with the partial of a dead one.
	resumes bool
	// orphans: what a killed attempt wrote stays in blobs/ for ever.
	orphans bool
	// workers: its command line takes --max-workers.
	workers bool
}

// releases are all that are tested, newest first.
var releases = []release{
	{name: "2.4.0", version: "2.4.0", command: "hf", traits: traits{listing: true, orphans: true, workers: true}},
	{
		name: "2.4.0-nostore", version: "2.4.0", command: "hf", env: []string{"HF_HUB_DISABLE_SHARED_BLOBS=1"},
		traits: traits{listing: true, orphans: true, workers: true},
	},
	{name: "1.28.0", version: "1.28.0", command: "hf", traits: traits{listing: true, orphans: true, workers: true}},
	{name: "1.21.0", version: "1.21.0", command: "hf", traits: traits{orphans: true, workers: true}},
	{name: "1.16.4", version: "1.16.4", command: "hf", traits: traits{resumes: true, workers: true}},
	{name: "0.36.2", version: "0.36.2", command: "hf", traits: traits{resumes: true, workers: true}},
	{name: "0.26.5", version: "0.26.5", command: "huggingface-cli", traits: traits{resumes: true, workers: true}},
	{name: "0.21.4", version: "0.21.4", command: "huggingface-cli"},
}

// venvs keeps each version in a virtual environment of its own, so that a
// second run needs no network.
type venvs struct {
	dir    string
	python string
}

func (v venvs) path(version string) string { return filepath.Join(v.dir, "hh-"+version) }

// ensure installs a version unless it is there.
func (v venvs) ensure(ctx context.Context, version string) error {
	dir := v.path(version)
	complete := filepath.Join(dir, ".complete")
	if _, err := os.Stat(complete); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, argv := range [][]string{
		{v.python, "-m", "venv", "--clear", dir},
		{filepath.Join(dir, "bin", "pip"), "install", "--quiet", "huggingface_hub==" + version},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot install huggingface_hub %s: %q: %w\n%s", version, argv, err, out)
		}
	}
	return os.WriteFile(complete, nil, 0o644)
}
