package sizer

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// readTree brings the partials up to date and, at rest, finds files that came
// since the last play.
func (p *pass) readTree() error {
	down, err := p.top.Sub(p.repo.folder + stage)
	if fsys.Absent(err) || p.isStranger(err) {
		return p.noTree(err)
	}
	if err != nil {
		return err
	}
	defer down.Close()
	e, err := down.Stat()
	if err != nil {
		return err
	}
	p.root.fs.learn(down, e.Dev)
	if p.repo.play != nil {
		p.room = roomOf(down, e)
	}
	if p.repo.blobs.stale(e) {
		if err := p.recognise(down, e); err != nil {
			return err
		}
	}
	if err := p.walkTree(down); err != nil {
		return err
	}
	if p.relisted {
		p.takePartials()
	}
	if err := p.measurePartials(down); err != nil || !p.relisted {
		return err
	}
	if since, ok := p.lookForNew(); ok {
		return p.findNoted(down, since)
	}
	return nil
}

// isStranger: a directory that can't be entered and that nobody knows to be
// filled by a client is none of ours.
func (p *pass) isStranger(err error) bool {
	return errors.Is(err, fs.ErrPermission) && p.repo.blobs.ino == 0 && p.repo.play == nil
}

// noTree is a directory that no client fills, or not any more.
func (p *pass) noTree(err error) error {
	if fsys.Refused(err) {
		p.sayStageLink(err)
	}
	if err := p.forget(); err != nil {
		return err
	}
	p.relisted = p.repo.play != nil
	p.repo.tree = newTree()
	return nil
}

// sayStageLink says that a client's own directory in one that it fills is reached
// by a link, if it is.
func (p *pass) sayStageLink(err error) {
	path := p.repo.folder
	for _, name := range strings.Split(hfcache.LocalStage, "/") {
		if path += "/" + name; p.isLink(path) {
			p.root.warn(p.repo.folder, hfcache.LocalStage+" is reached by a link, and links are not followed, so nothing is told of downloads into this directory: make it a directory, or mount what it leads to there (mount --bind)", err)
			return
		}
	}
}

// walkTree looks at each directory beneath download/, and lists those that may
// hold other names than before.
func (p *pass) walkTree(down fsys.Dir) error {
	t := p.repo.tree
	t.stirring, p.blobsTime, t.kept = false, time.Time{}, 0
	t.countLocks()
	for _, td := range t.dirs {
		t.kept += len(td.noted)
	}
	queue := []string{""}
	seen := make(map[string]bool)
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		td, err := p.treeDir(down, path)
		if fsys.Absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		seen[path] = true
		p.relisted = p.relisted || td.relisted
		p.blobsTime = later(p.blobsTime, td.mark.mtime)
		age := p.now.Sub(td.changed())
		t.stirring = t.stirring || age < fsys.Coarse && age > -fsys.Coarse
		for _, sub := range td.subs {
			if len(seen)+len(queue) >= maxTreeDirs || strings.Count(sub, "/") >= maxDepth {
				return errTooMany
			}
			queue = append(queue, sub)
		}
	}
	for path := range t.dirs {
		if !seen[path] {
			delete(t.dirs, path)
			p.relisted = true
		}
	}
	return nil
}

