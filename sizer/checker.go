package sizer

import (
	"io/fs"
	"strings"

	"progressd/fsys"
	"progressd/hfcache"
)

// linked reports whether each wanted path of the listing leads to its blob.
func (p *pass) linked(rev *revision, wants func(path string) bool) bool {
	top, err := p.top.Sub(p.repo.folder + "/snapshots/" + rev.commit)
	if err != nil {
		return false
	}
	defer top.Close()
	for _, listed := range rev.list().files {
		if !wants(listed.Path) {
			continue
		}
		text, err := top.ReadlinkPath(listed.Path)
		if err == nil {
			if etag, ok := hfcache.SnapshotBlob(listed.Path, text); ok && etag == listed.Etag && !p.outdated(top, listed) {
				continue
			}
			return false
		}
		// Where links can't be made the client puts the file itself here.
		if e, err := top.LstatPath(listed.Path); err != nil || !e.Regular() || e.Size != listed.Size {
			return false
		}
	}
	return true
}

// outdated reports whether a link is older than its blob, if that came just now:
// it was fetched anew, perhaps for another revision whose link is to come.
func (p *pass) outdated(snapshot fsys.Dir, listed hfcache.ListedFile) bool {
	f := p.repo.play.files[p.repo.layout.key(listed)]
	if f == nil || !f.own || p.now.Sub(f.came).Abs() >= lockMemory {
		return false
	}
	e, err := snapshot.LstatPath(listed.Path)
	return err == nil && e.Ctime.Before(f.came.Add(-fsys.Tick))
}

func (c *checker) close() {
	for i := range c.open {
		if c.open[i].is {
			c.open[i].dir.Close()
		}
		c.open[i] = checkedDir{}
	}
}

// dir opens a directory as the first or second.
func (c *checker) dir(which int, path string) (fsys.Dir, error) {
	o := &c.open[which]
	if o.is && o.path == path {
		return o.dir, nil
	}
	if o.is {
		o.dir.Close()
	}
	*o = checkedDir{}
	d, err := c.top.Sub(path)
	if err == nil {
		*o = checkedDir{path, d, true}
	}
	return d, err
}

// checkLink checks a file of a cache.
func (c *checker) checkLink(rev *revision, listed hfcache.ListedFile) error {
	snapshot, err := c.dir(0, c.repo.folder+"/snapshots/"+rev.commit+within(listed.Path))
	if err != nil {
		return err
	}
	name := lastOf(listed.Path)
	e, err := snapshot.Lstat(name)
	if err == nil && e.Link() {
		text, err := snapshot.Readlink(name)
		if etag, ok := hfcache.SnapshotBlob(listed.Path, text); err != nil || !ok || etag != listed.Etag {
			return fs.ErrNotExist
		}
		if e, err = c.finishedBlob(listed.Etag); err != nil {
			return err
		}
	}
	return c.whole(e, err, listed)
}

// finishedBlob tells of a finished blob.
func (c *checker) finishedBlob(etag string) (fsys.Entry, error) {
	blobs, err := c.dir(1, c.repo.folder+"/blobs")
	if err != nil {
		return fsys.Entry{}, err
	}
	return c.finished(blobs, etag)
}

// checkNote checks a file of a directory that is filled by --local-dir.
func (c *checker) checkNote(_ *revision, listed hfcache.ListedFile) error {
	placed, err := c.dir(0, c.repo.folder+within(listed.Path))
	if err != nil {
		return err
	}
	staged, err := c.dir(1, c.repo.folder+stage+within(listed.Path))
	if err != nil {
		return err
	}
	e, err := placed.Lstat(lastOf(listed.Path))
	if err != nil {
		return err
	}
	n, ok := c.readNote(staged, lastOf(listed.Path), note{})
	if !ok || !vouches(n.mark.mtime, e) || n.etag != listed.Etag {
		return fs.ErrNotExist
	}
	return c.whole(e, nil, listed)
}

// whole: a file is there as it is listed.
func (c *checker) whole(e fsys.Entry, err error, listed hfcache.ListedFile) error {
	if err == nil && (!e.Regular() || e.Size != listed.Size || c.root.fs.holes(e) > 0) {
		err = fs.ErrNotExist
	}
	return err
}

// within is where the directory of a path lies, as what follows that of all.
func within(path string) string {
	path = "/" + path
	return path[:strings.LastIndexByte(path, '/')]
}
