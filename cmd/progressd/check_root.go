package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"progressd/account"
	"progressd/daemon"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/untrusted"
)

// A rootCheck is what a look at a root finds, by somebody who has asked for it:
// unlike the daemon it follows a link to see whether that matters.
type rootCheck struct {
	path  string
	roots []string // the patterns of all
	// network names the file system of a network that it is on.
	network string
	repos   int
	// locals are those that a client has filled by --local-dir, links what
	// would be one or the other and isn't followed.
	locals, links int
	// hints say what to do, at most maxHints of them.
	hints []string
	// unseen is why this user can't look, wrong why it is no root, borrowed why
	// it isn't followed to where it leads.
	unseen, wrong, borrowed error
	owner                   account.User
}

// maxHints is how many hints there are about one root.
const maxHints = 8

func checkRoot(path string, roots []string) *rootCheck {
	r := &rootCheck{path: path, roots: roots, owner: account.Unknown}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		r.refused(err)
	case err != nil:
		r.wrong = err
	case !info.IsDir():
		r.wrong = errors.New("not a directory: a root is one in which models--ORG--NAME lie, or one that hf download fills by --local-dir")
	default:
		r.look()
	}
	return r
}

// refused notes that this user may not look.
func (r *rootCheck) refused(err error) {
	r.unseen = err
	if os.Geteuid() == 0 {
		r.hint("%s is kept even from root, as by FUSE without allow_other, or NFS with root_squash: mount it with allow_other, or have the service run "+
			"in a group that may read it (systemctl edit progressd: SupplementaryGroups=)", r.path)
	}
}

func (r *rootCheck) look() {
	if r.borrowed = r.follow(); r.borrowed != nil {
		return
	}
	if r.staged("") {
		r.locals++
	}
	err := entries(r.path, r.entry)
	if errors.Is(err, fs.ErrPermission) {
		r.refused(err)
	} else {
		r.wrong = err
	}
}

// follow goes where the daemon goes. The error says that it doesn't follow a link.
func (r *rootCheck) follow() error {
	d, _, err := fsys.Follow(fsys.Real{}, r.path)
	var borrowed *fsys.BorrowedError
	if errors.As(err, &borrowed) {
		return err
	}
	if err != nil {
		return nil
	}
	defer d.Close()
	r.network, _ = d.Network() // what can't be found out is shown as local
	if e, err := d.Stat(); err == nil {
		r.owner = account.User(e.UID)
	}
	return nil
}

// entries calls each for what lies in a directory.
func entries(path string, each func(fs.DirEntry)) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		some, err := dir.ReadDir(1000)
		for _, e := range some {
			each(e)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// entry takes what lies in the root.
func (r *rootCheck) entry(e fs.DirEntry) {
	name := e.Name()
	repo, link := daemon.IsRepo(name), e.Type()&fs.ModeSymlink != 0
	switch {
	case repo && link:
		r.links++
		r.hintLink(name)
	case repo && e.IsDir():
		r.repos++
		if r.isLink(name + "/blobs") {
			r.hint("%s is a link and is not followed: mount what it leads to there instead (mount --bind), or move the whole cache and name where it lies as a root", r.path+"/"+name+"/blobs")
		}
	case link && daemon.IsLocal(name):
		if info, err := os.Stat(filepath.Join(r.path, name, hfcache.LocalStage)); err == nil && info.IsDir() {
			r.links++
			r.hint("%s is a link and is not followed: name what it leads to as a root", r.path+"/"+name)
		}
	case e.IsDir() && !repo:
		r.directory(name)
	}
}

// directory takes one that lies in the root and is no repository.
func (r *rootCheck) directory(name string) {
	if daemon.IsLocal(name) && r.staged(name) {
		r.locals++
	}
	deeper := 0
	_ = entries(filepath.Join(r.path, name), func(e fs.DirEntry) { // what can't be read is none of ours
		rel := name + "/" + e.Name()
		if e.IsDir() && daemon.IsRepo(e.Name()) {
			deeper++
		} else if e.IsDir() && daemon.IsLocal(rel) && r.staged(rel) {
			r.locals++
		}
	})
	if path := r.path + "/" + name; deeper > 0 && !r.configured(path) {
		r.hint("%s is a cache, one level below a root: name it as a root, or nothing is told of what is in it", path)
	}
}

// staged reports whether a client has filled a directory by --local-dir.
func (r *rootCheck) staged(rel string) bool {
	at := rel
	for _, name := range strings.Split(hfcache.LocalStage, "/") {
		at = filepath.Join(at, name)
		info, err := os.Lstat(filepath.Join(r.path, at))
		if err != nil {
			return false
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if at != ".cache" { // of a root that is a home, which many have as a link
				r.hint("%s is a link and is not followed: make it a directory, or mount what it leads to there (mount --bind)", filepath.Join(r.path, at))
			}
			return false
		}
		if !info.IsDir() {
			return false
		}
	}
	return true
}

// hintLink says which root to add for a repository's folder that is a link.
func (r *rootCheck) hintLink(name string) {
	path := r.path + "/" + name
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		r.hint("%s is a link that leads nowhere", path)
		return
	}
	in, folder := filepath.Dir(target), filepath.Base(target)
	switch {
	case in == r.path || r.configured(in):
	case daemon.IsRepo(folder):
		r.hint("%s is a link and is not followed: name %q as a root", path, in)
	default:
		r.hint("%s is a link and is not followed: a folder of that name has to lie in a root itself", path)
	}
}

func (r *rootCheck) configured(path string) bool {
	for _, pattern := range r.roots {
		if ok, _ := filepath.Match(filepath.Clean(pattern), path); ok { // its form was checked with the configuration
			return true
		}
	}
	return false
}

func (r *rootCheck) isLink(rel string) bool {
	info, err := os.Lstat(filepath.Join(r.path, rel))
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// hint notes what to do about a path.
func (r *rootCheck) hint(text string, path string, more ...any) {
	if len(r.hints) < maxHints {
		r.hints = append(r.hints, fmt.Sprintf(text, append([]any{untrusted.Name(path)}, more...)...))
	}
}

// says is a line about the root.
func (r *rootCheck) says() string {
	if err := errors.Join(r.wrong, r.unseen); err != nil {
		text := untrusted.Name(strings.TrimPrefix(err.Error(), "stat "+r.path+": "))
		if r.unseen != nil {
			text += " (of this user: the service may be allowed to look)"
		}
		return text
	}
	if r.borrowed != nil {
		return untrusted.Name(r.borrowed.Error())
	}
	text := fmt.Sprintf("%d repositories", r.repos)
	if r.locals > 0 {
		text += fmt.Sprintf(", %d filled by --local-dir", r.locals)
	}
	if r.links > 0 {
		text += fmt.Sprintf(", %d more that are links and not followed", r.links)
	}
	if r.network != "" {
		text += "; on " + r.network + ": polled"
	}
	return text
}
