package watcher

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/fsys"
	"progressd/untrusted"
)

// A download by --local-dir goes into a directory of its own, which no name
// tells from others: only what the client keeps in it does. So each directory
// up to two levels below a root, and the root itself, may become one. It is
// checked at every poll like a repository, its stage being what blobs/ is to
// that; what is none costs three stats.

// newLocal is the repo for the directory at rel. found is when it appeared,
// long ago for one that was there before.
func (r *runner) newLocal(rel string, listed uint64, found time.Duration) *repo {
	p := r.beneath(rel+localSuffix, listed)
	p.local, p.plan = true, &plan{found: found}
	return p
}

// addLocal begins to check a directory, unless it can't be one that a client
// fills, or is a root itself. absent is when it was last known not to be there.
func (r *runner) addLocal(rel string, inode uint64, absent time.Time) {
	if r.opts.IsLocal == nil || !r.opts.IsLocal(rel) || r.isRoot(rel) {
		return
	}
	if r.locals.count >= maxLocals {
		if !r.locals.full {
			r.locals.full = true
			r.opts.Log.Warn("more directories than are checked for downloads that go into one of their own: name those as roots",
				keyRoot, untrusted.Path(r.root.Path), "limit", maxLocals)
		}
		return
	}
	r.locals.count++
	found := r.now()
	if !r.listed && r.root.Since.IsZero() {
		found = -fsys.Coarse
	}
	p := r.newLocal(rel, inode, found)
	p.seen = r.gen
	r.index.add(p)
	if rel != "." && !strings.Contains(rel, "/") {
		r.locals.shelves[p] = &shelf{}
		if r.listed {
			r.locals.shelves[p].intact = absent
		}
	}
	switch {
	case rel == r.suspect:
		r.index.at(p, r.now()+r.opts.Poll)
	case r.listed:
		r.came(rel, absent)
		r.index.fresh = append(r.index.fresh, p)
	default:
		r.index.backlog = append(r.index.backlog, p)
	}
}

func (r *runner) forgetLocal(p *repo) {
	if p.local {
		r.locals.count--
		delete(r.locals.shelves, p)
	}
}

// isRoot reports whether a directory, or the one it lies in, is looked after
// by another runner.
func (r *runner) isRoot(rel string) bool {
	if r.claimed == nil || rel == "." {
		return false
	}
	parent, _, nested := strings.Cut(rel, "/")
	return r.claimed(r.root.Path+"/"+rel) || nested && r.claimed(r.root.Path+"/"+parent)
}

// shelve lists the directories in one that lies directly in the root, if some
// may have come.
func (r *runner) shelve(top fsys.Dir, p *repo) {
	s := r.locals.shelves[p]
	if s == nil {
		return
	}
	e, is := isDir(top, p.folder())
	if !is {
		return
	}
	now, checked := stampOf(e, nowhere), fileClock()
	if now == s.stamp && !s.young && r.remote == "" {
		s.intact = checked
		return
	}
	absent := s.intact
	s.stamp, s.young, s.intact = now, now.youngAt(time.Now()), checked
	dir, err := top.Sub(p.folder())
	if err != nil {
		return // gone, or not for us: what is in it is no concern of ours
	}
	defer dir.Close()
	// What can't be listed to its end is listed again when it changes.
	_ = dir.List(func(items []fsys.Item) error {
		for _, i := range items {
			if i.Dir && r.opts.IsRepo(string(i.Name)) {
				r.sayDeeper(p.folder())
			}
			if rel := p.folder() + "/" + string(i.Name); i.Dir && r.index.find([]byte(rel)) == nil {
				r.addLocal(rel, i.Inode, absent)
			}
		}
		return nil
	})
}

// localMark is mark for a directory that a client may fill. Nothing is reached
// by a link, and no directory but the client's own is watched: others may be
// written to.
func (r *runner) localMark(top fsys.Dir, p *repo) (stamp, error) {
	meta := p.folder() + metaSuffix
	for _, at := range []struct {
		path  string
		where where
	}{{p.rel(), onBlobs}, {meta, onMeta}} {
		e, is := isDir(top, at.path)
		if !is {
			continue
		}
		s := r.stampOf(top, at.path, e, at.where)
		if e.Dev != r.root.Dev {
			s.where = nowhere
		}
		if s == p.stamp || areDirs(top, meta, p.folder()+cacheSuffix) {
			return s, nil
		}
	}
	e, err := top.Peek(p.folder())
	if err != nil {
		return stamp{}, err
	}
	if !e.IsDir() {
		return stamp{}, unix.ENOTDIR
	}
	return stampOf(e, nowhere), nil
}

// isDir reports whether there is a directory at path, and what it is.
func isDir(top fsys.Dir, path string) (fsys.Entry, bool) {
	e, err := top.Peek(path)
	return e, err == nil && e.IsDir()
}

// areDirs reports whether there is a directory at each path.
func areDirs(top fsys.Dir, paths ...string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool {
		_, is := isDir(top, path)
		return !is
	})
}

// follow looks again soon at a directory that has just appeared: the client
// makes it a moment before its stage, and it isn't watched.
func (r *runner) follow(p *repo, s stamp) {
	if p.local && s.where != onBlobs && r.now()-p.plan.found < fsys.Coarse {
		r.index.at(p, r.now()+r.opts.Active)
	}
}

// isRoot reports whether a directory is watched as a root.
func (w *Watcher) isRoot(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runners[path] != nil
}
