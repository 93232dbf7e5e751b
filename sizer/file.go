package sizer

import (
	"time"
)

// A role is what a file is to a download.
type role struct {
	// wanted: it is part of the download. loose: it has no etag that is
	// known, but lies in a snapshot itself. out: it is left out of the total
	// as long as nothing comes of it.
	wanted, loose, out bool
	// anew: it is there, and is being fetched again into the root.
	anew bool
}

// An arrival is how a file came to its place, done if it has.
type arrival struct {
	// isNew: it came in this play; own: also where a restart has made that
	// forgotten; known: counted before.
	done, isNew, own, known bool
}

// A file is one blob of the download, however many paths name it.
type file struct {
	etag string
	want int64 // listed size, -1 if unlisted
	// content is the listed etag, empty if unlisted.
	content string

	path  string
	paths int32
	// elsewhere is how many of its paths are not kept.
	elsewhere int32
	role
	arrival

	size  int64 // of a finished file, without its holes
	holes int64
	inode uint64    // the last one that it had when it was finished
	came  time.Time // when it was put in its place
	// checked is when it was last looked at there.
	checked time.Time
	// born is when it was made, as it was asked for when it came at bornAt.
	born, bornAt time.Time

	part    *partial
	former  *partial // the last one that counted
	counted int64
}

func (f *file) name(path string) {
	f.wanted = true
	f.paths++
	if f.path == "" || path < f.path {
		f.path = path
	}
}

// finished: its blob is there, and is not just being fetched anew.
func (f *file) finished() bool {
	return f.done && !f.anew && (f.part == nil || !f.part.live || f.isNew)
}

// now is what of the file is on disk.
func (f *file) now() int64 {
	switch {
	case f.finished():
		return f.size
	case f.part == nil:
		return 0
	case f.want >= 0:
		return min(f.part.bytes, f.want)
	default:
		return f.part.bytes
	}
}

// before is what of the file was there before the play.
func (f *file) before() int64 {
	switch {
	case f.finished():
		if f.isNew {
			return 0
		}
		return f.size
	case f.part != nil:
		return min(f.part.base, f.now())
	default:
		return 0
	}
}

// foundThere: it was there before the play, and only now is it known to be
// part of it, or that nobody fetches it anew any more. Nothing was transferred.
func (f *file) foundThere() bool { return f.finished() && !f.isNew && (f.former == nil || !f.own) }

// label is what to call the file by.
func (f *file) label() string {
	if f.path != "" {
		return f.path
	}
	return f.etag
}

// take counts part for the file from now on. What another attempt wrote is
// lost; what this one wrote since arrives.
func (f *file) take(part *partial) {
	f.part = part
	if f.former != nil && f.former != part {
		f.counted = min(part.base, f.now())
	}
	f.former = part
}

// belongs: the partial holds what the file is to be, as far as can be known.
func (part *partial) belongs(f *file) bool {
	return part.content == "" || f.content == "" || part.content == f.content
}