// treeDir looks at one directory beneath download/.
func (p *pass) treeDir(down fsys.Dir, path string) (*treeDir, error) {
	known := p.repo.tree.dirs[path]
	if known != nil {
		if same, err := p.unmoved(down, path, known); same || err != nil {
			return known, err
		}
	}
	d := down
	if path != "" {
		var err error
		if d, err = down.Sub(path); err != nil {
			return nil, err
		}
		defer d.Close()
	}
	e, err := d.Stat()
	if err != nil {
		return nil, err
	}
	if known != nil && !known.mark.stale(e) {
		known.relisted = false
		return known, nil
	}
	if known != nil && known.mark.ino == e.Inode && !known.mark.mtime.Equal(e.Mtime) && p.noteClock(e, p.repo.last.at, d.Stat) {
		if e, err = d.Stat(); err != nil {
			return nil, err
		}
	}
	td := &treeDir{mark: p.mark(e), relisted: true}
	if known != nil {
		p.repo.tree.kept -= len(known.noted)
	}
	if err := p.listTreeDir(d, path, td); err != nil {
		return nil, err
	}
	// Where nothing but the names tells of a change, there is none.
	td.relisted = known == nil || !p.root.opts.Vague || known.names != td.names || known.mark.rewritten(e)
	if td.listed = p.now; !td.relisted {
		td.listed = known.listed
	}
	p.repo.tree.dirs[path] = td
	return td, nil
}

// unmoved reports whether a directory need not be read again, as far as can be
// seen without opening it.
func (p *pass) unmoved(down fsys.Dir, path string, known *treeDir) (bool, error) {
	known.relisted = false
	if p.rests(known) || path == "" {
		return path != "", nil
	}
	e, err := down.Peek(path)
	if err == nil && !e.IsDir() {
		err = fsys.ErrNotRegular
	}
	return err == nil && !known.mark.stale(e), err
}

// listTreeDir reads the names of one directory.
func (p *pass) listTreeDir(d fsys.Dir, path string, td *treeDir) error {
	entries := 0
	var locks []string
	err := d.List(func(items []fsys.Item) error {
		for _, item := range items {
			name := string(item.Name)
			td.names.Add(name)
			if p.takeName(td, path, name) {
				continue
			}
			if item.Dir && isDir(d, name, item) {
				td.subs = append(td.subs, beneath(path, name))
			} else if strings.HasSuffix(name, ".lock") {
				locks = append(locks, name)
			}
		}
		if entries += len(items); entries >= maxStaged {
			return errTooMany
		}
		return nil
	})
	if err != nil || p.slim(td) || !p.repo.tree.wantsLocks(td) {
		return err
	}
	for _, name := range locks {
		if e, err := d.Lstat(name); err == nil && e.Regular() {
			td.locks = append(td.locks, lockFile{etag: beneath(path, strings.TrimSuffix(name, ".lock")), dev: e.Dev, ino: e.Inode})
		}
	}
	p.repo.tree.keepLocks(td)
	return nil
}

// takeName takes a name that alone tells what it is of: metadata or a partial.
func (p *pass) takeName(td *treeDir, path, name string) bool {
	if file, ok := hfcache.ParseLocalNote(name); ok {
		noted := beneath(path, file)
		if pl := p.repo.play; pl != nil && pl.settled.has(noted) {
			p.repo.tree.lean = true
		} else {
			td.noted = append(td.noted, noted)
		}
		return true
	}
	partial, ok := hfcache.ParseLocalPartial(name)
	if ok {
		td.partials = append(td.partials, partialName{beneath(path, name), partial})
	}
	return ok
}

// isDir reports whether an entry that may be a directory is one.
func isDir(d fsys.Dir, name string, item fsys.Item) bool {
	if !item.Link {
		return true
	}
	e, err := d.Lstat(name)
	return err == nil && e.IsDir()
}

// takePartials brings the set of partials in line with the names.
func (p *pass) takePartials() {
	former := p.repo.partials
	now := make(map[string]*partial)
	for path, td := range p.repo.tree.dirs {
		var byHash map[string]string
		for _, named := range td.partials {
			if byHash == nil {
				byHash = td.hashes()
			}
			file := beneath(path, named.name.File)
			if named.name.File == "" {
				file = byHash[named.name.Hash]
			}
			part := former[named.path]
			switch {
			case part == nil && file == "" && td.mark.young || len(now) >= maxPartials:
				continue // the name of its lock may have been missed
			case part == nil:
				part = &partial{content: named.name.Etag}
				part.BlobName = hfcache.BlobName{Kind: hfcache.Partial, Etag: beneath(path, named.name.Hash), Attempt: named.name.Attempt}
			}
			if file != "" {
				part.Etag = file
			}
			now[named.path] = part
		}
	}
	for path, gone := range former {
		if now[path] == nil {
			p.vanished(gone)
		}
	}
	p.repo.partials = now
}

