package sizer

import (
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// Rust's hf-hub up to 0.3 writes a blob to tmp/<7 alnum> in the root and moves
// it to its repository when it is finished. No lock says whose it is, so it is
// counted before that only where the root holds a single repository. Elsewhere
// it keeps those from being called complete that may be waiting for it.

// strangers are such files, and those of other clients in the root, that nobody
// claims.
type strangers struct {
	seen, left int
	growing    bool
	// since is from when on what was written to may be of this play, zero until it is asked for.
	since time.Time
}

// listLoose brings their names up to date.
func (p *pass) listLoose() {
	t := &p.root.temps
	if !t.mayLoose && len(t.loose) == 0 {
		return
	}
	dir, err := p.top.Sub(hfcache.RustTempDir)
	if err != nil {
		for _, gone := range t.loose {
			p.root.moved(gone)
		}
		t.looseMark, t.loose = mark{}, nil
		return
	}
	defer dir.Close()
	e, err := dir.Stat()
	if err != nil || !t.looseMark.stale(e) {
		return
	}
	former := t.loose
	t.looseMark, t.loose = p.mark(e), make(map[string]*temp)
	_ = dir.Names(func(name string) bool {
		if !hfcache.IsRustTemp(name) {
			return true
		}
		path := hfcache.RustTempDir + "/" + strings.Clone(name)
		if known := former[path]; known != nil {
			t.loose[path] = known
		} else if e, err := dir.Lstat(name); err == nil && e.Regular() {
			t.loose[path] = p.newLoose(dir, name, e)
		}
		return len(t.loose) < maxTemps
	})
	for path, gone := range former {
		if t.loose[path] == nil {
			p.root.moved(gone)
		}
	}
}

// newLoose takes up a file: what lay there before the watch began isn't new.
func (p *pass) newLoose(dir fsys.Dir, name string, e fsys.Entry) *temp {
	t := &temp{born: bornOr(p.root.clock.Ours(dir.Born(name)), e), seen: p.now, partial: partial{
		ino: e.Inode, size: e.Size, bytes: p.root.fs.written(e), mtime: e.Mtime,
	}}
	if t.born.Before(p.root.opts.Opened) {
		t.base = t.bytes
	} else if t.grown = p.now; t.mtime.Before(p.now) { // it may long be over, and nobody looked
		t.grown = t.mtime
	}
	return t
}

// stageLoose measures them and claims those that only this repository can own.
func (p *pass) stageLoose() {
	if p.repo.tree != nil {
		return // its clients write beneath it
	}
	for path, t := range p.root.temps.loose {
		if t.another(p.repo) {
			p.strangers.growing = p.strangers.growing || p.writtenOn(path, t)
			continue
		}
		e, err := p.top.LstatPath(path)
		if err != nil || !e.Regular() {
			delete(p.root.temps.loose, path)
			p.root.moved(t)
			continue
		}
		p.measureTemp(t, e)
		p.claimLoose(t)
	}
	p.supersede()
}

func (p *pass) claimLoose(t *temp) {
	old := t.mtime.Before(p.root.clock.Ours(p.repo.born)) // of one that was there before
	if t.owner == "" && !old && (t.growing(p.now) || p.resumes(&t.partial)) && p.root.fs.blocks && !p.repo.play.writesElsewhere() {
		alone := p.sole() == p.repo.folder
		if alone && !t.contested { // else it may be of one that is removed
			t.owner, t.claimed, t.live = p.repo.folder, p.now, true
		}
		t.contested = t.contested || !alone
	}
	if t.owner != "" {
		p.held.temps++
		return
	}
	p.meet(t)
}

// growing: it was seen to, lately and since somebody claimed it last.
func (t *temp) growing(now time.Time) bool {
	return t.grown.After(t.claimed) && now.Sub(t.grown) < grace
}

// meet notes a file that nobody claims: one that was seen to grow may be about to be put
// in its place, one that wasn't is left there.
func (p *pass) meet(t *temp) {
	switch {
	case !t.grown.After(t.claimed):
		p.leave(t)
	case p.sinceFirstSign(t.grown):
		p.strangers.seen++
	}
	p.strangers.growing = p.strangers.growing || t.growing(p.now)
}

// leave notes a file that nobody claims and that may be left half done by this play's
// client: it was written to since the first of the play's files came, also where both
// were over before anybody looked, and no longer when nothing of the play had moved
// for a while. Who writes on then is somebody else.
func (p *pass) leave(t *temp) {
	pl := p.repo.play
	if pl == nil || !t.mtime.After(t.claimed) || t.mtime.After(pl.changed.Add(longGone)) {
		return
	}
	if p.sinceFirstSign(t.mtime) {
		p.strangers.left++
	}
}

// sinceFirstSign reports whether what was written then may be of this play.
func (p *pass) sinceFirstSign(written time.Time) bool {
	pl := p.repo.play
	if pl == nil {
		return false
	}
	if p.strangers.since.IsZero() {
		p.strangers.since = pl.firstSign().Add(-grace)
	}
	return written.After(p.strangers.since)
}

// firstSign is when the play began, or when the first of its files came, if that was
// before: nobody may have looked then.
func (pl *play) firstSign() time.Time {
	first := pl.begun()
	for _, f := range pl.files {
		if f.done && f.own && f.came.Before(first) {
			first = f.came
		}
	}
	return first
}

// sole is the folder of the only repository that the root holds, empty if there
// are others.
func (p *pass) sole() (folder string) {
	root, err := p.top.Sub(".")
	if err != nil {
		return ""
	}
	defer root.Close()
	others := false
	err = root.Names(func(name string) bool {
		if _, repo := hfcache.ParseFolder(name); repo {
			others = folder != ""
			folder = strings.Clone(name)
		}
		return !others
	})
	if err != nil || others {
		return ""
	}
	return folder
}
