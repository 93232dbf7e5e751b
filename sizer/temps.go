package sizer

import (
	"strings"

	"progressd/fsys"
	"progressd/hfcache"
)

// huggingface_hub <= 0.22 writes a blob to tmpXXXXXXXX in the root and moves
// it into its repository when it is finished. Whose it is, only the locks
// tell: that of a blob that is neither there nor begun, a bare one. So a
// repository claims as many new files as it holds bare locks; where there are
// more, no one can tell, and they count when they are in their place.

// listTemps brings the names up to date. Most roots have none.
func (p *pass) listTemps() {
	t := &p.root.temps
	e, err := p.top.Stat()
	if err != nil || !t.mark.stale(e) {
		return
	}
	root, err := p.top.Sub(".")
	if err != nil {
		return
	}
	defer root.Close()
	former := t.found
	t.mark, t.found, t.mayBeRust = p.mark(e), make(map[string]*rootTemp), false
	_ = root.Names(func(name string) bool {
		t.mayBeRust = t.mayBeRust || name == hfcache.RustTempDir
		if !hfcache.IsRootTemp(name) {
			return true
		}
		name = strings.Clone(name)
		// Clients also probe with directories of such names.
		if e, err := root.Lstat(name); err == nil && e.Regular() {
			if t.found[name] = former[name]; former[name] == nil {
				t.found[name] = &rootTemp{born: bornOr(p.root.clock.Ours(root.Born(name)), e), seen: p.now, partial: partial{
					ino: e.Inode, size: e.Size, bytes: p.root.fs.written(e), mtime: e.Mtime,
				}}
			}
		}
		return len(t.found) < maxTemps
	})
	t.mayBeRust = t.mayBeRust || len(t.found) == maxTemps // more names weren't read
	for name, gone := range former {
		if t.found[name] == nil {
			p.root.moved(gone)
		}
	}
	if len(t.found) == 0 {
		t.unlocked = nil
	}
}

// mayStage: there are such files at all.
func (p *pass) mayStage() bool {
	if p.repo.tree != nil {
		return false // its clients write beneath it
	}
	p.listTemps()
	p.listRust()
	return len(p.root.temps.found) > 0 || len(p.root.temps.rust) > 0
}

// moved: the file is in its place now, or gone. Its bytes must not arrive a
// second time, and not be missed until its blob is found, at the next look.
func (r *Root) moved(gone *rootTemp) {
	if rp := r.repos[gone.owner]; rp != nil && rp.play != nil {
		rp.play.tempDebt = AddSaturating(rp.play.tempDebt, gone.base)
		rp.play.underway, rp.play.landingLooks = AddSaturating(rp.play.underway, gone.base), r.landing()
	}
}

func (r *Root) landing() int {
	if r.opts.Vague {
		return landsOnAServer
	}
	return landsWithin
}

// measureTemp is measure for a file that may not have been looked at for long: what
// came meanwhile came when it was written to last.
func (p *pass) measureTemp(t *rootTemp, e fsys.Entry) {
	before := t.partial.seen
	t.measure(p.numbered(e, &t.partial), p.root.fs.written(e), p.now)
	if t.grown.Equal(p.now) && p.now.Sub(later(before, t.seen)) >= grace && e.Mtime.Before(p.now) {
		t.grown = e.Mtime
	}
}

// releaseTemps gives up the claims that are older than now: those of a dead
// attempt, or of a play that is over.
func (p *pass) releaseTemps() {
	for t := range p.root.temps.all() {
		if t.owner == p.repo.folder && t.claimed.Before(p.now) {
			p.release(t)
		}
	}
}

// noticeLanded finds out which of the repository's files have left the root
// since this look measured them: it may have found their blobs, and must not
// count them twice.
func (p *pass) noticeLanded() {
	for _, found := range []map[string]*rootTemp{p.root.temps.found, p.root.temps.rust} {
		for path, t := range found {
			if t.owner != p.repo.folder {
				continue
			}
			if e, err := p.top.LstatPath(path); err != nil || p.numbered(e, &t.partial).Inode != t.ino {
				delete(found, path)
				p.root.moved(t)
			}
		}
	}
}

// countTemps gives the bytes in the repository's temporary files and what of
// them is new.
func (p *pass) countTemps() (staged, fresh int64) {
	staged = p.repo.play.inLanding()
	for t := range p.root.temps.all() {
		if t.owner != p.repo.folder {
			continue
		}
		staged = AddSaturating(staged, t.bytes)
		fresh = AddSaturating(fresh, max(0, t.bytes-t.base))
		t.base = t.bytes
	}
	return staged, fresh
}

// listRust brings the names of Rust's files up to date.
func (p *pass) listRust() {
	t := &p.root.temps
	if !t.mayBeRust && len(t.rust) == 0 {
		return
	}
	dir, err := p.top.Sub(hfcache.RustTempDir)
	if err != nil {
		for _, gone := range t.rust {
			p.root.moved(gone)
		}
		t.rustMark, t.rust = mark{}, nil
		return
	}
	defer dir.Close()
	e, err := dir.Stat()
	if err != nil || !t.rustMark.stale(e) {
		return
	}
	former := t.rust
	t.rustMark, t.rust = p.mark(e), make(map[string]*rootTemp)
	_ = dir.Names(func(name string) bool {
		if !hfcache.IsRustTemp(name) {
			return true
		}
		path := hfcache.RustTempDir + "/" + strings.Clone(name)
		if known := former[path]; known != nil {
			t.rust[path] = known
		} else if e, err := dir.Lstat(name); err == nil && e.Regular() {
			t.rust[path] = p.newRust(dir, name, e)
		}
		return len(t.rust) < maxTemps
	})
	for path, gone := range former {
		if t.rust[path] == nil {
			p.root.moved(gone)
		}
	}
}

// newRust takes up a file: what lay there before the watch began isn't new.
func (p *pass) newRust(dir fsys.Dir, name string, e fsys.Entry) *rootTemp {
	t := &rootTemp{born: bornOr(p.root.clock.Ours(dir.Born(name)), e), seen: p.now, partial: partial{
		ino: e.Inode, size: e.Size, bytes: p.root.fs.written(e), mtime: e.Mtime,
	}}
	if t.born.Before(p.root.opts.Opened) {
		t.base = t.bytes
	} else if t.grown = p.now; t.mtime.Before(p.now) { // it may long be over, and nobody looked
		t.grown = t.mtime
	}
	return t
}

// anyUnclaimed reports whether a file has come lately that nobody has claimed.
func (p *pass) anyUnclaimed(temps map[string]*rootTemp) bool {
	for _, t := range temps {
		if t.owner == "" && p.now.Sub(t.seen) < grace {
			return true
		}
	}
	return false
}

// release gives a file up: it is this repository's again if it grows.
func (p *pass) release(t *rootTemp) { release(t, p.now) }

// tempAt is a file of the root as it is now, if there is one.
func (p *pass) tempAt(path string) (fsys.Entry, bool) {
	e, err := p.top.LstatPath(path)
	return e, err == nil && e.Regular()
}
