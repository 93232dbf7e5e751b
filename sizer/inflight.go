package sizer

import (
	"cmp"
	"slices"
)

// maxInFlight bounds how many files in flight a look names.
const maxInFlight = 8

// InFlight is a file that is being written.
type InFlight struct {
	// Etag tells one file from another; Name is its path where known, else
	// its etag. Both are untrusted text.
	Etag, Name string
	// Bytes of it on disk, and its listed size; 0 if unknown.
	Bytes, Size int64
}

// inFlight is what is known of a file whose partial is live.
func (part *partial) inFlight(f *file) InFlight {
	in := InFlight{Etag: part.Etag, Name: part.Etag, Bytes: part.bytes}
	if f == nil {
		return in
	}
	if f.path != "" {
		in.Name = f.path
	}
	if f.want > 0 {
		in.Size, in.Bytes = f.want, min(part.bytes, f.want)
	}
	return in
}

// named sorts files in flight by name and keeps the first of them.
func named(files []InFlight) []InFlight {
	slices.SortFunc(files, func(a, b InFlight) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Etag, b.Etag))
	})
	return slices.Clone(files[:min(len(files), maxInFlight)])
}
