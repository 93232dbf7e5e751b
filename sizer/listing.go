package sizer

import (
	"slices"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// A listing is a parsed tree file.
type listing struct {
	file  mark
	size  int64
	files []hfcache.ListedFile
	// byIndex has the index that the layout gives each file.
	byIndex map[string]bool
	// inventory stands for the files where they are too many to be kept.
	inventory *inventory
	// read is when it was; refused, when there was no memory for it, else zero.
	read, refused time.Time
}

// A treeFile is where a listing lies.
type treeFile struct {
	name  string
	entry fsys.Entry
}

// An inventory says of a listing that is too long to be kept how many files there
// are, how large they are, and whether a file is one of them. The download is
// then followed as one without a listing; the end is proven by the text.
type inventory struct {
	// indexes are the hashes of what the layout's index gives, sorted.
	indexes []uint64
	// all counts the paths; files and total are of those that are wanted.
	all, files int
	total      int64
	// apart is the total where each path is a file of its own.
	apart int64
	// wanted is what files and total were worked out for.
	wanted []hfcache.Filter
	// tried is when it was last tried to prove it.
	tried time.Time
}

const (
	// maxListed is how many files a listing may have that is kept as a whole. Of a
	// longer one an inventory is made.
	maxListed = 4096
	// inventoryBytes is what a file takes of memory in it, and countedBytes while
	// it is made (seen).
	inventoryBytes = 9
	countedBytes   = 48
	// proofAgain is how long after a proof that has failed the next is tried: each
	// file is looked at for one.
	proofAgain = time.Minute
)

// current reports whether a listing is that of the file as it is now. One that
// was young when it was read may have changed since without its time showing it.
func (l *listing) current(f treeFile, now time.Time) bool {
	if l == nil {
		return false
	}
	settled := l.file
	settled.young = false
	switch {
	case settled.rewritten(f.entry) || l.size != f.entry.Size:
		return false
	case !l.refused.IsZero():
		return now.Sub(l.refused) < refusedAgain
	default:
		return !l.file.young || l.read.Equal(now)
	}
}

func (i *inventory) lists(index string) bool {
	_, found := slices.BinarySearch(i.indexes, hashOf(index))
	return found
}

// newListing makes a listing of files that are sorted and checked.
func newListing(files []hfcache.ListedFile, index func(hfcache.ListedFile) string) *listing {
	l := &listing{files: files, byIndex: make(map[string]bool, len(files))}
	for _, listed := range files {
		l.byIndex[index(listed)] = true
	}
	return l
}

// memoryOf is what a listing takes, in bytes.
func memoryOf(files int, text int64) int64 {
	return int64(files)*(listedBytes+playedBytes) + text
}

// What a listed file takes of memory, in bytes (seen): its entry in a listing
// beside the text of its path and its etag, and once more in a play.
const (
	listedBytes = 180
	playedBytes = 220
	// shortest is the least that a file takes in a listing's text.
	shortest = 64
)

// refusedAgain is how soon a listing for which there was no memory is asked for
// again.
const refusedAgain = 10 * time.Second

// longEntry is what an entry takes of a listing's text, as a rule, at most.
const longEntry = 512
