package sizer

import "progressd/hfcache"

// huggingface_hub <= 0.22 writes a blob to tmpXXXXXXXX in the root and moves
// it into its repository when it is finished. Whose it is, only the lock
// tells: that of a blob that is neither there nor begun.

// temps remembers the names of such files in the root.
type temps struct {
	mark  mark
	names []string
	// owner is the folder whose they are; while two could be it, none is.
	owner string
}

// maxTemps bounds how many are looked at.
const maxTemps = 256

func (p *pass) mayStage() bool {
	t := &p.root.temps
	e, err := p.top.stat()
	if err != nil || !t.mark.stale(e) {
		return len(t.names) > 0
	}
	root, err := p.top.sub(".")
	if err != nil {
		return false
	}
	defer root.close()
	t.mark, t.names = markOf(e, p.now), nil
	_ = root.names(func(name string) bool {
		if !hfcache.IsRootTemp(name) {
			return true
		}
		// Clients also probe with directories of such names.
		if e, err := root.lstat(name); err == nil && e.regular() {
			t.names = append(t.names, name)
		}
		return len(t.names) < maxTemps
	})
	return len(t.names) > 0
}

// stageTemps counts the bare locks and claims the root's temporary files for
// this repository if no other can own them.
func (p *pass) stageTemps() {
	t := &p.root.temps
	bare := 0
	if p.mayStage() {
		bare = p.bareLocks()
	}
	if bare == 0 {
		if t.owner == p.repo.folder {
			t.owner = ""
		}
		p.stage(nil)
		return
	}
	if t.owner == "" {
		t.owner = p.repo.folder
	}
	if t.owner != p.repo.folder || p.sharedTemps() {
		p.stage(nil)
		return
	}
	p.held.bare = bare
	if p.repo.play != nil {
		p.stage(t.names)
	}
}

// sharedTemps: another repository of this root waits for such files too.
func (p *pass) sharedTemps() bool {
	for folder, other := range p.root.repos {
		if folder != p.repo.folder && other.play != nil && len(other.play.temps) > 0 {
			return true
		}
	}
	return false
}

func (p *pass) bareLocks() int {
	partial := make(map[string]bool)
	for _, part := range p.repo.partials {
		partial[part.Etag] = true
	}
	bare := 0
	for etag := range p.held.etags {
		if partial[etag] {
			continue
		}
		if _, err := p.top.lstatPath(p.repo.folder + "/blobs/" + etag); err != nil {
			bare++
		}
	}
	return bare
}

// stage brings the play's temporary files up to date. One that is gone was
// moved to its blob, or removed: its bytes are not counted as arriving twice.
func (p *pass) stage(names []string) {
	pl := p.repo.play
	if pl == nil {
		return
	}
	present := make(map[string]bool)
	for _, name := range names {
		e, err := p.top.lstat(name)
		if err != nil || !e.regular() {
			continue
		}
		part := pl.temps[name]
		if part == nil {
			part = &partial{ino: e.ino, fresh: pl.looked}
			if !part.fresh { // perhaps a leftover: growth will tell
				part.size, part.bytes = e.size, p.root.fs.written(e)
			}
			pl.temps[name] = part
		}
		present[name] = true
		part.measure(e, p.root.fs.written(e), p.now)
		part.live = part.fresh || !part.grown.IsZero()
	}
	for name, part := range pl.temps {
		if !present[name] {
			delete(pl.temps, name)
			pl.tempDebt = addSaturating(pl.tempDebt, part.base)
		}
	}
}

// countTemps gives the bytes in temporary files and what of them is new. The
// base of such a partial is what was counted before.
func (pl *play) countTemps() (staged, fresh int64) {
	for _, part := range pl.temps {
		if !part.live {
			continue
		}
		staged = addSaturating(staged, part.bytes)
		if part.bytes > part.base {
			fresh = addSaturating(fresh, part.bytes-part.base)
		}
		part.base = part.bytes
	}
	return staged, fresh
}
