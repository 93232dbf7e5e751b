package client

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"progressd/hfcache"
)

// The environment variables that tell Main how to write, as the fields of HH.
const (
	generationVar = "CLIENT_GENERATION"
	chunkVar      = "CLIENT_CHUNK"
	sharedVar     = "CLIENT_SHARED_STORE"
	lockVar       = "CLIENT_REMOVE_LOCKS"
	transferVar   = "CLIENT_TRANSFER"
	aheadVar      = "CLIENT_AHEAD"
	burstVar      = "CLIENT_BURST"
	noLinksVar    = "CLIENT_NO_SYMLINKS"
)

// Names under which a program that calls RunIfCalled downloads: those of the
// real client, so that /proc shows them.
const (
	hf       = "hf"
	hfLegacy = "huggingface-cli"
)

// programs are names under which the other clients go: of hfrs, Node.js and
// llama.cpp their own, else of programs that use them.
var programs = map[string]Kind{
	"candle": Rust03, "candle-tokio": Rust03Tokio, "mistralrs": Rust04, "router": Rust04Tokio,
	"hfrs": Rust1, "node": JS, "llama-server": LlamaCpp, "mlx-run": Swift, "gopher": GoHub,
}

// RunIfCalled turns the process into the downloader, and doesn't return, if
// it was started under the name of the real client; see Command. It belongs
// at the top of main or TestMain.
func RunIfCalled() {
	if name := filepath.Base(os.Args[0]); name != hf && name != hfLegacy && programs[name] == "" {
		return
	}
	os.Exit(Main(context.Background(), os.Args, os.Getenv, os.Stdout, os.Stderr))
}

// Command is a downloader in a process of its own: this executable, which
// must call RunIfCalled, started through a link named as the real client in
// dir. The arguments are those of hf download. Of h, what can be said in words
// is passed on: not Workers, Include, Pause and the retries.
func Command(ctx context.Context, dir string, h HH, args ...string) (*exec.Cmd, error) {
	name := hf
	if !generations[h.Generation].listing {
		name = hfLegacy
	}
	return command(ctx, dir, name, h, args)
}

// Command is Command for another client. The arguments are those of hf
// download all the same, but for file names.
func (o *Other) Command(ctx context.Context, dir string, args ...string) (*exec.Cmd, error) {
	for name, kind := range programs {
		if kind == o.Kind {
			return command(ctx, dir, name, o.HH, args)
		}
	}
	return nil, fmt.Errorf("cannot start a client %q: there is none", o.Kind)
}

func command(ctx context.Context, dir, name string, h HH, args []string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this executable: %w", err)
	}
	path := filepath.Join(dir, name)
	if err := os.Symlink(self, path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cannot name the downloader: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"download"}, args...)...)
	cmd.Env = append(os.Environ(),
		"HF_ENDPOINT="+h.Endpoint, "HF_HUB_CACHE="+h.Root, generationVar+"="+string(h.Generation),
		chunkVar+"="+strconv.Itoa(h.Chunk), sharedVar+"="+strconv.FormatBool(h.SharedStore), lockVar+"="+strconv.FormatBool(h.RemoveLocks),
		transferVar+"="+string(h.Transfer), aheadVar+"="+strconv.Itoa(h.Ahead), burstVar+"="+strconv.FormatInt(h.Burst, 10),
		noLinksVar+"="+strconv.FormatBool(h.NoSymlinks))
	return cmd, nil
}

// request is what a command line asks for.
type request struct {
	repo     hfcache.Repo
	files    []string
	revision string
	filter   hfcache.Filter
	hh       HH
}

