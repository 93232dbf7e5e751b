package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed kits
var sources embed.FS

// errNoTool is why a client can't be had on this machine.
var errNoTool = errors.New("not found")

// kit is how a client is had. In its commands {dir} is the directory that it
// is kept in, {python} the interpreter, {build} a directory that is removed.
type kit struct {
	name string
	// tool is the program that installing needs.
	tool string
	// source is a program of our own around a library, below kits/.
	source  string
	install [][]string
}

// hh is huggingface_hub with the packages beside it that are named, such as
// hf_xet-1.8.0.
func hh(version string, packages ...string) kit {
	pip := []string{"{dir}/bin/pip", "install", "--quiet", "huggingface_hub==" + version}
	for _, p := range packages {
		pip = append(pip, strings.Replace(p, "-", "==", 1))
	}
	return kit{
		name: strings.Join(append([]string{"hh-" + version}, packages...), "-"), tool: "{python}",
		install: [][]string{{"{python}", "-m", "venv", "--clear", "{dir}"}, pip},
	}
}

// npm is a package of the npm registry, as name@version.
func npm(name, pkg string) kit {
	return kit{name: name, tool: "npm", install: [][]string{{"npm", "install", "--silent", "--no-audit", "--no-fund", pkg}}}
}

// cargo is a program below kits/, which names its crates and their versions.
func cargo(source string) kit {
	return kit{name: source, tool: "cargo", source: source, install: [][]string{
		{"cargo", "install", "--quiet", "--debug", "--path", "{dir}", "--root", "{dir}", "--target-dir", "{build}"},
	}}
}

// golang is a program below kits/ around a module, as path@version. Its source has
// another ending there, so that it isn't taken for a part of this module.
func golang(source, module string) kit {
	return kit{name: source, tool: "go", source: source, install: [][]string{
		{"mv", "main.go.txt", "main.go"},
		{"go", "mod", "init", "fetch"},
		{"go", "get", module},
		{"go", "mod", "tidy"},
		{"go", "build", "-o", "{dir}/fetch", "."},
	}}
}

// shelf keeps each kit in a directory of its own, so that a second run needs
// no network.
type shelf struct {
	dir    string
	python string
}

// path is where a kit is. Another source is another kit.
func (s shelf) path(k kit) string {
	if k.source == "" {
		return filepath.Join(s.dir, k.name)
	}
	sum := sha256.New()
	err := fs.WalkDir(sources, "kits/"+k.source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := sources.ReadFile(path)
		sum.Write(text)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("kit %q: %v", k.name, err))
	}
	return filepath.Join(s.dir, fmt.Sprintf("%s-%x", k.name, sum.Sum(nil)[:4]))
}

// ensure installs a kit unless it is there. What it needs and can't find
// gives errNoTool.
func (s shelf) ensure(ctx context.Context, k kit) error {
	dir := s.path(k)
	complete := filepath.Join(dir, ".complete")
	if _, err := os.Stat(complete); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := exec.LookPath(s.fill(k.tool, dir, "")); err != nil {
		return fmt.Errorf("%s: %w", k.tool, errNoTool)
	}
	if err := s.make(ctx, k, dir); err != nil {
		return fmt.Errorf("cannot install %s: %w", k.name, err)
	}
	return os.WriteFile(complete, nil, 0o644)
}

func (s shelf) make(ctx context.Context, k kit, dir string) error {
	// What a run that was stopped has left is no kit.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if k.source != "" {
		source, err := fs.Sub(sources, "kits/"+k.source)
		if err != nil {
			return err
		}
		if err := os.CopyFS(dir, source); err != nil {
			return err
		}
	}
	build, err := os.MkdirTemp("", "progressd-kit-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(build) }()
	for _, argv := range k.install {
		cmd := exec.CommandContext(ctx, s.fill(argv[0], dir, build))
		for _, arg := range argv[1:] {
			cmd.Args = append(cmd.Args, s.fill(arg, dir, build))
		}
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %w\n%s", cmd.Args, err, lastPart(string(out)))
		}
	}
	return nil
}

// fill puts what is meant in place of what a kit names.
func (s shelf) fill(text, dir, build string) string {
	return strings.NewReplacer("{dir}", dir, "{python}", s.python, "{build}", build).Replace(text)
}
