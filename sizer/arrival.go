package sizer

import (
	"time"

	"progressd/fsys"
)

// arrive finds out since when a repository that is looked at for the first time,
// or anew after a rest, may have been downloaded to: what is older was there
// before, or was moved there with it.
func (p *pass) arrive() {
	rp := p.repo
	since := p.root.came[rp.folder]
	delete(p.root.came, rp.folder)
	if since.After(p.now) {
		since = time.Time{} // the clock was set back meanwhile
	}
	// To be renamed changes the time of a directory's inode alone, as it does on
	// each of Linux's file systems (ext4, xfs, btrfs, tmpfs: seen), and so does the
	// end of a copy with its times. What came with it is no younger.
	if e, err := p.top.LstatPath(rp.folder); err == nil && e.IsDir() && e.Ctime.After(e.Mtime) {
		since = later(since, e.Ctime)
	}
	if since.IsZero() {
		return
	}
	// Where times are of whole seconds, or of even ones as on FAT, what was made since then
	// may look older.
	if e, err := p.top.LstatPath(rp.folder); err == nil && e.Coarse() {
		since = since.Truncate(fsys.Coarse).Add(-1)
	}
	rp.baseline, rp.watchedSince = later(rp.baseline, since), later(rp.watchedSince, since)
	if rp.baseline.After(p.root.baselines[rp.folder]) {
		p.root.baselines[rp.folder] = rp.baseline
	}
}

// maxCame bounds how many folders may have come that nobody has looked at.
const maxCame = 4096

// Came says that a folder came while its root was watched, which was seen last
// without it at that time: what is older was not fetched there. It is called
// before the first look at it.
func (r *Root) Came(folder string, absent time.Time) {
	if len(r.came) < maxCame { // or they come and go faster than they are looked at
		r.came[folder] = absent
	}
}

// drop forgets a repository that is gone, and what it had claimed in the root.
func (r *Root) drop(rp *repo, now time.Time) {
	delete(r.repos, rp.folder)
	delete(r.baselines, rp.folder)
	delete(r.rested, rp.folder)
	for t := range r.temps.all() {
		if t.owner == rp.folder {
			release(t, now)
			t.forsaken = true
		}
	}
}
