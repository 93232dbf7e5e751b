package sizer

import (
	"progressd/fsys"
	"progressd/hfcache"
)

// A layout says where a repository's partials, finished files, locks and
// listings lie, and what tells its files apart. All else is the same for every
// layout. A file's key stands in file.etag, partial.Etag and lockFile.etag.
type layout struct {
	// home holds the finished files under their keys, partials those that are
	// not, trees the listings; all follow the repository's folder.
	home, partials, trees string
	// scan brings the partials up to date and finds new files.
	scan func(*pass) error
	// locks are the lock files that there are.
	locks func(*pass) []lockFile
	// finished tells of a finished file; home is open.
	finished func(p *pass, home fsys.Dir, f *file) (fsys.Entry, error)
	// moved: names came or went since this look began.
	moved func(*pass) bool
	// key tells a listed file from others; index, also from those that
	// another revision has under that key.
	key, index func(hfcache.ListedFile) string
	// evidence is the commits that something is known to be done for.
	evidence func(*pass, *play) map[string]bool
	// snapshots finds the revisions that there are beside the listings,
	// links what files one of them has, linked whether each that is wanted
	// is in its place.
	snapshots func(*pass, *revisions) error
	links     func(*pass, *revision) error
	linked    func(p *pass, rev *revision, wants func(path string) bool) bool
	// rest counts what of the revisions in flight isn't kept, settled gives up
	// what is kept beside the files that are settled now, and recount has all
	// read anew.
	rest func(*pass, *play) error
	// check checks one file of a listing that isn't kept.
	check   func(*checker, *revision, hfcache.ListedFile) error
	settled func(*pass, *play)
	recount func(*pass, *play) error
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

// layoutOf gives the repository's layout, and what that keeps between looks.
func layoutOf(name hfcache.Repo) (*layout, *tree) {
	if name.Type == hfcache.Local {
		return &local, newTree()
	}
	return &cached, nil
}

// parseFolder names the repository that a look at folder is about.
func parseFolder(folder string) (hfcache.Repo, bool) {
	if name, ok := hfcache.ParseFolder(folder); ok {
		return name, true
	}
	return hfcache.LocalRepo(folder)
}
