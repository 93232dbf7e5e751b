package sizer

import (
	"slices"
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// revisions is what a repository's trees and snapshots say, read while a
// play needs it.
type revisions struct {
	trees    mark
	byCommit map[string]*revision
}

// A revision is one commit that has a listing, a snapshot or both.
type revision struct {
	commit string
	// written is when its listing was, linked when its snapshot last
	// changed, zero if there is none: they tell the revision in flight
	// from older ones that share a blob.
	written, linked time.Time
	hasTree         bool
	// tree is where its listing lies.
	tree treeFile
	// listing is nil where there is none, or nobody has had a need for it.
	listing *listing
	// hub is what the hub lists; used only where the cache has no listing.
	hub *listing
	// links are those of the snapshot that aren't settled, in the order of their
	// etags; read only where there is no listing.
	links []link
	// places are the files in it that are no links, likewise.
	places    map[string]fsys.Entry
	linksMark mark
	linksRead time.Time
	// dirs are the directories of the snapshot, by path, samples some paths of
	// what is settled. cut: not all links were read, for nothing is done for it.
	// branched is when the last of them changed.
	dirs     map[string]*linkDir
	branched time.Time
	samples  samples
	cut      bool
	// flat: there is nothing but links directly in the snapshot, so that its
	// own mtime tells of all changes.
	flat bool
}

// maxRevisions bounds how many revisions are known: the newest.
const maxRevisions = 16

// readRevisions brings trees and snapshots up to date.
func (p *pass) readRevisions() error {
	revs := &p.repo.revs
	if revs.byCommit == nil {
		revs.byCommit = make(map[string]*revision)
	}
	if err := p.readTrees(revs); err != nil {
		return err
	}
	return p.repo.layout.snapshots(p, revs)
}

func (revs *revisions) at(commit string) *revision {
	rev := revs.byCommit[commit]
	if rev == nil {
		rev = &revision{commit: commit}
		revs.byCommit[commit] = rev
	}
	return rev
}

func (p *pass) readTrees(revs *revisions) error {
	d, err := p.top.Sub(p.repo.folder + p.repo.layout.trees)
	if err != nil {
		if fsys.Refused(err) {
			p.root.warn(p.repo.folder, "trees is no directory, and is not followed", err)
		}
		for _, rev := range revs.byCommit {
			rev.hasTree = false
		}
		return notAbsent(err)
	}
	defer d.Close()
	e, err := d.Stat()
	if err != nil || !revs.trees.stale(e) {
		return err
	}
	revs.trees = p.mark(e)
	found, err := newest(d, func(name string) (string, bool) {
		commit, ok := strings.CutSuffix(name, ".json")
		return commit, ok && hfcache.IsCommit(commit)
	})
	if err != nil {
		return err
	}
	for _, rev := range revs.byCommit {
		rev.hasTree = false
	}
	for _, f := range found {
		rev := revs.at(f.name)
		if pl := p.repo.play; pl != nil && pl.looked && !rev.written.Equal(f.entry.Mtime) {
			pl.landed = true // somebody is there, who begins with it
		}
		rev.hasTree, rev.written, rev.tree = true, f.entry.Mtime, treeFile(f)
		if !rev.listing.current(rev.tree, p.now) {
			rev.listing = nil
		}
	}
	return nil
}

type namedEntry struct {
	name  string
	entry fsys.Entry
}

// newest gives the entries that want accepts, by the name that it gives, at
// most maxRevisions of them, newest first.
func newest(d fsys.Dir, want func(string) (string, bool)) ([]namedEntry, error) {
	var found []namedEntry
	err := d.Names(func(name string) bool {
		short, ok := want(name)
		if !ok {
			return true
		}
		if e, err := d.Lstat(name); err == nil {
			found = append(found, namedEntry{strings.Clone(short), e})
		}
		if len(found) >= 4*maxRevisions {
			found = trimOld(found)
		}
		return true
	})
	return trimOld(found), err
}

func trimOld(found []namedEntry) []namedEntry {
	slices.SortFunc(found, func(a, b namedEntry) int { return b.entry.Mtime.Compare(a.entry.Mtime) })
	return found[:min(len(found), maxRevisions)]
}

func (p *pass) readSnapshots(revs *revisions) error {
	d, err := p.top.Sub(p.repo.folder + "/snapshots")
	if err != nil {
		if fsys.Refused(err) {
			p.root.warn(p.repo.folder, "snapshots is no directory, and is not followed", err)
		}
		for _, rev := range revs.byCommit {
			rev.linked = time.Time{}
		}
		return notAbsent(err)
	}
	defer d.Close()
	found, err := newest(d, func(name string) (string, bool) { return name, hfcache.IsCommit(name) })
	if err != nil {
		return err
	}
	for _, rev := range revs.byCommit {
		rev.linked = time.Time{}
	}
	for _, f := range found {
		rev := revs.at(f.name)
		rev.linked = later(f.entry.Mtime, rev.branched)
	}
	return nil
}

func notAbsent(err error) error {
	if fsys.Absent(err) {
		return nil
	}
	return err
}

// list is the listing to go by: the cache's own, else the hub's, else nil.
func (rev *revision) list() *listing {
	if rev.ownList() {
		return rev.listing
	}
	return rev.hub
}

func (rev *revision) ownList() bool {
	return rev.hasTree && rev.listing != nil && len(rev.listing.files) > 0
}

func (rev *revision) listed() bool { return rev.list() != nil }

// touched is when the downloader that wants the revision began: it writes the
// listing first. Without one, the snapshot must do.
func (rev *revision) touched() time.Time {
	if rev.ownList() || rev.inventory() != nil {
		return rev.written
	}
	return rev.linked
}

// of names the revision that a blob in flight belongs to: of those that list
// it, the one touched last; else the one that has no listing. Empty if there is
// none. One without a listing goes before a listed one if its snapshot was
// touched for it: later than anything of the other, for which nobody works any
// more.
func (p *pass) of(pl *play, etag string, bare *revision) string {
	listing := p.lister(etag)
	if bare == nil || listing != nil && (!bare.linked.After(listing.lastTouched()) || p.worksFor(pl, listing)) {
		return listing.name()
	}
	return bare.name()
}

// lister is the revision touched last of those that list a file, by its index
// in the layout; nil if none does.
func (p *pass) lister(index string) *revision {
	var found *revision
	for _, rev := range p.repo.revs.byCommit {
		if rev.lists(index) && rev.newerThan(found) {
			found = rev
		}
	}
	return found
}

func (rev *revision) name() string {
	if rev == nil {
		return ""
	}
	return rev.commit
}

// lastTouched is when something was last done for the revision.
func (rev *revision) lastTouched() time.Time { return later(rev.written, rev.linked) }

// worksFor reports whether somebody may still be working for a listed revision
// in flight: not if nothing of it is missing.
func (p *pass) worksFor(pl *play, rev *revision) bool {
	return !pl.succeeded && slices.Contains(pl.revisions, rev.commit) && slices.Contains(pl.running, true) && p.lacks(pl, rev)
}

// lacks reports whether something of a listed revision isn't there yet.
func (p *pass) lacks(pl *play, rev *revision) bool {
	if !rev.listed() {
		return true // as far as is known
	}
	return slices.ContainsFunc(rev.list().files, func(listed hfcache.ListedFile) bool {
		f := pl.files[p.repo.layout.key(listed)]
		return pl.wants(listed.Path) && (f == nil || !f.done)
	})
}

func (rev *revision) newerThan(other *revision) bool {
	if other == nil {
		return true
	}
	if order := rev.touched().Compare(other.touched()); order != 0 {
		return order > 0
	}
	return rev.commit < other.commit
}

// newest is the commit whose snapshot changed last, empty if there is none.
func (revs *revisions) newest() string {
	var found *revision
	for _, rev := range revs.byCommit {
		if !rev.linked.IsZero() && (found == nil || rev.linked.After(found.linked)) {
			found = rev
		}
	}
	if found == nil {
		return ""
	}
	return found.commit
}
