package simfs

import (
	"golang.org/x/sys/unix"
)

// A Witness sees what is there whatever is in the way of others.
type Witness struct{ fs *FS }

// Witness is for who has to know the truth.
func (f *FS) Witness() Witness { return Witness{f} }

func (w Witness) at(p string) (*inode, error) {
	walk := walk{fs: w.fs, through: true}
	return walk.node(w.fs.root, p)
}

// Lstat fills st with what is at a path.
func (w Witness) Lstat(p string, st *unix.Stat_t) error {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	n, err := w.at(p)
	if err == nil {
		n.stat(st)
	}
	return err
}

// Has reports whether something is at a path.
func (w Witness) Has(p string) bool {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	_, err := w.at(p)
	return err == nil
}

// Readlink is the text of a link, empty if it is none.
func (w Witness) Readlink(p string) string {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	n, err := w.at(p)
	if err != nil {
		return ""
	}
	return n.link
}

// Names are those in a directory, in its order; none if it is no directory.
func (w Witness) Names(p string) []string {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	n, err := w.at(p)
	if err != nil || !n.dir() {
		return nil
	}
	var names []string
	for _, s := range n.live() {
		names = append(names, s.name)
	}
	return names
}
