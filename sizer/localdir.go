package sizer

import (
	"slices"
	"strings"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

const stage = "/" + hfcache.LocalStage

// A tree is what is kept between looks of a directory filled by --local-dir.
type tree struct {
	// dirs are those beneath download/ by path, that itself under "". The
	// directory of a path moves no time stamp but its own.
	dirs map[string]*treeDir
	// notes are the metadata of files by path, read while a play is on.
	notes map[string]note
	// stirring: some directory has changed just now. lean: of some directories
	// less is kept than there is.
	stirring, lean bool
	// kept is how many names of metadata are; samples are some of the others.
	kept    int
	crowd   crowd
	turn    int
	samples samples
	// sign is when something came of which nobody knew the downloader.
	sign time.Time
}

type treeDir struct {
	mark     mark
	names    fsys.Tally
	listed   time.Time // with other names than before
	relisted bool
	subs     []string // paths
	locks    []lockFile
	noted    []string // paths of files that have metadata, but for those that are settled
	partials []partialName
	// due is when it is looked at again, where there are many.
	due time.Time
	// unread: there are more noted ones. beyond: their metadata weren't read.
	unread, beyond bool
}

type partialName struct {
	path string // beneath download/
	name hfcache.LocalPartial
}

// A note is what a client has written about a file when it was in its place.
type note struct {
	mark         mark
	size         int64
	commit, etag string
	// checked is when it was last looked whether it is so.
	checked time.Time
}

const (
	// maxTreeDirs bounds how many directories beneath download/ are looked
	// at, maxStaged how many entries of one.
	maxTreeDirs = maxBranches
	maxStaged   = 4 * maxLocks
	// leanAfter is how long after its last change of a directory among many
	// nothing is kept but how many files it holds.
	leanAfter = 30 * time.Second
	// restsFor is at least how long, and no more than twice as long, a directory
	// among many isn't looked at in which nothing has changed for a while.
	restsFor = 15 * time.Second
)

// maxNote is far more than a client writes, in bytes.
const maxNote = 4096

func newTree() *tree { return &tree{dirs: make(map[string]*treeDir), notes: make(map[string]note)} }

// changed is when names last came or went, as far as is known.
func (td *treeDir) changed() time.Time {
	if td.mark.vague {
		return td.listed
	}
	return td.mark.mtime
}

// hashes tells by the names of locks and metadata which files the hashes in
// the names of partials stand for.
func (td *treeDir) hashes() map[string]string {
	byHash := make(map[string]string)
	add := func(file string) { byHash[hfcache.LocalHash(file[strings.LastIndexByte(file, '/')+1:])] = file }
	for _, l := range td.locks {
		add(l.etag)
	}
	for _, file := range td.noted {
		add(file)
	}
	return byHash
}

// newest gives the directories of which something is kept, the one first that
// changed last.
func (t *tree) newest() []*treeDir {
	var found []*treeDir
	for _, td := range t.dirs {
		if len(td.noted)+len(td.locks)+len(td.partials) > 0 || td.unread || td.mark.young {
			found = append(found, td)
		}
	}
	slices.SortFunc(found, func(a, b *treeDir) int { return b.changed().Compare(a.changed()) })
	return found
}

// vouches reports whether the file is as it was when its note was written: the
// rule, with its second, by which the client itself believes it.
func vouches(written time.Time, e fsys.Entry) bool { return !e.Mtime.After(written.Add(time.Second)) }

func beneath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func parentOf(path string) string { return path[:max(strings.LastIndexByte(path, '/'), 0)] }

// A crowd are the locks beneath download/, where one is left for each file. Of very many
// those in the directories that changed last are kept: no more are looked at.
type crowd struct {
	kept int
	// left are those that were kept when some were given up last.
	left int
	// since: directories that changed before have none that are looked at.
	since time.Time
}
