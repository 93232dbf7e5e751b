package tracker

import (
	"encoding/json"
	"slices"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
)

// Episode is what has to survive a restart about one download: from preparing
// to its end. It is JSON in the state directory.
type Episode struct {
	// ID is unique; event ids derive from it.
	ID   string `json:"id"`
	Root string `json:"root"`
	// Home is the directory that Root led to when it was last seen there.
	Home  fsys.Identity `json:"home,omitzero"`
	Repo  hfcache.Repo  `json:"repo"`
	Play  string        `json:"play"`
	Phase Phase         `json:"phase"`
	Began time.Time     `json:"began"`
	// Seq numbers the events told so far.
	Seq int `json:"seq"`
	// Announced is the highest step told, in bytes; Bytes the newest count
	// and Peak its highest.
	Announced int64 `json:"announced"`
	Base      int64 `json:"base"`
	Bytes     int64 `json:"bytes"`
	Peak      int64 `json:"peak"`
	// BytesBeforeLoss is the count from which bytes were lost while no attempt was
	// going on to say so, 0 if nothing was lost: it speaks against
	// completion until a new attempt makes it good.
	BytesBeforeLoss int64     `json:"fell,omitempty"`
	LastByteAt      time.Time `json:"last_byte_at"`
	// Took is how long after the beginning that byte came, by a clock that
	// nobody sets; Unwatched: it came while no daemon ran, so when isn't
	// known. Ahead is how many bytes the first look found to have come
	// already: how long they took isn't known.
	Took       time.Duration `json:"took,omitempty"`
	Unwatched  bool          `json:"unwatched,omitempty"`
	Ahead      int64         `json:"ahead,omitempty"`
	LastLineAt time.Time     `json:"last_line_at"`
	// TakenOverAt is when the downloader that is at work was first seen: its
	// silence is no older.
	TakenOverAt time.Time `json:"taken_over_at,omitzero"`
	// Unattributed: bytes came when all downloaders that were seen were gone,
	// so that it isn't known who downloads, nor when that one is gone.
	Unattributed bool `json:"stranger,omitempty"`
	// TotalDropped: bytes once passed the total; it is not used again.
	TotalDropped bool `json:"total_dropped,omitempty"`
	// Told is the highest percentage told, in tenths, 0 if none was.
	Told   int64         `json:"told,omitempty"`
	Warned map[Kind]bool `json:"warned,omitempty"`
	// Room is what was said of the room on the disk. DiskFull: it was full
	// when the download last went on.
	Room     Disk `json:"room,omitempty"`
	DiskFull bool `json:"disk_full,omitempty"`
	// Checkpoint is what the reader of the disk is given back after a restart.
	Checkpoint sizer.Checkpoint `json:"memory"`
}

// Named is what the repository is called: itself, or what is known to be
// downloaded into the directory that it is.
func (ep *Episode) Named() hfcache.Repo {
	switch {
	case ep.Repo.Type != hfcache.Local:
		return ep.Repo
	case ep.Checkpoint.Name.ID != "":
		return ep.Checkpoint.Name
	default:
		return ep.Repo.LocalName(ep.Root)
	}
}

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

// Over reports whether the episode has ended; Checkpoint is then what remains of it.
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
