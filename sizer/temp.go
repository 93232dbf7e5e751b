package sizer

import (
	"iter"
	"time"
)

// temps are the files of that kind in the root.
type temps struct {
	mark  mark
	found map[string]*temp
	// unlocked is when a repository was last seen to hold no lock that may stand
	// for such a file, while there are some.
	unlocked map[string]time.Time
	// loose are those of Rust's clients; see stageLoose. mayLoose: where they
	// lie there was a name when the root was listed.
	mayLoose  bool
	looseMark mark
	loose     map[string]*temp
}

// A temp is one of them. Where it counts, what was counted is its base.
type temp struct {
	partial
	born, seen time.Time
	// owner is the folder of the repository that claimed it at claimed.
	owner   string
	claimed time.Time
	// contested: it was seen when more than one might have made it. forsaken: its owner
	// was removed, and though its client may live on, it is nobody's from then on.
	contested, forsaken bool
}

// strangers are such files, and those of other clients in the root, that nobody
// claims.
type strangers struct {
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

func (t *temps) all() iter.Seq[*temp] {
	return func(yield func(*temp) bool) {
		for _, found := range []map[string]*temp{t.found, t.loose} {
			for _, one := range found {
				if !yield(one) {
					return
				}
			}
		}
	}
}

func (t *temps) noteUnlocked(folder string, now time.Time) {
	if t.unlocked == nil {
		t.unlocked = make(map[string]time.Time)
	}
	if _, known := t.unlocked[folder]; known || len(t.unlocked) < maxSearched {
		t.unlocked[folder] = now
	}
}

func (l stagingLocks) none() bool { return len(l.bare)+len(l.again) == 0 }

// growing: it was seen to, lately and since somebody claimed it last.
func (t *temp) growing(now time.Time) bool {
	return t.grown.After(t.claimed) && now.Sub(t.grown) < grace
}

func release(t *temp, now time.Time) { t.owner, t.claimed, t.live = "", now, false }

// maxTemps bounds how many are looked at.
const maxTemps = 256

// In how many looks a file that has left the root is found in its place at the latest: in
// the next but one, but a server may take seconds to move it.
const (
	landsWithin    = 2
	landsOnAServer = 20
)

// Bounds of a search for lock files beside the blobs: a repository with more
// names counts for several.
const (
	maxSearched = 4096
	namesOfOne  = 64
)
