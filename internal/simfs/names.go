package simfs

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Mkdir makes a directory.
func (f *FS) Mkdir(p string, mode uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mkdir(p, mode)
}

func (f *FS) mkdir(p string, mode uint32) error {
	dir, name, err := f.parent(p)
	if err != nil {
		return err
	}
	if dir.byName[name] != nil {
		return unix.EEXIST
	}
	e := &entry{name: name, node: f.newInode(dir.vol, unix.S_IFDIR|mode)}
	f.attach(dir, e)
	f.emit(e, created)
	return nil
}

// MkdirAll makes a directory and those above it, and is content with what is
// there.
func (f *FS) MkdirAll(p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 1; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		if err := f.mkdir(p[:i], 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	w := walk{fs: f, follow: true}
	n, err := w.node(f.root, p)
	if err == nil && !n.dir() {
		err = unix.ENOTDIR
	}
	return err
}

// Symlink makes a link with that text.
func (f *FS) Symlink(text, p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name, err := f.parent(p)
	switch {
	case err != nil:
		return err
	case dir.byName[name] != nil:
		return unix.EEXIST
	case dir.vol.traits.NoSymlinks:
		return unix.EPERM
	}
	e := &entry{name: name, node: f.newInode(dir.vol, unix.S_IFLNK|0o777)}
	e.node.link = text
	f.attach(dir, e)
	f.emit(e, created)
	return nil
}

// Link gives a file one more name.
func (f *FS) Link(old, p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, err := f.find(old)
	if err != nil {
		return err
	}
	dir, name, err := f.parent(p)
	switch {
	case err != nil:
		return err
	case dir.byName[name] != nil:
		return unix.EEXIST
	case from.node.dir():
		return unix.EPERM
	case dir.vol != from.node.vol:
		return unix.EXDEV
	}
	e := &entry{name: name, node: from.node}
	f.attach(dir, e)
	f.changed(e.node)
	f.recount(e.node)
	f.emit(e, created)
	return nil
}

// Remove takes a name away, of a directory if it is empty.
func (f *FS) Remove(p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(p)
	if err != nil {
		return err
	}
	return f.remove(e)
}

func (f *FS) remove(e *entry) error {
	switch {
	case e.node.mounted != nil:
		return unix.EBUSY
	case e.node.dir() && len(e.node.byName) > 0:
		return unix.ENOTEMPTY
	}
	f.recount(e.node)
	f.emit(e, removed)
	f.detach(e)
	f.changed(e.node)
	f.forget(e.node)
	return nil
}

// forget is done when an inode has lost a name: a directory has no other.
func (f *FS) forget(n *inode) {
	if n.dir() {
		n.nlink = 0
	}
	if n.nlink == 0 {
		f.emitSelf(n, removed)
		f.release(n)
	}
}

// RemoveAll takes away all that lies at a path; that there is nothing is no
// error. between is called, with no lock held, after each name: rm -rf takes its time.
func (f *FS) RemoveAll(p string, between func()) error {
	names, err := f.ReadDir(p)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err == nil {
		for _, name := range names {
			if err := f.RemoveAll(p+"/"+name, between); err != nil {
				return err
			}
		}
	} else if !errors.Is(err, unix.ENOTDIR) {
		return err
	}
	err = f.Remove(p)
	if between != nil {
		between()
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// Rename moves a name, in the place of what is there.
func (f *FS) Rename(old, p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, former, err := f.parent(old)
	if err != nil {
		return err
	}
	dir, name, err := f.parent(p)
	if err != nil {
		return err
	}
	e, there := from.byName[former], dir.byName[name]
	if e == nil {
		return unix.ENOENT
	}
	if err := f.movable(e, dir, there); err != nil {
		return err
	}
	if there != nil && there.node == e.node {
		return nil
	}
	f.emit(e, movedAway)
	if there != nil {
		f.detach(there)
	}
	f.detach(e)
	e.name = name
	f.attach(dir, e)
	f.changed(e.node)
	f.emit(e, movedHere)
	if there != nil {
		f.emitSelf(there.node, attributes)
	}
	f.emitSelf(e.node, movedAway)
	if there != nil {
		f.changed(there.node)
		f.forget(there.node)
	}
	return nil
}

// recount tells that a file has a name more or less.
func (f *FS) recount(n *inode) {
	if !n.dir() {
		f.emitSelf(n, attributes)
	}
}

// movable says why an entry can't be moved into a directory in the place of
// what is there.
func (f *FS) movable(e *entry, dir *inode, there *entry) error {
	if e.node.vol != dir.vol {
		return unix.EXDEV
	}
	if above(e.node, dir) {
		return unix.EINVAL
	}
	switch {
	case e.node.mounted != nil:
		return unix.EBUSY
	case there == nil:
		return nil
	case above(there.node, e.dir):
		return unix.ENOTEMPTY
	case there.node.mounted != nil:
		return unix.EBUSY
	case there.node.dir() && !e.node.dir():
		return unix.EISDIR
	case !there.node.dir() && e.node.dir():
		return unix.ENOTDIR
	case there.node.dir() && len(there.node.byName) > 0 && there != e:
		return unix.ENOTEMPTY
	}
	return nil
}

// above reports whether an inode is a directory or lies above it.
func above(n, dir *inode) bool {
	for ; dir != n; dir = dir.parent {
		if dir.parent == dir {
			return false
		}
	}
	return true
}

// Chmod sets the rights of a file, at the end of a link if it is one.
func (f *FS) Chmod(p string, mode uint32) error {
	for range maxLinks {
		text, err := f.Readlink(p)
		if err != nil {
			return f.on(p, func(n *inode) { n.mode = n.kind() | mode })
		}
		if !path.IsAbs(text) {
			text = path.Dir(path.Clean(p)) + "/" + text // ".." may lead through a link
		}
		p = text
	}
	return unix.ELOOP
}

// Chown sets the owner of a file.
func (f *FS) Chown(p string, uid uint32) error {
	return f.on(p, func(n *inode) { n.uid = uid })
}

// SetModified sets the time of the last change of the content, in nanoseconds
// since 1970, as touch and rsync -a do.
func (f *FS) SetModified(p string, at int64) error {
	return f.on(p, func(n *inode) { n.mtime = at })
}

func (f *FS) on(p string, do func(*inode)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(p)
	if err != nil {
		return err
	}
	n := under(e.node)
	do(n)
	f.changed(n)
	f.emit(e, attributes)
	f.emitSelf(n, attributes)
	return nil
}

// Lstat fills st with what is at a path, and follows a link above it only.
func (f *FS) Lstat(p string, st *unix.Stat_t) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := walk{fs: f}
	n, err := w.node(f.root, p)
	if err != nil {
		return err
	}
	n.stat(st)
	return nil
}

// Has reports whether something is at a path, at the end of a link if it is
// one.
func (f *FS) Has(p string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := walk{fs: f, follow: true}
	_, err := w.node(f.root, p)
	return err == nil
}

// Readlink is the text of a link.
func (f *FS) Readlink(p string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(p)
	if err != nil {
		return "", err
	}
	if e.node.kind() != unix.S_IFLNK {
		return "", unix.EINVAL
	}
	return e.node.link, nil
}

// ReadDir is the names in a directory, in its order.
func (f *FS) ReadDir(p string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := walk{fs: f}
	n, err := w.node(f.root, strings.TrimSuffix(p, "/"))
	if err != nil {
		return nil, err
	}
	if !n.dir() {
		return nil, unix.ENOTDIR
	}
	var names []string
	for _, s := range n.live() {
		names = append(names, s.name)
	}
	return names, nil
}

// ReadFile is the kept content of a file.
func (f *FS) ReadFile(p string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := walk{fs: f, follow: true}
	n, err := w.node(f.root, p)
	if err != nil {
		return "", err
	}
	return string(n.data), nil
}
