package simfs

import (
	"golang.org/x/sys/unix"
)

// Mount lays a volume over the directory at a path.
func (f *FS) Mount(v *Volume, p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := walk{fs: f, follow: true}
	n, err := w.node(f.root, p)
	switch {
	case err != nil:
		return err
	case !n.dir():
		return unix.ENOTDIR
	case v.at != nil || n == n.vol.root:
		return unix.EBUSY
	}
	n.mounted, v.at = v, n
	return nil
}

// Unmount takes the volume away that is mounted at a path. It is busy while
// something of it is open.
func (f *FS) Unmount(p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(p)
	if err != nil {
		return err
	}
	v := e.node.mounted
	if v == nil {
		return unix.EINVAL
	}
	for _, d := range f.fds {
		if d.node.vol == v {
			return unix.EBUSY
		}
	}
	e.node.mounted, v.at = nil, nil
	f.unwatch(v)
	return nil
}

// Move says that what is in the volume has other inode numbers from now on, as
// after a restore from a backup: nothing but the names is the same.
func (f *FS) Move(v *Volume) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renumber(v.root)
}

func (f *FS) renumber(n *inode) {
	n.vol.lastIno++
	n.ino = n.vol.lastIno
	for _, s := range n.live() {
		f.renumber(s.node)
	}
}
