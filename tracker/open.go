package tracker

import (
	"time"

	"progressd/hfcache"
	"progressd/sizer"
)

// Restore goes on with the open episodes of a former life. It is called
// before Run, with the present time. Nothing is said of them before they are
// looked at again.
func (t *Tracker) Restore(episodes []Episode, now time.Time) {
	for _, ep := range episodes {
		if ep.Over() {
			continue
		}
		d := restoreDownload(t.set, ep, now)
		k, e := hfcache.Place{Root: ep.Root, Repo: ep.Repo}, &entry{download: d, noted: notedOf(&ep), notedAt: now}
		if t.open[k] == nil {
			t.open[k] = e
			t.show(e, nil)
		} else { // two homes at one path; which is there is told before the first look
			t.homes.absent[k] = append(t.homes.absent[k], e)
		}
		t.log.Debug("download restored", "root", ep.Root, "repo", ep.Repo.ID, "episode", ep.ID)
	}
}

// begin opens an episode if the look shows a download that was not told yet,
// and returns nil otherwise.
func (t *Tracker) begin(k hfcache.Place, look sizer.Look) *entry {
	if look.Unreadable != nil {
		return nil
	}
	if look.Gone || !look.InPlay {
		delete(t.closed, k)
		return nil
	}
	base := look.Base
	if play, told := t.closed[k]; told && play == look.Play {
		if look.Arrived <= 0 {
			return nil
		}
		// What the episode before has told was there before this one.
		base = look.Bytes - look.Arrived
	}
	delete(t.closed, k)
	e := &entry{download: newDownload(t.set, look, base), noted: noted{phase: PhaseHeld}}
	e.run = t.runs[k]
	t.open[k] = e
	t.log.Debug("download begins", "root", k.Root, "repo", k.Repo.ID, "episode", e.ep.ID)
	return e
}

// close forgets a download that is over, but for its play.
func (t *Tracker) close(k hfcache.Place, e *entry) {
	delete(t.open, k)
	if e.ep.Play != "" {
		t.closed[k] = e.ep.Play
	}
	t.release(k, e, e.now)
}

// vanish forgets a download whose repository is no more: nothing of it can be seen.
func (t *Tracker) vanish(k hfcache.Place, e *entry) {
	delete(t.open, k)
	t.release(k, e, time.Time{})
}

// discard ends a download of which nothing was ever seen, without a word.
func (t *Tracker) discard(k hfcache.Place, e *entry) {
	e.ep.Phase = PhaseOver
	t.commit(e, nil)
	t.vanish(k, e)
}

// sinceClosed is what of a look is new to a run that has begun when the play
// that it shows was told already.
func (t *Tracker) sinceClosed(k hfcache.Place, look sizer.Look) sizer.Look {
	play, told := t.closed[k]
	switch {
	case !told || play != look.Play || !look.InPlay:
	case look.Arrived <= 0:
		look.InPlay = false
	default:
		look.Base = look.Bytes - look.Arrived
	}
	return look
}