// Main is hf download: "NAME download REPO [FILE ...] [options]" with the
// options of the real client that matter here; another client if NAME is that
// of one. Ctrl-C lets the files in flight be
// finished; a second one ends the process at once. It returns the process's
// exit status.
func Main(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		args = []string{hf}
	}
	r, err := parse(args[1:], getenv, stderr)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "Error: %v\n", err)
		return 2
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	var path string
	if kind := programs[filepath.Base(args[0])]; kind != "" {
		path, err = (&Other{HH: r.hh, Kind: kind}).Download(ctx, r.repo, r.revision)
	} else if len(r.files) == 1 {
		path, err = r.hh.DownloadFile(ctx, r.repo, r.revision, r.files[0])
	} else {
		path, err = r.hh.Download(ctx, r.repo, r.revision)
	}
	switch {
	case errors.Is(err, ErrInterrupted):
		_, _ = fmt.Fprintln(stderr, "Aborted!")
		return 130
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "Error: %v\n", err)
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "Downloaded\n  path: %s\n", path)
	return 0
}

// interruptible is a context that the first SIGINT cancels.
func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-signals:
			signal.Stop(signals)
			cancel(ErrInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-ended
	}
}

// list is an option that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func parse(args []string, getenv func(string) string, stderr io.Writer) (request, error) {
	if len(args) == 0 || args[0] != "download" {
		return request{}, errors.New("the only command is: download REPO [FILE ...]")
	}
	r := request{hh: writer(getenv)}
	set := flag.NewFlagSet("download", flag.ContinueOnError)
	set.SetOutput(stderr)
	var include, exclude list
	kind := set.String("repo-type", "model", "model, dataset, space or kernel")
	set.StringVar(&r.revision, "revision", "main", "branch, tag or commit")
	set.StringVar(&r.hh.Root, "cache-dir", r.hh.Root, "root of the cache")
	set.StringVar(&r.hh.LocalDir, "local-dir", "", "directory for the files, instead of the cache")
	set.IntVar(&r.hh.Workers, "max-workers", 0, "files in flight")
	set.Var(&include, "include", "pattern of wanted files")
	set.Var(&exclude, "exclude", "pattern of unwanted files")
	// Options may stand before, between and behind the names.
	var names []string
	for rest := args[1:]; len(rest) > 0; {
		if err := set.Parse(rest); err != nil {
			return request{}, err
		}
		if rest = set.Args(); len(rest) > 0 {
			names, rest = append(names, rest[0]), rest[1:]
		}
	}
	if len(names) == 0 {
		return request{}, errors.New("no repository named")
	}
	if r.hh.Endpoint == "" {
		return request{}, errors.New("HF_ENDPOINT is not set, and this client has no other hub")
	}
	r.repo = hfcache.Repo{Type: hfcache.RepoType(*kind), ID: names[0]}
	r.files = names[1:]
	r.filter = hfcache.Filter{Include: include, Exclude: exclude}
	if len(r.files) > 0 {
		r.filter = hfcache.Filter{Include: r.files}
	}
	r.hh.Include = r.filter.Match
	return r, nil
}

// writer is what the environment says of the client; what is not said there,
// or makes no sense, is as in the zero HH.
func writer(getenv func(string) string) HH {
	h := HH{Endpoint: getenv("HF_ENDPOINT"), Root: cacheRoot(getenv), Generation: Generation(getenv(generationVar))}
	h.Chunk, _ = strconv.Atoi(getenv(chunkVar))
	h.SharedStore, _ = strconv.ParseBool(getenv(sharedVar))
	h.RemoveLocks, _ = strconv.ParseBool(getenv(lockVar))
	h.Transfer = Transfer(getenv(transferVar))
	h.Ahead, _ = strconv.Atoi(getenv(aheadVar))
	h.Burst, _ = strconv.ParseInt(getenv(burstVar), 10, 64)
	h.NoSymlinks, _ = strconv.ParseBool(getenv(noLinksVar))
	return h
}

// cacheRoot finds the cache as the real client does.
func cacheRoot(getenv func(string) string) string {
	if dir := getenv("HF_HUB_CACHE"); dir != "" {
		return dir
	}
	if dir := getenv("HF_HOME"); dir != "" {
		return filepath.Join(dir, "hub")
	}
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "huggingface", "hub")
	}
	return filepath.Join(getenv("HOME"), ".cache", "huggingface", "hub")
}
