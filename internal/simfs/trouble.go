package simfs

import (
	"golang.org/x/sys/unix"
)

// A trouble is what becomes of those who come to an inode or a volume.
type trouble struct {
	err  unix.Errno
	hang chan struct{} // closed when it is over
}

// pass is done on the way through an inode: it fails, or waits, if there is
// trouble. The lock is not held while it waits.
func (f *FS) pass(n *inode) error {
	for {
		t := n.trouble
		if t == nil {
			t = n.vol.trouble
		}
		switch {
		case t == nil:
			return nil
		case t.hang == nil:
			return t.err
		}
		f.mu.Unlock()
		<-t.hang
		f.mu.Lock()
		if n.trouble == t {
			n.trouble = nil
		}
		if n.vol.trouble == t {
			n.vol.trouble = nil
		}
	}
}

// Break has every way to what is at a path, and through it, fail with an
// error, for the daemon and for programs; 0 mends it.
func (f *FS) Break(p string, err unix.Errno) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, failed := f.find(p)
	if failed != nil {
		return failed
	}
	n := under(e.node)
	if n.trouble = nil; err != 0 {
		n.trouble = &trouble{err: err}
	}
	return nil
}

// BreakVolume has everything on the volume fail with an error; 0 mends it.
func (f *FS) BreakVolume(v *Volume, err unix.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.trouble = nil; err != 0 {
		v.trouble = &trouble{err: err}
	}
}

// HangVolume has everything on the volume wait until what it returns is called.
func (f *FS) HangVolume(v *Volume) (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hang := make(chan struct{})
	v.trouble = &trouble{hang: hang}
	return func() { close(hang) }
}
