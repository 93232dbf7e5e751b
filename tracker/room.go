package tracker

import (
	"time"

	"progressd/sizer"
)

const (
	// roomEvery is how often the downloads of one file system are added up.
	roomEvery = time.Second
	// shortAfter is how long they must not fit before that is said: the
	// first looks may not know yet who downloads, and so what is wanted.
	// enoughAfter is the same for the room's being back, so that what
	// others write and remove doesn't make it flap.
	shortAfter  = 2 * time.Second
	enoughAfter = time.Minute
)

// demand adds up. A look is a moment old and others have written since: of
// the free counts, the highest belongs to the oldest look, so that what was
// written meanwhile seems to fit, and never the other way round.
func (t *Tracker) demand(dev uint64) demand {
	var sum demand
	for k, e := range t.open {
		if t.homes.away[k.Root] || !e.writing() || e.look.Room.Dev != dev {
			continue
		}
		sum.free = max(sum.free, e.look.Room.Free)
		if e.ep.Room == DiskShort || sum.told == DiskUnknown {
			sum.told = e.ep.Room
		}
		left := e.left()
		if left == 0 {
			continue
		}
		sum.most, sum.mostOf = sizer.AddSaturating(sum.most, left), sum.mostOf+1
		if e.exact() {
			sum.sure, sum.sureOf = sizer.AddSaturating(sum.sure, left), sum.sureOf+1
		}
	}
	return sum
}

// due is what has to be said when it has been so for a while; empty if
// nothing. Enough is only what fits with a twentieth to spare.
func (s demand) due() Disk {
	switch {
	case s.sure > s.free && s.told != DiskShort:
		return DiskShort
	case s.most > s.free && s.told == DiskUnknown:
		return DiskMaybeShort
	case s.told != DiskUnknown && s.most > 0 && sizer.AddSaturating(s.most, s.most/20) <= s.free:
		return DiskEnough
	default:
		return DiskUnknown
	}
}

// weigh holds what is left to download against the room, once for all the
// downloads of one file system, and says in the log of e what comes of it.
func (t *Tracker) weigh(e *entry) {
	if !e.writing() {
		return
	}
	dev := e.look.Room.Dev
	r := t.rooms[dev]
	if r == nil {
		r = &room{}
		t.rooms[dev] = r
	}
	if !r.checked.IsZero() && e.now.Sub(r.checked) < roomEvery {
		return
	}
	r.checked = e.now
	sum := t.demand(dev)
	said := r.settle(sum.due(), e.now)
	if said != DiskUnknown {
		t.commit(e, []Event{e.space(said, sum)})
	} else {
		said = sum.told
	}
	t.share(dev, said)
}

// settle returns what is due if it has been so for long enough.
func (r *room) settle(due Disk, now time.Time) Disk {
	if due != r.leaning {
		r.leaning, r.since = due, now
	}
	wait := shortAfter
	if due == DiskEnough {
		wait = enoughAfter
	}
	if due == DiskUnknown || now.Sub(r.since) < wait {
		return DiskUnknown
	}
	r.leaning = DiskUnknown
	return due
}

// share notes with every download of a file system what was said of it, so
// that none says it again, after a restart neither.
func (t *Tracker) share(dev uint64, said Disk) {
	if said == DiskEnough {
		said = DiskUnknown
	}
	for k, e := range t.open {
		if !t.homes.away[k.Root] && e.writing() && e.look.Room.Dev == dev && e.ep.Room != said {
			e.ep.Room = said
			t.commit(e, nil)
		}
	}
}

// space makes the event that says how the room stands.
func (d *download) space(said Disk, sum demand) Event {
	kind := LowSpace
	if said == DiskEnough {
		kind, d.ep.Room = SpaceBack, DiskUnknown
	} else {
		d.ep.Room = said
	}
	e := d.event(kind)
	e.Disk, e.Free, e.Needed, e.Count = said, sum.free, sum.most, sum.mostOf
	if said == DiskShort {
		e.Needed, e.Count = sum.sure, sum.sureOf
	}
	return d.tell([]Event{e})[0]
}
