package stream

import (
	"slices"

	"progressd/record"
	"progressd/socket"
)

// Rights say who may see what.
type Rights struct {
	// User is the daemon's own: that and root see all.
	User int
	// Groups gives the numbers of the groups whose members see all: the
	// daemon's, and those who read the system's journal.
	Groups func() []int
	// Owner is the user whose cache lies at a path or around it, -1 if that
	// is unknown.
	Owner func(path string) int
	// Public reports whether everybody can read the models' logs.
	Public func() bool
}

// Visibility is how much of a download one may see.
type Visibility int

// The degrees of visibility.
const (
	Nothing Visibility = iota
	Public             // what the model's log says
	Full
)

// Download is what of a download may be seen.
func (v Visibility) Download(d record.Download) *record.Download {
	if v != Full {
		d = d.Public()
	}
	return &d
}

// all reports whether a reader sees everything.
func (r Rights) all(by socket.Reader) bool {
	return by.UID == 0 || by.UID == r.User || slices.ContainsFunc(r.Groups(), func(gid int) bool { return slices.Contains(by.GIDs, gid) })
}

// Of says what one reader sees of the downloads in a cache. What holds for the
// reader is asked once, whose cache it is each time.
func (r Rights) Of(by socket.Reader) func(root string) Visibility {
	if r.all(by) {
		return func(string) Visibility { return Full }
	}
	others := Nothing
	if r.Public() {
		others = Public
	}
	return func(root string) Visibility {
		if owner := r.Owner(root); owner >= 0 && owner == by.UID {
			return Full
		}
		return others
	}
}
