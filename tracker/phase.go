package tracker

import (
	"encoding/json"
	"slices"
)

// A Phase is where in its life a download is. It is in one at a time, and in the
// state directory by this name.
type Phase string

// The phases, in the order of a life.
const (
	// PhaseAnnounced: a run has begun, of which nothing shows on disk.
	PhaseAnnounced Phase = "announced"
	// PhaseHeld: something is on disk, and the first lines wait for the hub's answer.
	PhaseHeld Phase = "held"
	// PhaseActive: it is thought to be going on, or might.
	PhaseActive Phase = "active"
	// PhaseStalled: reported stalled, and no byte has come since.
	PhaseStalled Phase = "stalled"
	// PhaseInterrupted: reported interrupted, and nothing has gone on since.
	PhaseInterrupted Phase = "interrupted"
	// PhaseFailed: reported failed, and no new attempt has begun since.
	PhaseFailed Phase = "failed"
	// PhaseOver: its last line was reported, or its repository is gone.
	PhaseOver Phase = "over"
)

// follows has for each phase those that may come after it.
var follows = map[Phase][]Phase{
	PhaseAnnounced:   {PhaseActive, PhaseFailed, PhaseOver},
	PhaseHeld:        {PhaseActive, PhaseFailed, PhaseOver},
	PhaseActive:      {PhaseStalled, PhaseInterrupted, PhaseFailed, PhaseOver},
	PhaseStalled:     {PhaseActive, PhaseInterrupted, PhaseFailed, PhaseOver},
	PhaseInterrupted: {PhaseActive, PhaseFailed, PhaseOver},
	PhaseFailed:      {PhaseActive, PhaseOver},
	PhaseOver:        nil,
}

// mayFollow reports whether a download that is in one phase may come into another.
func (p Phase) mayFollow(before Phase) bool {
	return p == before || slices.Contains(follows[before], p)
}

// Over reports whether the episode has ended; Memory is then what remains of it.
func (ep *Episode) Over() bool { return ep.Phase == PhaseOver }

// UnmarshalJSON also reads a record of before there was a phase, which has flags.
func (ep *Episode) UnmarshalJSON(raw []byte) error {
	type plain Episode
	old := struct {
		*plain
		Stalled     bool `json:"stalled"`
		Interrupted bool `json:"interrupted"`
		Failed      bool `json:"failed"`
		Over        bool `json:"over"`
	}{plain: (*plain)(ep)}
	if err := json.Unmarshal(raw, &old); err != nil {
		return err
	}
	switch {
	case ep.Phase != "":
	case old.Over:
		ep.Phase = PhaseOver
	case old.Failed:
		ep.Phase = PhaseFailed
	case old.Interrupted:
		ep.Phase = PhaseInterrupted
	case old.Stalled:
		ep.Phase = PhaseStalled
	case ep.Play == "":
		ep.Phase = PhaseAnnounced
	default:
		ep.Phase = PhaseActive
	}
	return nil
}
