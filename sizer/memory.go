package sizer

import (
	"maps"
	"slices"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
)

// Memory is what has to survive a restart about one repository in play, or
// at rest. It is JSON in the state directory.
type Memory struct {
	// Since: a blob whose mtime and ctime are both later came after the
	// last download that was told. Time of the cache's file system.
	Since time.Time `json:"since"`
	// Play identifies the play that is on, empty if none; then its facts.
	// From is its own Since, needed where no revision tells what is its.
	Play        string               `json:"play,omitempty"`
	From        time.Time            `json:"from,omitzero"`
	Revisions   []string             `json:"revisions,omitempty"`
	Base        int64                `json:"base,omitempty"`
	Bytes       int64                `json:"bytes,omitempty"`
	Downloaders []downloader.Process `json:"downloaders,omitempty"`
	// Attempt is when the process began that has taken over last. Succeeded:
	// the revisions are still those of the one before.
	Attempt   time.Time `json:"attempt,omitzero"`
	Succeeded bool      `json:"succeeded,omitempty"`
	// FailedBlobs are the blobs whose attempt failed, so that it is known
	// what mends that; Failed counts those that can't be named.
	Failed      int      `json:"failed,omitempty"`
	FailedBlobs []string `json:"failed_blobs,omitempty"`
	// Copying are the blobs under the lock of a client that writes them
	// under their own names, with its pid; CutOffs those that such a client
	// has left half done, in this play or before.
	Copying map[string]int `json:"copying,omitempty"`
	CutOffs []CutOff       `json:"cut_offs,omitempty"`
	// Unlinked are finished blobs of the play that no revision is known
	// for yet.
	Unlinked []string `json:"unlinked,omitempty"`
	// Kept are the blobs of which partials count that nobody writes to: an
	// attempt before has left them for the next to go on with.
	Kept []string `json:"kept,omitempty"`
	// Settled: long enough in the play it was known which weights are
	// fetched.
	Settled bool `json:"settled,omitempty"`
	// Locks were seen, Partials of its own were: its client writes nothing
	// into the root. BroughtUnseen: a file came of which neither was, perhaps of one
	// more client, which does.
	Locks         bool `json:"locks,omitempty"`
	Partials      bool `json:"partials,omitempty"`
	BroughtUnseen bool `json:"brought_unseen,omitempty"`
	// Name is what a Local repository holds, as its downloader asked for
	// it; zero while nobody knows, and for others.
	Name hfcache.Repo `json:"name,omitzero"`
}

// SameFacts reports whether two memories differ in no more than the numbers
// that move at each look: what else changes, a restart would judge by.
func (m Memory) SameFacts(other Memory) bool {
	return m.Play == other.Play && m.Name == other.Name && m.Failed == other.Failed &&
		m.Succeeded == other.Succeeded && m.Settled == other.Settled && m.Locks == other.Locks && m.Partials == other.Partials && m.BroughtUnseen == other.BroughtUnseen &&
		m.From.Equal(other.From) && m.Attempt.Equal(other.Attempt) &&
		slices.Equal(m.Revisions, other.Revisions) && slices.Equal(m.Downloaders, other.Downloaders) &&
		slices.Equal(m.FailedBlobs, other.FailedBlobs) && slices.Equal(m.Unlinked, other.Unlinked) && slices.Equal(m.Kept, other.Kept) &&
		maps.Equal(m.Copying, other.Copying) && slices.Equal(m.CutOffs, other.CutOffs)
}

// A CutOff is a blob whose client ended while it copied it to its name
// (swift-huggingface 0.8.1): nothing in the cache tells it from a whole one, and
// whoever comes next, of any client, takes it for that and links it. What is
// written or put there anew is another file, or has another size or time.
type CutOff struct {
	Etag string `json:"etag"`
	// Inode is 0 where files are numbered anew each time.
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`
	// Modified is in nanoseconds since 1970.
	Modified int64 `json:"modified"`
}
