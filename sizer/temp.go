package sizer

import (
	"iter"
	"time"
)

// rootTempFiles are the files in a root that clients write there until they are whole: found
// are those of huggingface_hub <= 0.22, rust those of Rust's hf-hub <= 0.3, in a
// directory of their own.
type rootTempFiles struct {
	mark  mark
	found map[string]*rootTemp
	// unlocked is when a repository was last seen to hold no lock that may stand
	// for such a file, while there are some.
	unlocked map[string]time.Time
	// mayBeUnattributed: where the latter lie there was a name when the root was listed.
	mayBeRust bool
	rustMark  mark
	rust      map[string]*rootTemp
}

// A rootTemp is one of them. Where it counts, what was counted is its base.
type rootTemp struct {
	partial
	born, seen time.Time
	// owner is the folder of the repository that claimed it at claimed.
	owner   string
	claimed time.Time
	// contested: it was seen when more than one might have made it. forsaken: its owner
	// was removed, and though its client may live on, it is nobody's from then on.
	contested, forsaken bool
}

// unattributed counts the files in the root that no repository claims, as far as they may
// be this play's.
type unattributed struct {
	seen, left int
	growing    bool
	// since is from when on what was written to may be of this play, zero until it is asked for.
	since time.Time
}

// stagingLocks are the held locks that may stand for a file in the root, of
// holders that may write there: bare ones of blobs that have neither a partial
// nor a finished blob, and those of blobs that are there, which may be fetched
// again. Those over a partial that an attempt before has left may be of one that goes
// on with it, or of one that doesn't care for it.
type stagingLocks struct{ bare, again, over map[string]bool }

func (t *rootTempFiles) all() iter.Seq[*rootTemp] {
	return func(yield func(*rootTemp) bool) {
		for _, found := range []map[string]*rootTemp{t.found, t.rust} {
			for _, one := range found {
				if !yield(one) {
					return
				}
			}
		}
	}
}

func (t *rootTempFiles) noteUnlocked(folder string, now time.Time) {
	if t.unlocked == nil {
		t.unlocked = make(map[string]time.Time)
	}
	if _, known := t.unlocked[folder]; known || len(t.unlocked) < maxSearched {
		t.unlocked[folder] = now
	}
}

func (l stagingLocks) none() bool { return len(l.bare)+len(l.again) == 0 }

// growing: it was seen to, lately and since somebody claimed it last.
func (t *rootTemp) growing(now time.Time) bool {
	return t.grown.After(t.claimed) && now.Sub(t.grown) < grace
}

func release(t *rootTemp, now time.Time) { t.owner, t.claimed, t.live = "", now, false }

// maxTemps bounds how many are looked at.
const maxTemps = 256

// In how many looks a file that has left the root is found in its place at the latest: in
// the next but one, but a server may take seconds to move it.
const (
	landsWithin    = 2
	landsOnAServer = 20
)
