package sizer

import (
	"time"

	"progressd/fsys"
	"progressd/hfcache"
)

// A partial is a blob that is being written, or was.
type partial struct {
	hfcache.BlobName
	// content is the etag of what it is to be, where Etag is a path.
	content string

	ino   uint64
	size  int64 // st_size at the last look
	bytes int64 // truly written: never falls but with st_size
	// allocated is what it takes of the disk, 0 if unknown.
	allocated int64
	mtime     time.Time
	// foundAt is when it was first measured, seen when it was last.
	foundAt, seen time.Time
	// base is what lay in it when the play began, or when it was found.
	base int64
	// grown is when it last grew, or was written to without growing; zero
	// if nobody saw that. touched is when the latter was.
	grown, touched time.Time
	origin
	standing
	// spent: its blob is there; asked: that was found out, at rest.
	asked, spent bool
	// commit is the revision for which it was last written, empty if that
	// isn't known.
	commit string
}

// An origin is where a partial comes from.
type origin struct {
	// fresh: it was made while somebody watched; preexisting: it lay there
	// before, and no play of it was seen to end.
	fresh, preexisting bool
	// counted: a former play, or a former life, has counted it; resumed: the play has
	// brought it in a former life of the daemon.
	counted, resumed bool
}

// A standing is what a partial counts for.
type standing struct {
	// attached: it is counted as its blob's content; see judge. superseded: its
	// attempt is over or a better one of its blob is there, and it hasn't
	// grown since.
	live, attached, superseded bool
}

// maxPartials bounds what a hostile repository can make us keep.
const maxPartials = 4096

// grace is how long after its last growth a partial counts as live where no
// lock says so: a client fills 10 MiB before it writes.
const grace = 30 * time.Second

// lockMemory bridges a lock that one reading of /proc/locks missed: the
// kernel gives a long table a page at a time, and it moves in between.
const lockMemory = 1500 * time.Millisecond

func (part *partial) measure(e fsys.Entry, written int64, now time.Time) {
	if e.Inode != part.ino || e.Size < part.size && !part.cut(e) {
		// Truncated, or another file under the name: it begins again.
		part.ino, part.bytes, part.base = e.Inode, written, 0
		part.grown, part.superseded = now, false
	} else if part.unwritten(e, now) {
		// No byte has come, whatever the blocks say.
	} else if written > part.bytes || e.Size > part.size {
		part.grown, part.superseded = now, false
		part.bytes = max(part.bytes, written)
	} else if !e.Mtime.Equal(part.mtime) {
		// Old content written over (hf_xet <= 1.2), or a length that says
		// nothing: bytes come that can't be counted.
		part.grown, part.touched, part.superseded = now, now, false
	}
	part.size, part.mtime, part.seen = e.Size, e.Mtime, now
}

// cut reports whether a preallocated partial has lost no more than the counter
// behind its content: it is whole.
func (part *partial) cut(e fsys.Entry) bool {
	return part.Preallocated && e.Size == part.size-hfcache.PartCounter
}

// unwritten reports whether nothing was written since the last look. The blocks of
// a file may be more all the same: where it has many pieces, ext4 keeps the list of
// them in a block of its own, and counts that when it writes the file back, which
// is half a minute after the last write, and after its writer's death.
func (part *partial) unwritten(e fsys.Entry, now time.Time) bool {
	longAgo := part.seen.Sub(e.Mtime) > mtimeStep || now.Sub(e.Mtime) >= fsys.Coarse
	return e.Size == part.size && e.Mtime.Equal(part.mtime) && longAgo
}

// mtimeStep is how coarse the times are that a kernel stamps on writes, before
// Linux 6.13: a jiffy, and as much for the look.
const mtimeStep = 2 * fsys.Tick

// index is how the listing that a partial is fetched for has it.
func (part *partial) index() string {
	if part.content == "" {
		return part.Etag
	}
	return indexed(part.Etag, part.content)
}

// bornOr is when a file was made: where that isn't kept, no later than when it
// was last written to.
func bornOr(born time.Time, e fsys.Entry) time.Time {
	if born.IsZero() {
		return e.Ctime
	}
	return born
}

// indexed tells the content that one revision has at a path from another's.
func indexed(path, etag string) string { return path + "\x00" + etag }
