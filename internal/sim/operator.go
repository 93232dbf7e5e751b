package sim

import (
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/internal/simfs"
)

// An operator does what people do to a cache by hand.
type operator struct {
	*thread
}

// newOperator is one at work on a repository: a process of its own.
func (w *world) newOperator(repo *repository, p plan, what deedKind) operator {
	c := &client{world: w, plan: p, repo: repo, rev: repo.newest(), locals: repo.local != ""}
	c.process = w.procs.spawn(nil, owner, path.Base(string(what)), string(what))
	c.record = &record{client: c}
	if what == copyIn || what == copyPart {
		c.habit.Name = "a copy"
		c.copies = true
		c.record = repo.truth.begin(c)
	}
	return operator{c.thread(what)}
}

// do does one deed.
func (o operator) do(kind deedKind) {
	defer o.procs.exit(o.process)
	truth := o.repo.truth
	switch kind {
	case remove:
		if o.barred.Load() {
			return // it isn't there
		}
		truth.did("rm -rf %s", o.repo.dir())
		o.removeAll(o.repo.dir())
		o.removeAll(o.repo.root + "/" + hfcache.LockDir(o.repo.repo.Folder()))
		if !o.fs.Witness().Has(o.repo.dir()) {
			truth.did("it is removed")
		}
	case prune:
		o.prune()
	case renameAway, renameBack:
		o.rename(kind)
	case lockUp:
		truth.did("chmod 000 %s", o.repo.dir())
		_ = o.fs.Break(o.repo.dir(), unix.EACCES) // for its client as well: that isn't root
		_ = o.sleep(between(o.rng, time.Second, 5*time.Minute))
		_ = o.fs.Break(o.repo.dir(), 0)
		truth.did("chmod 755 %s", o.repo.dir())
	case copyIn:
		o.copy(1)
	case copyPart:
		o.copy(o.rng.Float64())
	case download: // is a client's
	case lateBlocks:
		for _, p := range truth.survey().partials {
			if o.fs.AddBlocks(p.path, 1) == nil {
				truth.did("write-back gives %s a block more", path.Base(p.path))
			}
		}
	}
}

// rename moves the folder aside, or back.
func (o operator) rename(kind deedKind) {
	from, to := o.repo.dir(), o.aside()
	if kind == renameBack {
		from, to = to, from
	}
	if o.barred.Load() {
		return // it isn't there
	}
	o.repo.truth.did("mv %s %s", from, to)
	_ = o.fs.Rename(from, to)
}

// aside is where a folder is moved to: another name beside it, or out of the root.
func (o operator) aside() string { return o.repo.aside() }

func (r *repository) aside() string {
	if out := path.Dir(r.root); out != "/" && digest(r.repo.ID)%2 == 0 {
		return out + "/" + path.Base(r.dir())
	}
	return r.dir() + ".bak"
}

func (o operator) removeAll(p string) {
	there := o.repo.truth.survey()
	for _, f := range there.partials {
		o.repo.truth.lose(f.etag, f.written)
	}
	for etag, size := range there.blobs {
		o.repo.truth.lose(etag, size)
	}
	_ = o.fs.RemoveAll(p, func() { _ = o.sleep(between(o.rng, time.Microsecond, 300*time.Microsecond)) })
}

// prune is hf cache prune of 1.28 and 2.4: every partial goes, without the
// question whether it is being written.
func (o operator) prune() {
	o.repo.truth.did("hf cache prune")
	for _, f := range o.repo.truth.survey().partials {
		if strings.HasSuffix(f.path, ".incomplete") && o.repo.local == "" {
			o.repo.truth.lose(f.etag, f.written)
			_ = o.fs.Remove(f.path)
			_ = o.sleep(between(o.rng, time.Microsecond, time.Millisecond))
		}
	}
}

// copy brings a whole repository, or the first part of it, as scp and rsync do.
func (o operator) copy(part float64) {
	rsync, old := chance(o.rng, 1, 2), chance(o.rng, 1, 2)
	o.tell("a copy of %.0f%% of %s begins (rsync %v, old times %v)", part*100, o.repo.repo.ID, rsync, old)
	defer o.ended(part)
	left := int64(part * float64(o.rev.size(func(string) bool { return true })))
	dir := o.repo.dir()
	if o.fs.Has(dir+"/blobs") || o.fs.Has(dir+"/"+hfcache.LocalStage) {
		return // there is one already
	}
	if o.locals { // a plain directory of files
		for _, f := range o.rev.files {
			left = o.copyFile(dir+"/"+f.path, f, left, rsync, old)
		}
		return
	}
	seen := map[string]bool{}
	for _, f := range o.rev.files {
		if !seen[f.etag] {
			left = o.copyFile(dir+"/blobs/"+f.etag, f, left, rsync, old)
		}
		seen[f.etag] = true
		if left <= 0 && part < 1 {
			break
		}
	}
	if part == 1 {
		_ = o.mkdirAll(dir + "/refs")
		_ = o.put(dir+"/refs/main", "", o.rev.commit, 0o644)
		for _, f := range o.rev.files {
			_ = o.mkdirAll(path.Dir(o.pointer(f.path)))
			_ = o.try(func() error { return o.fs.Symlink(linkText(f.path, f.etag), o.pointer(f.path)) })
		}
	}
}

// ended notes the end of a copy.
func (o operator) ended(part float64) {
	err := error(nil)
	if part < 1 {
		err = errKilled
	}
	o.record.finish(err)
	o.record.gone()
}

// copyFile copies one file, or what of it is left; it returns what is left then.
func (o operator) copyFile(p string, f hubFile, left int64, rsync, old bool) int64 { //nolint:revive // what programs do
	if left <= 0 {
		return 0
	}
	_ = o.mkdirAll(path.Dir(p))
	target := p
	if rsync {
		target = path.Dir(p) + "/." + path.Base(p) + "." + hex(o.rng, 6)
	}
	o.record.opening(f.etag, target, simfs.Trunc)
	file, err := o.fs.Create(target, 0o644, simfs.Trunc)
	if err != nil {
		return 0
	}
	defer file.Close()
	size := min(f.size, left)
	for at := int64(0); at < size; {
		n := min(8<<20, size-at)
		if o.sleep(time.Duration(float64(n)/float64(o.plan.Rate)*1e9)) != nil || file.Append(n) != nil {
			return 0
		}
		o.record.wrote(n, true)
		at += n
	}
	if size == f.size {
		if rsync {
			_ = o.fs.Rename(target, p)
		}
		if old {
			_ = o.fs.SetModified(p, o.began.Add(-30*24*time.Hour).UnixNano())
		}
	}
	return left - size
}

// befall is what an ill does to the root; what it returns mends it.
func (l *life) befall(kind illKind) (mend func()) {
	fs := l.world.fs
	switch kind {
	case unmounted:
		for fs.Unmount(l.mountPoint) != nil {
			pass(3 * time.Millisecond)
		}
		// What is covered is root's: no client may write there.
		l.world.barred.Store(true)
		return func() {
			_ = fs.Mount(l.volume, l.mountPoint)
			l.world.barred.Store(false)
		}
	case brokenIO:
		fs.BreakVolume(l.volume, unix.EIO)
		return func() { fs.BreakVolume(l.volume, 0) }
	case hanging:
		return fs.HangVolume(l.volume)
	case setAhead:
		fs.SetShift(time.Hour)
	case setBack:
		fs.SetShift(-time.Hour)
	}
	return func() { fs.SetShift(0) }
}
