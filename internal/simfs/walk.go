package simfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links the kernel follows on one way.
const maxLinks = 40

// A walk is one way from a directory to a file.
type walk struct {
	fs *FS
	// follow: the last element may be a link.
	follow bool
	// through: no trouble is in the way.
	through bool
	// as is for whom it is gone; nil is a program that may do everything.
	as    *Caller
	links int
}

// node is the inode at the end of the path, seen from a directory.
func (w *walk) node(from *inode, path string) (*inode, error) {
	at := from
	if strings.HasPrefix(path, "/") {
		at = w.fs.root
	}
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		next, err := w.step(at, name, strings.Trim(path, "/") == "")
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, w.pass(at)
}

func (w *walk) pass(n *inode) error {
	if w.through {
		return nil
	}
	return w.fs.pass(n)
}

// step goes to one name in a directory.
func (w *walk) step(at *inode, name string, last bool) (*inode, error) { //nolint:revive // links matter less before the last
	if err := w.pass(at); err != nil {
		return nil, err
	}
	if !at.dir() {
		return nil, unix.ENOTDIR
	}
	switch {
	case name == "" || name == ".":
		return at, nil
	case !w.may(at, 0o1):
		return nil, unix.EACCES
	case name == "..":
		if at == at.vol.root && at.vol.at != nil {
			return at.vol.at.parent, nil
		}
		return at.parent, nil
	case len(name) > 255:
		return nil, unix.ENAMETOOLONG
	}
	e := at.byName[name]
	if e == nil {
		return nil, unix.ENOENT
	}
	next := e.node
	if next.kind() == unix.S_IFLNK && (!last || w.follow) {
		w.links++
		if w.links > maxLinks {
			return nil, unix.ELOOP
		}
		inner := walk{fs: w.fs, follow: true, as: w.as, links: w.links, through: w.through}
		target, err := inner.node(at, next.link)
		w.links = inner.links
		return target, err
	}
	return under(next), nil
}

// under is what is mounted on a directory, or itself.
func under(n *inode) *inode {
	for n.mounted != nil {
		n = n.mounted.root
	}
	return n
}

// may reports whether a bit of others', or the owner's, rights is set.
func (w *walk) may(n *inode, bit uint32) bool {
	if w.as == nil || w.as.Override {
		return true
	}
	if w.as.UID == n.uid {
		bit <<= 6
	}
	return n.mode&bit != 0
}

// parent is the directory of a path and its last name, for those who change
// it.
func (f *FS) parent(p string) (*inode, string, error) {
	dir, name := split(p)
	if name == "" || name == "." || name == ".." {
		return nil, "", unix.EINVAL
	}
	w := walk{fs: f, follow: true}
	n, err := w.node(f.root, dir)
	if err == nil && !n.dir() {
		err = unix.ENOTDIR
	}
	return n, name, err
}

// find is the entry of a path; the last element may be a link, and then is
// what is found.
func (f *FS) find(p string) (*entry, error) {
	dir, name, err := f.parent(p)
	if err != nil {
		return nil, err
	}
	if e := dir.byName[name]; e != nil {
		return e, nil
	}
	return nil, unix.ENOENT
}
