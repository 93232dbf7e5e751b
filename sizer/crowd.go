package sizer

import "time"

// countLocks counts them anew.
func (t *tree) countLocks() {
	t.crowd.kept = 0
	for _, td := range t.dirs {
		t.crowd.kept += len(td.locks)
	}
	if t.crowd.kept < maxLocks {
		t.crowd.since, t.crowd.left = time.Time{}, 0
	}
}

// wantsLocks reports whether the locks in a directory may be looked at: also those that tell
// of which file a partial is.
func (t *tree) wantsLocks(td *treeDir) bool {
	return td.mark.vague || len(td.partials) > 0 || !td.mark.mtime.Before(t.crowd.since)
}

// keepLocks keeps those of one more directory, and gives up others if there are too many.
func (t *tree) keepLocks(td *treeDir) {
	if t.crowd.kept += len(td.locks); t.crowd.kept <= 2*max(maxLocks, t.crowd.left) {
		return // to give up some takes a look at all directories
	}
	t.crowd.kept = len(td.locks)
	for _, other := range t.newest() {
		if t.crowd.kept >= maxLocks && len(other.partials) == 0 {
			t.crowd.since = later(t.crowd.since, other.changed())
			other.locks = nil
		}
		t.crowd.kept += len(other.locks)
	}
	t.crowd.left = t.crowd.kept
}
