package runner

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"progressd/config"
	"progressd/downloader"
	"progressd/hfcache"
	"progressd/state"
)

// An aim is which download a program is after, as far as that is known.
type aim struct {
	hfcache.Place
	// name is what the repository is called: of a directory filled by
	// --local-dir, what is downloaded into it.
	name hfcache.Repo
	// roots are patterns of those it may be in, where root is empty; home is
	// the most likely.
	roots []string
	home  string
	// program is what it is called. only: it does nothing but download.
	program string
	only    bool
	// request and loader are what its command line says, nil if that isn't
	// understood.
	request *downloader.Request
	loader  *downloader.Loader
}

func (p *aim) known() bool { return p.Root != "" && p.Repo.ID != "" }

// suppose takes the likeliest root, where nothing was seen to tell. It is
// false if that doesn't help.
func (p *aim) suppose() bool {
	if p.Root == "" {
		p.Root = p.home
	}
	return p.known()
}

// aimOf tells by the command line, the environment and the configuration.
func aimOf(opts Options, set config.Settings, getenv func(string) string) aim {
	p := aim{
		name: opts.Model, program: program(opts.Argv),
		request: downloader.ParseRequest(opts.Argv), loader: downloader.ParseLoader(opts.Argv),
	}
	switch {
	case p.name.ID != "":
	case p.request != nil:
		p.name = p.request.Repo
	case p.loader != nil:
		p.name = p.loader.Repo
	default:
		p.name, _ = downloader.LlamaRepo(opts.Argv)
	}
	p.Repo = p.name
	p.only = p.request != nil || isDownload(opts.Argv)
	if dir := localDir(p.request, opts.Argv); dir != "" {
		p.Root, _ = config.Directory(dir, getenv)
		p.Repo, _ = hfcache.LocalRepo(".")
		p.Root = resolved(p.Root)
		return p
	}
	if dir, err := config.Directory(cacheOption(opts.Argv), getenv); err == nil && cacheOption(opts.Argv) != "" {
		p.home = dir
	} else if dir, err := config.DefaultCache(getenv); err == nil {
		p.home = dir
	}
	p.home = resolved(p.home)
	p.Root = p.home
	if opts.Config != "" && len(set.Roots) > 0 {
		p.configured(set.Roots)
	}
	return p
}

// configured takes the roots of a configuration that was named, unless the one
// that the program uses by itself is among them.
func (p *aim) configured(patterns []string) {
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern)
		for _, root := range found {
			if resolved(root) == p.home {
				return
			}
		}
	}
	p.Root, p.roots = "", patterns
	if len(patterns) == 1 && !strings.ContainsAny(patterns[0], `*?[\`) {
		p.Root = resolved(patterns[0])
	}
}

// resolved is free of links, as far as it is there.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// program is a name for a process that /proc does not show any more.
func program(argv []string) string { return filepath.Base(argv[0]) }

// isDownload knows the command of the client also where what it asks for isn't
// understood.
func isDownload(argv []string) bool {
	if slices.Contains(argv, "--dry-run") {
		return false // it downloads nothing
	}
	at := slices.Index(argv, "download")
	return at > 0 && slices.Contains([]string{"hf", "huggingface-cli"}, filepath.Base(argv[at-1]))
}

func localDir(request *downloader.Request, argv []string) string {
	if request != nil {
		return request.LocalDir
	}
	if isDownload(argv) {
		return option(argv, "--local-dir")
	}
	return ""
}

// cacheOption is the cache that a command line names: huggingface_hub's
// --cache-dir, vLLM's and SGLang's --download-dir.
func cacheOption(argv []string) string {
	for _, name := range []string{"--cache-dir", "--download-dir"} {
		if dir := option(argv, name); dir != "" {
			return dir
		}
	}
	return ""
}

func option(argv []string, name string) string {
	for i, arg := range argv {
		if value, ok := strings.CutPrefix(arg, name+"="); ok {
			return value
		}
		if arg == name && i+1 < len(argv) {
			return argv[i+1]
		}
	}
	return ""
}

// names gives log files their names. The names are kept in the state directory
// of the user's daemon, while that doesn't run; beside one that does, the logs
// go to a directory of their own: two writers would tell everything twice.
type names struct{ stateDir string }

// execDir is where logs and names go beside a daemon that runs.
const execDir = "exec"

func newNames(set *config.Settings) names {
	if store := open(set.StateDir, 0); store != nil {
		_ = store.Close()
		return names{set.StateDir}
	}
	set.LogDir = filepath.Join(set.LogDir, execDir)
	set.StateDir = filepath.Join(set.StateDir, execDir)
	return names{set.StateDir}
}

// of gives the log of a download its name.
func (n names) of(t hfcache.Place) string {
	store := open(n.stateDir, nameTries)
	if store == nil { // others keep it: a name that is nobody else's
		return t.Repo.Slug() + "@" + strconv.Itoa(os.Getpid()) + ".log"
	}
	defer func() { _ = store.Close() }()
	return store.LogName(t.Root, t.Repo)
}

// nameTries is how often another progressctl exec may be at the names just now.
const nameTries = 40

// open opens the state for a moment; it is nil while another one has it.
func open(dir string, again int) *state.Store {
	for {
		store, err := state.Open(dir, nil, quietLog)
		if err == nil {
			return store
		}
		if again--; again < 0 {
			return nil
		}
		<-time.After(25 * time.Millisecond)
	}
}
