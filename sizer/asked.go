package sizer

import (
	"fmt"
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// What is asked of the disk in the middle of judging: whether a blob is there, which link
// leads to it, when it was made. Each is a look at a few names, and goes through no link.

// blob is what lies under the name of a blob.
func (p *pass) blob(etag string) (fsys.Entry, error) {
	return p.top.LstatPath(p.repo.folder + "/blobs/" + etag)
}

// inPlace asks for a file under its key, where those are that are finished.
func (p *pass) inPlace(key string) error {
	_, err := p.top.LstatPath(p.repo.folder + p.repo.layout.home + "/" + key)
	return err
}

// brought reports whether a finished file is there.
func (p *pass) brought(key string) bool { return p.inPlace(key) == nil }

// missing reports whether a finished file is known not to be there.
func (p *pass) missing(key string) bool { return fsys.Absent(p.inPlace(key)) }

// linkOf is the link to a file in the snapshot of a revision.
func (p *pass) linkOf(commit string, f *file) (fsys.Entry, bool) {
	e, err := p.top.LstatPath(p.repo.folder + "/snapshots/" + commit + "/" + f.path)
	return e, err == nil && e.Link()
}

// linkedIn is when the first link to a blob was made in one snapshot.
func (p *pass) linkedIn(rev *revision, etag string) (first time.Time) {
	for _, l := range rev.links {
		if l.etag != etag {
			continue
		}
		e, err := p.top.LstatPath(p.repo.folder + "/snapshots/" + rev.commit + "/" + l.path)
		if err == nil && (first.IsZero() || e.Ctime.Before(first)) {
			first = e.Ctime
		}
	}
	return first
}

// spent reports whether the blob of a partial is there. It is asked for again
// only when names in blobs/ came or went.
func (p *pass) spent(part *partial) bool {
	if p.relisted || !part.asked {
		part.asked, part.spent = true, p.brought(part.Etag)
	}
	return part.spent
}

// keptTimes reports whether a file was copied to where it is with the times that
// it had elsewhere: then it is younger than its content.
func (p *pass) keptTimes(path string, modified time.Time) bool {
	return p.root.clock.Ours(p.top.BornPath(path)).After(modified.Add(fsys.Coarse))
}

// linkedLast is when a revision got its link to a blob, as far as is known: one in a
// directory of the snapshot doesn't move the time of the snapshot itself.
func (p *pass) linkedLast(rev *revision, etag string) time.Time {
	at := rev.linked
	for _, l := range rev.links {
		if l.etag != etag || !strings.Contains(l.path, "/") {
			continue
		}
		if e, err := p.top.LstatPath(p.repo.folder + "/snapshots/" + rev.commit + "/" + l.path); err == nil {
			at = later(at, e.Ctime)
		}
	}
	return at
}

func (p *pass) lockTaken(etag string) time.Time {
	for _, dir := range []string{hfcache.LockDir(p.repo.folder), p.repo.folder + "/blobs"} {
		if e, err := p.top.LstatPath(dir + "/" + etag + ".lock"); err == nil && e.Regular() {
			return e.Mtime
		}
	}
	return p.now
}

// began is when a finished blob was begun, zero if that isn't known.
func (p *pass) began(f *file) time.Time {
	if f.loose {
		return time.Time{}
	}
	if !f.bornAt.Equal(f.came) {
		f.bornAt, f.born = f.came, p.root.clock.Ours(p.top.BornPath(p.repo.folder+p.repo.layout.home+"/"+f.etag))
	}
	return f.born
}

// isFormer reports whether a file that was a partial is what has that name now.
// Without a number that it keeps, its size and time have to do.
func (p *pass) isFormer(part *partial, e fsys.Entry) bool {
	if p.root.opts.Vague {
		return part.size == e.Size && part.mtime.Equal(e.Mtime)
	}
	return part.ino == e.Inode
}

// numbered is what has the name of a partial now. Where files are numbered anew
// each time, it is taken for the same one.
func (p *pass) numbered(e fsys.Entry, part *partial) fsys.Entry {
	if p.root.opts.Vague {
		e.Inode = part.ino
	}
	return e
}

// untied are those of some listed files of a revision of which its snapshot has
// neither a link nor, where links can't be made, the file itself.
func (p *pass) untied(rev *revision, asked func(hfcache.ListedFile) bool) (untied []hfcache.ListedFile) {
	if !rev.listed() {
		return nil
	}
	snapshot, err := p.top.Sub(p.repo.folder + "/snapshots/" + rev.commit)
	if err == nil {
		defer snapshot.Close()
	} else if !fsys.Absent(err) {
		return nil
	}
	for _, listed := range rev.list().files {
		if !asked(listed) {
			continue
		}
		if err != nil {
			untied = append(untied, listed)
			continue
		}
		text, err := snapshot.ReadlinkPath(listed.Path)
		if etag, ok := hfcache.SnapshotBlob(listed.Path, text); err == nil && ok && etag == listed.Etag {
			continue
		}
		if e, err := snapshot.LstatPath(listed.Path); err != nil || !e.Regular() || e.Size != listed.Size {
			untied = append(untied, listed)
		}
	}
	return untied
}

// strikeLinked takes out what any snapshot has a link to. A snapshot that can't
// be read has none.
func (p *pass) strikeLinked(blobs map[string]bool) {
	snapshots, err := p.top.Sub(p.repo.folder + "/snapshots")
	if err != nil {
		return
	}
	defer snapshots.Close()
	_ = snapshots.Names(func(commit string) bool {
		if one, err := snapshots.Sub(strings.Clone(commit)); err == nil {
			strike(one, "", blobs)
			one.Close()
		}
		return len(blobs) > 0
	})
}

// strike is strikeLinked for what lies beneath a directory of a snapshot.
func strike(d fsys.Dir, prefix string, blobs map[string]bool) {
	var below []string
	_ = d.Names(func(name string) bool {
		text, err := d.Readlink(name)
		if err != nil { // no link: perhaps a directory
			below = append(below, strings.Clone(name))
			return len(below) < maxLinks
		}
		if etag, ok := hfcache.SnapshotBlob(prefix+name, text); ok {
			delete(blobs, etag)
		}
		return len(blobs) > 0
	})
	if strings.Count(prefix, "/") >= maxDepth {
		return
	}
	for _, name := range below {
		if sub, err := d.Sub(name); err == nil {
			strike(sub, prefix+name+"/", blobs)
			sub.Close()
		}
	}
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

func (p *pass) cutOff(etag string, e fsys.Entry) CutOff {
	c := CutOff{Etag: etag, Inode: e.Inode, Size: e.Size, Modified: e.Mtime.UnixNano()}
	if p.root.opts.Vague {
		c.Inode = 0
	}
	return c
}

// owner is the user whom the repository belongs to.
func (p *pass) owner() (uid uint32, ok bool) {
	e, err := p.top.LstatPath(p.repo.folder)
	return e.UID, err == nil
}

// finished tells of a finished blob: a regular file, or the one link that is
// looked up, into the store that the root's repositories share.
func (p *pass) finished(blobs fsys.Dir, name string) (fsys.Entry, error) {
	e, err := blobs.Lstat(name)
	if err != nil || e.Regular() {
		return e, err
	}
	if !e.Link() {
		return e, fmt.Errorf("cannot count blob: %w", fsys.ErrNotRegular)
	}
	text, err := blobs.Readlink(name)
	if err != nil {
		return e, err
	}
	rel, ok := hfcache.SharedBlob(text)
	if !ok {
		return e, fmt.Errorf("cannot count blob: %w", fsys.ErrNotRegular)
	}
	stored, err := p.top.LstatPath(rel)
	if err == nil && !stored.Regular() {
		err = fsys.ErrNotRegular
	}
	return throughLink(e, stored), err
}

// throughLink is what counts of a file in the shared store. A link younger
// than that is a hit, for which nothing was transferred.
func throughLink(link, stored fsys.Entry) fsys.Entry {
	if link.Ctime.Sub(stored.Ctime) > putAndLinked {
		stored.Ctime = time.Time{}
	}
	return stored
}

// putAndLinked is the most that lies between a client's putting a file into
// the shared store and its linking it: two renames in a row (seen in
// huggingface_hub 2.4: the same tick).
const putAndLinked = 100 * time.Millisecond

// moving reports whether a client is about to put a link in the place of a
// finished blob that it moves to the shared store. The link is there, under a
// name of its own, before the blob goes.
func moving(home fsys.Dir, etag string) bool {
	found := false
	_ = home.Names(func(name string) bool {
		b := hfcache.ParseBlob(name)
		found = b.Kind == hfcache.SharedLink && b.Etag == etag
		return !found
	})
	return found
}
