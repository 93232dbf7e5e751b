package sizer

import (
	"slices"
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

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
