package tracker

import (
	"time"

	"progressd/fsys"
	"progressd/sizer"
)

// An Input is one thing that a Tracker is given; one of its fields is set. All
// that it says follows from its Settings, what it was given by Restore and
// Remember, and its inputs, in their order: so whoever keeps them can have the same
// said again.
type Input struct {
	Look   *sizer.Look `json:"look,omitempty"`
	Root   *RootChange `json:"root,omitempty"`
	Report *Report     `json:"report,omitempty"`
	// Tick is the time, where nothing but that has passed.
	Tick time.Time `json:"tick,omitzero"`
}

// At is when it was so. It carries a monotonic reading, unless it was read from
// somewhere.
func (in Input) At() time.Time {
	switch {
	case in.Look != nil:
		return in.Look.At
	case in.Root != nil:
		return in.Root.At
	case in.Report != nil:
		return in.Report.At
	default:
		return in.Tick
	}
}

// A RootChange tells which directory the path of a root leads to from now on.
// It comes before the first look there.
type RootChange struct {
	Root string
	At   time.Time
	// Gone: there is none.
	Gone bool
	// Home is the directory, if it isn't gone.
	Home fsys.Identity
}
