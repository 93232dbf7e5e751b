package tracker

import (
	"time"

	"progressd/hfcache"
)

// noteEvery is how old the bytes in a record may be.
const noteEvery = 10 * time.Second

// note commits what is worth remembering: every line, what the sizer has
// learned, and the bytes from time to time.
func (t *Tracker) note(e *entry, events []Event) {
	old := e.now.Sub(e.notedAt) >= noteEvery && (e.ep.Bytes != e.noted.bytes || e.ep.Base != e.noted.base)
	if len(events) == 0 && !old && e.ep.Phase == e.noted.phase && e.ep.BytesBeforeLoss == e.noted.bytesBeforeLoss && e.ep.Unattributed == e.noted.unattributed &&
		e.ep.DiskFull == e.noted.diskFull && e.ep.Home == e.noted.home && e.noted.checkpoint.SameFacts(e.ep.Checkpoint) {
		t.showAgain(e)
		return
	}
	t.commit(e, events)
}

func (t *Tracker) commit(e *entry, events []Event) {
	for _, event := range events {
		if event.Kind == OrphansFound {
			t.reports.at[hfcache.Place{Root: event.Root, Repo: event.Repo}] = event.At
		}
	}
	t.show(e, events)
	ep := e.episode()
	e.noted, e.notedAt = notedOf(&ep), e.now
	t.rec.Commit(&ep, events)
}

// flush notes every record as it stands.
func (t *Tracker) flush() {
	for _, e := range t.open {
		t.commit(e, nil)
	}
}
