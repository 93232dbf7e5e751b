package sizer

import (
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// kind is what a repository is, or what is known to be downloaded into the
// directory that it is.
func (p *pass) kind(pl *play) hfcache.RepoType {
	if p.repo.tree != nil {
		return pl.name.Type
	}
	return p.repo.name.Type
}

// newestPaths are those that the newest snapshot has, for a play of which no revision
// is known: a blob was put in its place once more, say.
func (p *pass) newestPaths() (paths []string) {
	commit := p.repo.revs.newest()
	if commit == "" {
		return nil
	}
	rev := p.repo.revs.at(commit)
	if p.repo.layout.links(p, rev) != nil {
		return nil
	}
	for _, l := range rev.links {
		paths = append(paths, l.path)
	}
	return paths
}

// mayBeModel reports whether it is a model as far as is known: what a program puts
// into a directory of its own may be of any kind.
func (p *pass) mayBeModel(pl *play) bool {
	kind := p.kind(pl)
	return kind == hfcache.Model || kind == ""
}

// lacksAll reports whether what has come is only what stands beside what a
// repository of its kind is for, where nobody asked for just that.
func (p *pass) lacksAll(pl *play, paths []string) bool {
	without := p.withoutContent(pl)
	return without != nil && without(paths) && !pl.asksOnlyFor(without)
}

// withoutContent tells of files whether all of them stand beside what a kind of
// repository is for; nil where there is no such thing.
func (p *pass) withoutContent(pl *play) func(files []string) bool {
	switch {
	case p.mayBeModel(pl):
		return hfcache.Weightless
	case p.kind(pl) == hfcache.Dataset:
		return hfcache.Dataless
	default:
		return nil
	}
}

// asksOnlyFor reports whether all who download have asked for such files alone,
// by name or ending. Who names none asks for the whole repository.
func (pl *play) asksOnlyFor(such func(files []string) bool) bool {
	for _, filter := range pl.wanted {
		if !such(filter.Include) {
			return false
		}
	}
	return len(pl.wanted) > 0
}

// unlinkedAge is how long it serves which finished blobs have no link.
const unlinkedAge = time.Second

// unlinkedBlobs counts the finished blobs that no snapshot names, of whatever
// revision: those that one in flight has are known, and others are searched for.
func (p *pass) unlinkedBlobs(pl *play) int {
	if pl.listed || p.repo.tree != nil {
		return 0
	}
	left := make(map[string]bool)
	for _, f := range pl.files {
		if f.wanted && f.paths == 0 && f.finished() {
			left[f.etag] = true
		}
	}
	searched := &pl.search
	if len(left) == 0 || len(left) == searched.among && p.now.Sub(searched.at) < unlinkedAge {
		return min(len(left), searched.unlinked)
	}
	searched.at, searched.among = p.now, len(left)
	p.strikeLinked(left)
	searched.unlinked = len(left)
	return len(left)
}

// A search is when it was looked for links of so many blobs, and how many have
// none.
type search struct {
	at              time.Time
	among, unlinked int
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
