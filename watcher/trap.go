package watcher

import (
	"io/fs"
	"path/filepath"
	"strings"

	"progressd/account"
	"progressd/fsys"
)

// setTrap watches for a root that isn't there yet, so that the very first
// download on a machine is seen at once: in its parent, or in the parent of
// that, if they are there. Patterns with wildcards are polled.
func (f *finder) setTrap(seen []sighting) {
	if f.notify == nil {
		return
	}
	path, payer := "", account.Unknown
	if len(seen) == 0 && !strings.ContainsAny(f.pattern, `*?[\`) {
		path, payer = trapFor(f.fs, filepath.Clean(f.pattern))
	}
	same := path == f.trap.path && (path == "" || payer == f.trap.at.mailbox.owner)
	if same || path != "" && !f.notify.hears(payer) {
		return
	}
	f.untrap()
	if path != "" {
		box := newMailbox(payer)
		box.wake = f.box.wake
		f.trap = trap{path, &repo{mailbox: box}}
		f.notify.ask(request{verb: arm, repo: f.trap.at, dir: filepath.Dir(path), key: path, seq: 1})
	}
}

// untrap ends the watch for a root that isn't there yet, if there is one.
func (f *finder) untrap() {
	if f.trap.path != "" {
		f.notify.ask(request{verb: disarm, repo: f.trap.at, dir: filepath.Dir(f.trap.path), key: f.trap.path})
	}
	f.trap = trap{}
}

// heed hears what the trap has told. Where too much was told in the directory in which a
// root is waited for, it is polled: at the next search it may be watched again.
func (f *finder) heed() {
	if f.trap.path == "" {
		return
	}
	if messages, _ := f.trap.at.mailbox.take(); messages[f.trap.at].stormy || messages[f.trap.at].refused != 0 {
		f.untrap()
	}
}

// trapFor gives the path that has to appear next for path to appear, if the
// directory in which it will is near and local, and who pays for the watch on that.
// It is free of links.
func trapFor(kernel fsys.Kernel, path string) (next string, payer account.User) {
	defer kernel.Raise()()
	for range 2 {
		dir := filepath.Dir(path)
		if d, resolved, err := fsys.Follow(kernel, dir); err == nil {
			e, err := watchable(d)
			d.Close()
			if err != nil {
				break
			}
			return filepath.Join(resolved, filepath.Base(path)), payerOf(e)
		}
		path = dir
	}
	return "", account.Unknown
}

// watchable is how a directory looks of whose names the kernel tells.
func watchable(d fsys.Dir) (fsys.Entry, error) {
	kind, err := d.Network()
	if err != nil {
		return fsys.Entry{}, err
	}
	if kind != "" {
		return fsys.Entry{}, fs.ErrInvalid
	}
	return d.Stat()
}
