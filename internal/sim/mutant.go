package sim

import (
	"progressd/state"
)

// A mutant is a daemon that is broken in one way, to show that the judge sees
// it. The zero mutant is the daemon as it ships.
type mutant struct {
	name string
	// said changes what is said.
	said func(state.Putter) state.Putter
}

// outlet is the recorder as the mutant has it.
func (m mutant) outlet(r *recorder) state.Putter {
	if m.said == nil {
		return r
	}
	return m.said(r)
}
