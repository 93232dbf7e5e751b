package sizer

import (
	"errors"
	"io/fs"
	"time"

	"progressd/hfcache"
)

// Look passes once over a repository. folder must be one that
// hfcache.ParseFolder or hfcache.LocalRepo accepts.
func (r *Root) Look(now time.Time, folder string) (Look, Pace) {
	name, ok := parseFolder(folder)
	if !ok {
		return Look{Root: r.opts.Path, At: now}, Idle
	}
	rp := r.repo(name, folder)
	look := Look{Root: r.opts.Path, Repo: name, At: now}
	r.processes.Forget()
	p := &pass{root: r, repo: rp, now: r.clock.Look(now)}
	switch err := p.run(&look); {
	case errors.Is(err, errGone):
		r.drop(rp, p.now)
		// Another one may stand in its place already, at which nothing moves any more.
		return Look{Root: r.opts.Path, Repo: name, At: now, Gone: true}, Fast
	case err != nil:
		r.unreadable(rp, err)
		return Look{Root: r.opts.Path, Repo: name, At: now, Unreadable: err}, Slow
	}
	if rp.unreadable {
		rp.unreadable = false
		r.opts.Log.Info("a repository can be looked at again", "root", r.opts.Path, "repo", folder)
	}
	return look, r.rest(rp)
}

// unreadable is said once, until it is over. What is removed while it is
// looked at is gone at the next look, and no fault.
func (r *Root) unreadable(rp *repo, err error) {
	if !rp.unreadable && !errors.Is(err, errReplaced) && !errors.Is(err, fs.ErrNotExist) {
		rp.unreadable = true
		r.opts.Log.Warn("cannot look at a repository: what was known of it stands, and it is tried again",
			"root", r.opts.Path, "repo", rp.folder, "err", err)
	}
}

func (r *Root) repo(name hfcache.Repo, folder string) *repo {
	if rp := r.repos[folder]; rp != nil {
		return rp
	}
	rp := &repo{name: name, folder: folder, baseline: r.opts.Since, watchedSince: r.opts.Opened, last: r.rested[folder]}
	delete(r.rested, folder)
	rp.layout, rp.tree = layoutOf(name)
	memory, known := Checkpoint{}, false
	if r.opts.Recall != nil {
		memory, known = r.opts.Recall(name)
	}
	if known {
		rp.baseline = later(rp.baseline, r.clock.Ours(memory.Since))
		rp.cutOffs = memory.CutOffs
	}
	rp.baseline = later(rp.baseline, r.baselines[folder])
	if _, moved := r.baselines[folder]; known && !moved && memory.Play != "" {
		rp.play = restored(memory, r.clock)
	}
	r.repos[folder] = rp
	return rp
}

// Forget forgets what is kept of a repository in which a download goes on: the next
// look finds it as if it were the first.
func (r *Root) Forget(folder string) {
	if rp := r.repos[folder]; rp != nil {
		r.baselines[folder] = later(r.baselines[folder], rp.baseline) // what came before stays told
		delete(r.repos, folder)
	}
}

func (p *pass) run(look *Look) error {
	defer p.root.opts.FS.Raise()()
	top, err := p.root.opts.open()
	if err != nil {
		return err
	}
	defer top.Close()
	e, err := top.Stat()
	if err != nil {
		return err
	}
	if e.Dev != p.root.opts.Dev || e.Inode != p.root.opts.Inode && !p.root.opts.Vague {
		return errReplaced
	}
	p.top = top
	if !p.repo.arrived {
		p.repo.arrived = true
		p.arrive()
	}
	p.close()
	if err := p.repo.layout.scan(p); err != nil {
		return err
	}
	p.repo.last = sighted{p.now, p.repo.blobs.ino, p.blobsTime}
	if p.repo.play == nil && len(p.repo.partials) == 0 && len(p.arrivedNew) == 0 && !p.placedNew && !p.mayStage() {
		return nil
	}
	p.held = p.readHeld()
	p.stageTemps()
	p.claimRustFiles()
	p.takeUp()
	p.judge()
	if p.repo.play == nil && !p.begin() {
		p.leftovers(look)
		return nil
	}
	return p.playOn(look)
}

// layoutOf gives the repository's layout, and what that keeps between looks.
func layoutOf(name hfcache.Repo) (*layout, *tree) {
	if name.Type == hfcache.Local {
		return &local, newTree()
	}
	return &cached, nil
}

// cached is the layout of a repository in a cache: files are blobs, named by
// their content, and paths are links in snapshots/.
var cached = layout{
	home: "/blobs", partials: "/blobs", trees: "/trees",
	scan:      (*pass).readBlobs,
	locks:     (*pass).cacheLocks,
	finished:  (*pass).finishedFile,
	moved:     (*pass).blobsMoved,
	key:       func(f hfcache.ListedFile) string { return f.Etag },
	index:     func(f hfcache.ListedFile) string { return f.Etag },
	evidence:  (*pass).evidence,
	snapshots: (*pass).readSnapshots,
	links:     (*pass).readLinks,
	linked:    (*pass).linked,
	rest:      func(*pass, *play) error { return nil },
	settled:   (*pass).dropLinks,
	check:     (*checker).checkLink,
	recount:   (*pass).recountLinks,
}

// local is the layout of a directory that a client fills by --local-dir: files
// lie there under their paths, which are their keys, and everything else
// beneath .cache/huggingface. Two paths with one content are two files.
var local = layout{
	home: "", partials: stage, trees: "/" + hfcache.LocalTrees,
	scan:      (*pass).readTree,
	locks:     (*pass).treeLocks,
	finished:  (*pass).treeFinished,
	moved:     (*pass).treeMoved,
	key:       func(f hfcache.ListedFile) string { return f.Path },
	index:     func(f hfcache.ListedFile) string { return indexed(f.Path, f.Etag) },
	evidence:  (*pass).treeEvidence,
	snapshots: (*pass).readNotes,
	rest:      (*pass).restNotes,
	settled:   (*pass).dropNotes,
	check:     (*checker).checkNote,
	recount:   (*pass).recountTree,
	links:     func(*pass, *revision) error { return nil },
	linked:    func(*pass, *revision, func(string) bool) bool { return true },
}

// rest decides how closely to look, and forgets a repo that needs no memory.
func (r *Root) rest(rp *repo) Pace {
	switch {
	case rp.play != nil && rp.play.calm:
		return Steady
	case rp.play != nil && rp.play.lively, rp.tree != nil && rp.tree.stirring:
		return Fast
	case rp.play != nil || len(rp.partials) > 0 || rp.awaiting, rp.tree != nil && len(rp.tree.dirs) > 1:
		return Slow
	}
	if rp.baseline.After(r.opts.Since) {
		r.baselines[rp.folder] = rp.baseline
		r.rested[rp.folder] = rp.last
	}
	delete(r.repos, rp.folder)
	return Idle
}