// findNoted looks for files that came after the last play, by their metadata:
// what somebody else has put into the directory has none.
func (p *pass) findNoted(down fsys.Dir, since time.Time) error {
	const enough, some = 64, 4096
	home, err := p.top.Sub(p.repo.folder)
	if err != nil {
		return notAbsent(err)
	}
	defer home.Close()
	unknown, young := 0, false
	for _, td := range p.repo.tree.newest() {
		young = young || td.mark.young
		if unknown >= some && !td.changed().After(since) {
			break
		}
		for _, path := range td.noted {
			if len(p.arrivedNew) >= enough || unknown >= some {
				return nil
			}
			if p.repo.play.has(path) {
				continue
			}
			unknown++
			if noted(down, home, path, since) {
				p.arrivedNew = append(p.arrivedNew, path)
			}
		}
	}
	if p.repo.play == nil && len(p.arrivedNew) == 0 && !young && !p.root.opts.Vague {
		p.repo.baseline = p.blobsTime // deletions only: don't ask again
	}
	return nil
}

// noted reports whether a client put the file there after since.
func noted(down, home fsys.Dir, path string, since time.Time) bool {
	written, err := down.LstatPath(hfcache.LocalNote(path))
	if err != nil || !written.Regular() || !written.Mtime.After(since) {
		return false
	}
	e, err := home.LstatPath(path)
	return err == nil && e.Regular() && e.After(since) && vouches(written.Mtime, e)
}

// slim gives up, of a directory whose names were read just now, what nobody is at,
// where there is more than is kept: its locks aren't needed then.
func (p *pass) slim(td *treeDir) bool {
	t := p.repo.tree
	t.kept += len(td.noted)
	if len(td.partials) > 0 || t.kept <= maxLinks || p.now.Sub(td.mark.mtime) < leanAfter {
		return false
	}
	t.kept -= len(td.noted)
	td.unread, td.noted = len(td.noted) > 0, nil
	return true
}

// rests reports whether a directory among many need not be looked at now. Where
// new ones may come is looked at each time, and so is what is at work.
func (p *pass) rests(td *treeDir) bool {
	t := p.repo.tree
	busy := len(td.subs)+len(td.partials)+len(td.noted) > 0 || td.mark.young || td.unread
	if p.thorough || len(t.dirs) <= maxKept || busy || p.now.Sub(td.changed()) < leanAfter {
		return false
	}
	if left := td.due.Sub(p.now); left > 0 && left <= 2*restsFor {
		return true
	}
	t.turn = (t.turn + 1) % turns
	td.due = p.now.Add(restsFor + time.Duration(t.turn)*restsFor/turns)
	return false
}

// turns is over how many looks those are spread that rest.
const turns = 30

// recountTree has the whole tree read anew.
func (p *pass) recountTree(*play) error {
	down, err := p.top.Sub(p.repo.folder + stage)
	if err != nil {
		return notAbsent(err)
	}
	defer down.Close()
	t := p.repo.tree
	t.lean, t.samples = false, samples{}
	for _, td := range t.dirs {
		td.mark.young = true
	}
	relisted := p.relisted // of what hasn't changed no news comes
	if err := p.walkTree(down); err != nil {
		return err
	}
	p.relisted = relisted
	return p.readNotes(&p.repo.revs)
}

func (p *pass) treeLocks() []lockFile {
	dirs, n := p.repo.tree.newest(), 0
	for _, td := range dirs {
		n += len(td.locks)
	}
	files := make([]lockFile, 0, min(n, maxLocks))
	for _, td := range dirs {
		files = append(files, td.locks[:min(len(td.locks), maxLocks-len(files))]...)
	}
	return files
}
