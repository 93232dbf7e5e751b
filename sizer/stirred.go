package sizer

import (
	"maps"
	"slices"
	"time"
)

// Stirred gives the folders of the repositories for which a client may have
// begun to write a file in the root itself: nothing in a repository at rest
// shows that. more is false where there is no such file, and none will be before a
// name comes to the root. Whose locks are held is asked for a while, as long as
// nobody has claimed the file.
func (r *Root) Stirred(now time.Time) (stirred []string, more bool) {
	defer r.opts.FS.Raise()()
	top, err := r.opts.open()
	if err != nil {
		return nil, true
	}
	defer top.Close()
	e, err := top.Stat()
	if err != nil || e.Dev != r.opts.Dev || e.Inode != r.opts.Inode && !r.opts.Vague {
		return nil, true
	}
	r.fs.learn(top, e.Dev)
	p := &pass{root: r, now: r.clock.Look(now), top: top}
	p.listTemps()
	p.listRust()
	folders := make(map[string]bool)
	if p.anyUnclaimed(r.temps.rust) {
		if folder := p.sole(); folder != "" {
			folders[folder] = true
		}
	}
	if p.anyUnclaimed(r.temps.found) {
		table, err := r.opts.Procs.Locks(now, 0)
		if err == nil {
			p.newLockSearch(table, func(folder, _ string, _ int) bool {
				folders[folder] = true
				return true
			}).run()
		}
	}
	return slices.Sorted(maps.Keys(folders)), len(r.temps.found) > 0 || r.temps.mayBeRust || len(r.temps.rust) > 0
}
