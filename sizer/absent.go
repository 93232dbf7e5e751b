package sizer

import (
	"cmp"
	"slices"
)

// maxAbsent bounds how many files that are not there a look names.
const maxAbsent = 3

// Absent is a listed file that is not there. Path is untrusted text, Size what
// is listed.
type Absent struct {
	Path string
	Size int64
}

// miss names a file that is not there: the largest count most.
func (l *Look) miss(f *file) {
	if f.path == "" {
		return
	}
	a := Absent{Path: f.path, Size: f.want}
	at, _ := slices.BinarySearchFunc(l.Absent, a, func(x, y Absent) int {
		return cmp.Or(cmp.Compare(y.Size, x.Size), cmp.Compare(x.Path, y.Path))
	})
	if at < maxAbsent {
		l.Absent = slices.Insert(l.Absent, at, a)
		l.Absent = l.Absent[:min(len(l.Absent), maxAbsent)]
	}
}
