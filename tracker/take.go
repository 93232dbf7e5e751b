package tracker

import (
	"slices"
	"time"

	"progressd/downloader"
	"progressd/sizer"
)

// take makes the look the newest facts and returns whether bytes arrived.
func (d *download) take(look sizer.Look) (news bool) {
	look.Bytes, look.Total = max(look.Bytes, 0), max(look.Total, 0)
	look.Arrived = min(max(look.Arrived, 0), look.Bytes)
	restored, another := !d.seen && d.ep.Seq > 0 && !d.unplayed(), look.Play != d.ep.Play
	newcomer, deserted := d.newcomer(look), d.seen && abandoned(d.look) && abandoned(look)
	recounted := d.look.Recounting && !look.Recounting // and what that finds may have come before
	base := d.base(look)
	if another {
		d.speed.reset()
	}
	before := d.look.At
	more := d.seen && !another && look.FilesDone > d.look.FilesDone
	if more { // also where no byte came: a link was made
		d.clocks.quiet.stop()
	}
	// A lock, or a listing, has others counted than before.
	d.finished = more && look.Locked == d.look.Locked && look.TotalSource == d.look.TotalSource && look.Files == d.look.Files
	d.look, d.seen = look, true
	d.lose(look, newcomer)
	// What came while no daemon ran shows in the count alone.
	grown := d.ep.Seq > 0 && !another && look.Bytes-base > d.ep.Bytes-d.ep.Base
	news = look.Arrived > 0 || grown
	if d.ep.Seq == 0 || d.unplayed() {
		d.ep.Ahead = look.Bytes - base
	}
	d.ep.Play, d.ep.Checkpoint = look.Play, look.Checkpoint
	d.ep.Base, d.ep.Bytes, d.ep.Peak = base, look.Bytes, max(d.ep.Peak, look.Bytes)
	d.drop()
	d.fill()
	d.announce(min(look.Base, look.Bytes))
	d.announce(base)
	if restored {
		d.announce(look.Bytes)
	}
	d.speed.Add(d.now, look.Bytes-base, look.InFlight)
	d.minute.add(before, d.now, look.Arrived)
	d.ep.Unattributed = !newcomer && !look.Locked && (d.ep.Unattributed || deserted && look.Arrived > 0 && !recounted)
	if news {
		d.lastByte, d.ep.Unwatched = d.now, restored
	}
	if newcomer {
		d.clocks.silent.stop() // it has as long as its predecessor had
		d.clocks.working.stop()
		d.ep.TakenOverAt = d.now.Round(0)
	}
	if look.Unseen {
		d.unsure = d.now
	}
	if news || look.Unseen {
		d.clocks.moved()
	}
	d.wait()
	return news
}

// lose notes from how many bytes on there are fewer than before, and since when.
func (d *download) lose(look sizer.Look, newcomer bool) {
	same := !newcomer && look.Locked
	if !same {
		d.lossAt = time.Time{}
	}
	switch {
	case look.Bytes >= d.ep.Bytes:
		if look.Bytes >= d.ep.BytesBeforeLoss {
			d.ep.BytesBeforeLoss = 0
		}
		return
	case revisionDropped(d.ep.Checkpoint.Revisions, look.Checkpoint.Revisions):
		d.ep.BytesBeforeLoss = 0 // what no longer counts is not lost
	default:
		if same && d.ep.BytesBeforeLoss == 0 {
			d.lossAt = d.now
		}
		d.ep.BytesBeforeLoss = max(d.ep.BytesBeforeLoss, d.ep.Bytes)
	}
	d.speed.reset()
}

// newcomer reports whether a downloader is at work that wasn't there at the
// look before, or in the former life.
func (d *download) newcomer(look sizer.Look) bool {
	before := d.look.Downloaders
	if !d.seen {
		before = d.ep.Checkpoint.Downloaders
	}
	for i := range min(len(look.Downloaders), len(look.Alive)) {
		known := func(p downloader.Process) bool {
			return p.PID == look.Downloaders[i].PID && p.Started == look.Downloaders[i].Started
		}
		if look.Alive[i] && !slices.ContainsFunc(before, known) {
			return true
		}
	}
	return false
}

// base is what of the bytes was there before the episode. A play that takes
// over goes on from there: what the one before has brought is the episode's.
func (d *download) base(look sizer.Look) int64 {
	if d.unplayed() {
		d.ep.Base = look.Base
	}
	if !d.seen || look.Play != d.ep.Play {
		d.offset = d.ep.Base - look.Base
	}
	return min(max(look.Base+d.offset, 0), look.Bytes)
}

// revisionDropped reports whether a revision that was in flight no longer is, while
// another one is.
func revisionDropped(before, now []string) bool {
	return len(now) > 0 && slices.ContainsFunc(before, func(commit string) bool { return !slices.Contains(now, commit) })
}

// drop gives up a total that the bytes have passed: it was wrong.
func (d *download) drop() {
	if d.look.Total > 0 && d.look.Bytes > d.look.Total {
		d.ep.TotalDropped = true
	}
}

// wait moves the clocks of the verdicts on.
func (d *download) wait() {
	step := d.clocks.pass(d.now, d.rest)
	d.clocks.silent.run(step)
	if !d.seen {
		return
	}
	for _, c := range []struct {
		watch *stopwatch
		holds bool
	}{
		{&d.clocks.working, d.running() || working(d.look)},
		{&d.clocks.gone, d.abandoned()},
		{&d.clocks.quiet, quiet(d.look)},
	} {
		if c.holds {
			c.watch.run(step)
		} else {
			c.watch.stop()
		}
	}
}

// resume begins the waiting anew for a new attempt, which has as long to
// bring its first byte as the one before had.
func (d *download) resume() {
	d.ep.Phase = PhaseActive
	d.lastByte = d.now
	d.clocks.moved()
	d.clocks.silent.run(0)
	d.clocks.working.run(0)
}
