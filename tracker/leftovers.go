package tracker

import (
	"time"

	"progressd/hfcache"
	"progressd/sizer"
)

const (
	// leftoversEvery is how often the leftovers of one repository are told
	// while they lie there.
	leftoversEvery = 24 * time.Hour
	// leftoversGap spreads those of many repositories: thousands of lines
	// at once would push others out of the queues.
	leftoversGap = time.Second
)

// Reported is when the leftovers in a repository were told last.
type Reported struct {
	Root string
	Repo hfcache.Repo
	At   time.Time
}

// Remember takes up what a former life has told of leftovers. It is called
// before Run.
func (t *Tracker) Remember(reported []Reported) {
	for _, r := range reported {
		t.reports.at[hfcache.Place{Root: r.Root, Repo: r.Repo}] = r.At
	}
}

// leftovers tells once a day what dead attempts have left in a repository in
// which no download is going on.
func (t *Tracker) leftovers(k hfcache.Place, look sizer.Look) {
	if look.Gone {
		delete(t.reports.at, k)
		return
	}
	if look.InPlay || look.Unreadable != nil || !t.reportDue(k, look) {
		return
	}
	event := Event{
		Kind: OrphansFound, At: look.At, Root: k.Root, Repo: k.Repo,
		ID:    episodeID(k.Root, k.Repo, look.At) + "-" + string(OrphansFound),
		Count: look.Orphans, Resumable: look.Resumable, Lost: look.OrphanBytes, Age: look.OrphanAge,
	}
	t.reports.at[k], t.reports.last = look.At, look.At
	t.rec.Commit(nil, []Event{event})
}

// reportDue reports whether leftovers are to be told now. A report of the
// future was made by a clock that was set back since, and holds nothing up.
func (t *Tracker) reportDue(k hfcache.Place, look sizer.Look) bool {
	at, told := t.reports.at[k]
	age := look.At.Sub(at)
	old := !told || age < 0 || age >= leftoversEvery
	if look.OrphanBytes == 0 { // empty files are no loss
		if told && old {
			delete(t.reports.at, k)
		}
		return false
	}
	if e := t.open[k]; e != nil && e.active() {
		return false // told when it ends
	}
	gap := look.At.Sub(t.reports.last)
	return old && (gap < 0 || gap >= leftoversGap)
}
