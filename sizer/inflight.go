package sizer

import (
	"cmp"
	"slices"
	"strings"
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

// nameRequested names the one file in flight that nothing lists after the one
// that the command line asks for by name and that has no link yet. Of more than
// one nothing tells which is which.
func (pl *play) nameRequested(p *pass, flying []InFlight) {
	if pl.listed || len(flying) != 1 || flying[0].Name != flying[0].Etag || len(pl.wanted) != 1 {
		return
	}
	links := p.linkedPaths(pl)
	var left []string
	for _, path := range pl.wanted[0].Include {
		if strings.ContainsAny(path, `*?[\`) || strings.HasSuffix(path, "/") {
			return // a pattern
		}
		if !slices.Contains(links, path) {
			left = append(left, path)
		}
	}
	if len(left) == 1 {
		flying[0].Name = left[0]
	}
}
