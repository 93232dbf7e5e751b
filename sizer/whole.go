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

// lacksAll reports whether what has come is only what stands beside what a
// repository of its kind is for, where nobody asked for just that.
func (p *pass) lacksAll(pl *play, paths []string) bool {
	switch p.kind(pl) {
	case hfcache.Model:
		return hfcache.Weightless(paths) && (pl.wanted == nil || p.hadWeights(pl))
	case hfcache.Dataset:
		return hfcache.Dataless(paths) && pl.wanted == nil
	default:
		return false
	}
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
