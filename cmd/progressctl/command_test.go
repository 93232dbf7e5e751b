package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// readFile reads a file of the project.
func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// manual is the page of a subcommand: its own, else that of progressctl.
func manual(t *testing.T, c *cobra.Command) (page, text string) {
	t.Helper()
	page = "progressctl-" + c.Name() + ".1"
	if _, err := os.Stat(filepath.Join("..", "..", "docs", "man", page)); err != nil {
		page = "progressctl.1"
	}
	return page, strings.ReplaceAll(readFile(t, "docs/man/"+page), `\-`, "-")
}

func TestEveryOptionIsInTheManual(t *testing.T) {
	root := (&ctl{}).root()
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		page, text := manual(t, c)
		if !strings.Contains(text, c.Name()) {
			t.Errorf("%s doesn't name %s", page, c.Name())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(text, "--"+f.Name) {
				t.Errorf("%s doesn't name --%s of %s", page, f.Name, c.Name())
			}
		})
	}
}

// What is installed is what the program would print.
func TestCompletionsAreUpToDate(t *testing.T) {
	for shell, generate := range map[string]func(*cobra.Command, string) error{
		"bash": func(c *cobra.Command, file string) error { return c.GenBashCompletionFileV2(file, true) },
		"zsh":  func(c *cobra.Command, file string) error { return c.GenZshCompletionFile(file) },
		"fish": func(c *cobra.Command, file string) error { return c.GenFishCompletionFile(file, true) },
	} {
		file := filepath.Join(t.TempDir(), shell)
		if err := generate((&ctl{}).root(), file); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if path := "packaging/completions/progressctl." + shell; readFile(t, path) != string(want) {
			t.Errorf("%s is out of date: go run ./cmd/progressctl completion %s >%s", path, shell, path)
		}
	}
}

// The daemon lives beside model servers: each of the libraries for people would
// cost it 1.7 to 2.8 MB of memory.
func TestTheDaemonLinksNoLibraryOfTheClient(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "progressd/cmd/progressd").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"github.com/BurntSushi/toml", "github.com/coreos/go-systemd", "github.com/fsnotify/fsnotify", "github.com/shopspring/decimal", "golang.org/x/sys"}
	for line := range strings.Lines(string(out)) {
		pkg := strings.TrimSpace(line)
		if first, _, _ := strings.Cut(pkg, "/"); !strings.Contains(first, ".") {
			continue // of Go, or ours
		}
		ok := false
		for _, prefix := range known {
			ok = ok || strings.HasPrefix(pkg, prefix)
		}
		if !ok {
			t.Errorf("it links %s", pkg)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		name, args   string
		status       int
		stdout, says string
	}{
		{"version", "--version", 0, "progressctl ", ""},
		{"help", "--help", 0, "progressctl asks progressd", ""},
		{"nothing at all", "", 0, "progressctl asks progressd", ""},
		{"unknown command", "frobnicate", 2, "", `unknown command "frobnicate" for "progressctl"`},
		{"unknown flag", "--frobnicate", 2, "", "unknown flag: --frobnicate"},
		{"help of exec", "exec --help", 0, "Runs a downloader", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLaunch(t)
			if status := l.call(strings.Fields(c.args)...); status != c.status {
				t.Errorf("exit status %d, want %d", status, c.status)
			}
			if out, said := l.read(l.out), l.read(l.err); !strings.HasPrefix(out, c.stdout) || !strings.Contains(said, c.says) {
				t.Errorf("stdout %q, stderr %q", out, said)
			}
		})
	}
}
