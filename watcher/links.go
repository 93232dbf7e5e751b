package watcher

import (
	"path/filepath"
	"strings"

	"progressd/fsys"
	"progressd/untrusted"
)

// No link below a root is followed: it may lead anywhere, and hang there. That a
// folder is one shall be no silence that nobody can explain, so it is said, with
// what to do. The same goes for a cache that lies one level too deep.

const (
	// maxHints bounds how often that is said of one root.
	maxHints = 16
	// maxLinks bounds whose names are remembered.
	maxLinks = 1024
)

// due reports whether something about a name below the root is still to be said.
func (h *hints) due(name string) bool {
	if h.known[name] || h.said >= maxHints || len(h.known) >= maxLinks {
		return false
	}
	if h.known == nil {
		h.known = make(map[string]bool)
	}
	h.known[name] = true
	return true
}

// noteLink takes a name of the listing that is a symbolic link, or may be one. It
// reports whether it is.
func (r *runner) noteLink(top fsys.Dir, i *fsys.Item) bool {
	name := string(i.Name)
	if i.Dir { // the file system doesn't say
		if e, err := top.Lstat(name); err != nil || !e.Link() {
			return false
		}
	}
	repo := r.opts.IsRepo(name)
	if !repo && (r.opts.IsLocal == nil || !r.opts.IsLocal(name)) {
		return true
	}
	r.hints.links++
	switch {
	case repo:
		r.sayLink(top, name)
	case !r.hints.others:
		r.hints.others = true
		r.opts.Log.Info("links in a root are not followed: if a download goes into one, name what it leads to as a root",
			keyRoot, untrusted.Path(r.root.Path), "first", untrusted.Path(name))
	}
	return true
}

// sayLink says that a repository's folder is a link, unless what it leads to is
// looked after.
func (r *runner) sayLink(top fsys.Dir, name string) {
	text, err := top.Readlink(name)
	if err != nil {
		return
	}
	if !filepath.IsAbs(text) {
		text = filepath.Join(r.root.Path, text)
	}
	in, folder := filepath.Split(filepath.Clean(text))
	in = filepath.Clean(in)
	if r.configured(in) || in == r.root.Path || !r.hints.due(name) {
		return
	}
	r.hints.said++
	add := in
	if !r.opts.IsRepo(folder) {
		add = "(none: only a folder of that name is a repository)"
	}
	r.opts.Log.Warn("a repository's folder is a link, and links are not followed: nothing is told of it; add the directory in which what it leads to lies as a root",
		keyRoot, untrusted.Path(r.root.Path), keyFolder, untrusted.Path(name), "leads_to", untrusted.Path(text), "add_root", untrusted.Path(add))
}

// sayDeeper says that a directory in the root is a cache itself.
func (r *runner) sayDeeper(folder string) {
	path := r.root.Path + "/" + folder
	if r.configured(path) || !r.hints.due(folder+"/") {
		return
	}
	r.hints.said++
	r.opts.Log.Warn("a cache lies one level below a root, and nothing is told of what is in it: name it as a root",
		keyRoot, untrusted.Path(r.root.Path), "add_root", untrusted.Path(path))
}

// configured reports whether a path is a root, or will be if it comes.
func (r *runner) configured(path string) bool {
	if r.claimed != nil && r.claimed(path) {
		return true
	}
	for _, pattern := range r.opts.Roots {
		// The form of all was checked.
		if ok, _ := filepath.Match(strings.TrimSuffix(filepath.Clean(pattern), "/"), path); ok {
			return true
		}
	}
	return false
}
