package tracker

import (
	"progressd/downloader"
	"progressd/sizer"
)

// proven reports whether the look itself proves the download complete. A file
// of the wrong size outweighs any proof.
func proven(look sizer.Look) bool {
	return look.Proof != sizer.NoProof && look.Mismatched == nil
}

// listed reports whether there is any listing to check against.
func listed(look sizer.Look) bool {
	return look.TotalSource != sizer.NoTotal || look.Total > 0 || look.Files > 0 || look.Missing > 0
}

// abandoned reports whether every downloader that was seen is gone and none
// that wasn't seen holds a lock.
func abandoned(look sizer.Look) bool {
	_, alive := latest(look.Downloaders, look.Alive)
	return len(look.Downloaders) > 0 && !alive && !look.Locked
}

// working reports whether somebody is known to be at it: a lock is held, or a
// program that was started to download has not exited.
func working(look sizer.Look) bool {
	if look.Locked {
		return true
	}
	for i := range min(len(look.Downloaders), len(look.Alive)) {
		if look.Alive[i] && look.Downloaders[i].Request != nil {
			return true
		}
	}
	return false
}

// quiet reports whether nothing is under way.
func quiet(look sizer.Look) bool {
	return !working(look) && look.Partials == 0 && !look.Unseen
}

// attempting reports whether an attempt is going on. A lock alone is none: a
// loader takes it for a file that is there, too.
func attempting(look sizer.Look) bool { return look.Partials > 0 }

// fetching reports whether an attempt is at a file. A lock alone isn't: a file
// that is there takes its lock too. A partial alone isn't: it may be dead.
func fetching(look sizer.Look) bool { return look.Locked && look.Partials > 0 }

// latest picks the downloader to name: the last one that lives, else the last.
func latest(all []downloader.Process, alive []bool) (*downloader.Process, bool) {
	if len(all) == 0 {
		return nil, false
	}
	for i := min(len(all), len(alive)) - 1; i >= 0; i-- {
		if alive[i] {
			return &all[i], true
		}
	}
	return &all[len(all)-1], false
}
