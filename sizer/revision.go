package sizer

import (
	"cmp"
	"maps"
	"path"
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

// A link of a snapshot leads from a path in it to a blob.
type link struct{ path, etag string }

// A linkDir is one directory of a snapshot, as it was when it was last read.
type linkDir struct {
	mark mark
	// links are those that aren't settled, places the files that are no links.
	links  []link
	places map[string]fsys.Entry
	subs   []string // paths
}

// samples are some of the paths that aren't kept: enough to tell what kind of
// files there are, and all that are numbered or may be weights.
type samples struct {
	paths []string
	kinds map[string]bool
}

// maxRevisions bounds how many revisions are known: the newest.
const maxRevisions = 16

const (
	// maxLinks bounds how many links of a snapshot are known for which nothing is
	// done: each may be a block read from the disk, and nothing is told meanwhile.
	maxLinks = 4000
	maxDepth = 16
	// maxOpen bounds how many files of one download are known that can't be
	// settled, maxBranches in how many directories they lie.
	maxOpen     = 1 << 15
	maxBranches = 1 << 16
)

const (
	maxSamples = 1 << 15
	maxKinds   = 1 << 10
)

func sortLinks(links []link) {
	slices.SortFunc(links, func(a, b link) int { return strings.Compare(a.etag, b.etag) })
}

func (s *samples) add(name string) {
	base := path.Base(name)
	_, numbered := hfcache.ShardGroup(name)
	if !numbered && hfcache.WeightFormat(name) == "" {
		kind := strings.ToLower(path.Ext(base))
		if kind == ".json" || strings.HasPrefix(base, "LICENSE") {
			kind = base
		}
		if !strings.Contains(name, "/") {
			kind += "/"
		}
		if s.kinds[kind] || len(s.kinds) >= maxKinds {
			return
		}
		if s.kinds == nil {
			s.kinds = make(map[string]bool)
		}
		s.kinds[strings.Clone(kind)] = true
	}
	if len(s.paths) < maxSamples {
		s.paths = append(s.paths, strings.Clone(name))
	}
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

// inventory is that of the cache's own listing, if that is too long to be kept.
func (rev *revision) inventory() *inventory {
	if !rev.hasTree || rev.listing == nil {
		return nil
	}
	return rev.listing.inventory
}

// lists reports whether a listing of the revision has a file, by its index in the
// layout.
func (rev *revision) lists(index string) bool {
	if l := rev.list(); l != nil {
		return l.byIndex[index]
	}
	i := rev.inventory()
	return i != nil && i.lists(index)
}

// unread: there is a listing, and nobody has had a need for it.
func (rev *revision) unread() bool { return rev.hasTree && rev.listing == nil }

// refused: there is a listing, and there was no memory for it, nor has the hub one.
func (rev *revision) refused() bool {
	return rev.hasTree && rev.listing != nil && !rev.listing.refused.IsZero() && !rev.listed()
}

// bareLinked: it has a snapshot, and there is no listing of it.
func (rev *revision) bareLinked() bool {
	return !rev.listed() && !rev.unread() && !rev.linked.IsZero()
}

// linksTo reports whether a link of the snapshot leads to a blob.
func (rev *revision) linksTo(etag string) bool {
	_, found := slices.BinarySearchFunc(rev.links, etag, func(l link, etag string) int {
		return strings.Compare(l.etag, etag)
	})
	return found
}

// forgetLinks has all read anew.
func (rev *revision) forgetLinks() {
	rev.links, rev.places, rev.dirs, rev.samples = nil, nil, nil, samples{}
	rev.linksMark, rev.linksRead, rev.cut, rev.branched = mark{}, time.Time{}, false, time.Time{}
}

// collect gives the revision what was found in its directories.
func (rev *revision) collect() {
	n := 0
	rev.branched = time.Time{}
	for _, d := range rev.dirs {
		n += len(d.links)
		rev.branched = later(rev.branched, d.mark.mtime)
	}
	rev.links, rev.places = make([]link, 0, n), make(map[string]fsys.Entry)
	for _, d := range rev.dirs {
		rev.links = append(rev.links, d.links...)
		for at, e := range d.places {
			rev.places[at] = e
		}
	}
	sortLinks(rev.links)
	if !rev.linked.IsZero() {
		rev.linked = later(rev.linked, rev.branched)
	}
	top := rev.dirs[""]
	rev.flat = top != nil && len(rev.dirs) == 1 && len(top.places) == 0
}

// bare: its files lie in the snapshot themselves.
func (rev *revision) bare() bool {
	return len(rev.places) > 0 && len(rev.links)+len(rev.samples.paths) == 0
}

// appendPaths appends the paths of the revision that are known one by one.
func (rev *revision) appendPaths(paths []string) []string {
	paths = slices.Grow(paths, len(rev.links)+len(rev.samples.paths))
	for _, l := range rev.links {
		paths = append(paths, l.path)
	}
	return append(paths, rev.samples.paths...)
}

func (rev *revision) name() string {
	if rev == nil {
		return ""
	}
	return rev.commit
}

// lastTouched is when something was last done for the revision.
func (rev *revision) lastTouched() time.Time { return later(rev.written, rev.linked) }

// touched is when the downloader that wants the revision began: it writes the
// listing first. Without one, the snapshot must do.
func (rev *revision) touched() time.Time {
	if rev.ownList() || rev.inventory() != nil {
		return rev.written
	}
	return rev.linked
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

func (revs *revisions) at(commit string) *revision {
	rev := revs.byCommit[commit]
	if rev == nil {
		rev = &revision{commit: commit}
		revs.byCommit[commit] = rev
	}
	return rev
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

// byTree are the revisions that have a listing, the one first that was written
// last.
func (revs *revisions) byTree() []*revision {
	all := slices.Collect(maps.Values(revs.byCommit))
	all = slices.DeleteFunc(all, func(rev *revision) bool { return !rev.hasTree })
	slices.SortFunc(all, func(a, b *revision) int {
		return cmp.Or(b.written.Compare(a.written), cmp.Compare(b.commit, a.commit))
	})
	return all
}
