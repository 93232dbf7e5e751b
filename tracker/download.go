package tracker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/sizer"
)

// longestSilence bounds the silence that is believed of a former life, in
// case the wall clock was set in between.
const longestSilence = 7 * 24 * time.Hour

// download is the life of one download from preparing to its end. It is a
// pure state machine: looks and times in, events out. Times are expected to
// carry a monotonic reading, so that setting the wall clock moves no interval.
type download struct {
	set Settings
	// ep is the record: all of the state that outlives the process.
	ep Episode
	// now is the time of the newest look or tick.
	now time.Time
	// look holds the facts of the newest look that had any; seen says that
	// there was one in this process.
	look sizer.Look
	seen bool
	// finished: it has more files than the one before, counted in the same way.
	finished bool
	// rest is for how long none follows that look, if that is longer than usual.
	rest time.Duration
	// here: its folder was seen in the directory that its root leads to now.
	here bool
	// offset is added to what a look says was there before: an episode may
	// be part of a play, or outlive one.
	offset int64

	// began, lastByte and lastLine are the record's times on the clock of
	// this process. lastByte is only for texts: verdicts go by the clocks.
	began, lastByte, lastLine time.Time
	// unsure is when bytes may have come last that can't be counted.
	unsure time.Time
	// held is since when the first lines wait for the hub's answer.
	held time.Time
	// dozed is the end of a time in which nothing ran here, until a look
	// tells what has come of it.
	dozed time.Time
	// unseen is since when, and why, no look could read the disk.
	unseen unseen
	// fellAt is when bytes were first missed of a downloader that has held its
	// lock ever since; else zero.
	fellAt time.Time
	// mismatch is the file that differs from the listing.
	mismatch mismatch
	clocks   clocks
	speed    Speed
	minute   minute
	// run is the downloader's, where somebody watches it, else nil; lost is
	// when the one who did was lost.
	run  *run
	lost time.Time
}

// newDownload begins an episode at its first look, base bytes of which were
// there before.
func newDownload(set Settings, look sizer.Look, base int64) *download {
	d := &download{
		set: set, now: look.At,
		began: look.At, lastByte: look.At, lastLine: look.At,
	}
	d.ep = Episode{
		ID:   episodeID(look.Root, look.Repo, look.At),
		Root: look.Root, Repo: look.Repo, Play: look.Play, Phase: PhaseHeld,
		Began: look.At.Round(0), Base: base, Warned: map[Kind]bool{},
		Memory: look.Memory,
	}
	return d
}

// restoreDownload goes on with an episode of a former life. Its silence
// counts, but at least interrupt_after of it has to be witnessed again before
// a verdict: a clock that was set while nobody ran proves nothing.
func restoreDownload(set Settings, ep Episode, now time.Time) *download {
	ep.Warned = maps.Clone(ep.Warned)
	if ep.Warned == nil {
		ep.Warned = map[Kind]bool{}
	}
	silence := between(ep.LastByteAt, now, longestSilence)
	took := ep.Took
	if took <= 0 {
		took = between(ep.Began, now, 100*longestSilence) - silence
	}
	d := &download{
		set: set, ep: ep, now: now, lost: now,
		began:    now.Add(-silence - max(took, 0)),
		lastByte: now.Add(-silence),
		lastLine: now.Add(-between(ep.LastLineAt, now, set.Keepalive)),
	}
	d.look = sizer.Look{Root: ep.Root, Repo: ep.Repo, Bytes: ep.Bytes, Base: ep.Base, Memory: ep.Memory}
	d.clocks.silent = stopwatch{
		running: true,
		elapsed: min(silence, max(set.StallAfter-set.InterruptAfter, 0)),
	}
	if ep.TakenOverAt.After(ep.LastByteAt) {
		d.clocks.silent.elapsed = min(d.clocks.silent.elapsed, between(ep.TakenOverAt, now, longestSilence))
	}
	d.clocks.working = d.clocks.silent
	return d
}

// episodeID derives the identity of an episode from what makes it unique.
func episodeID(root string, repo hfcache.Repo, began time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", root, repo.Type, repo.ID, began.UnixNano()))
	return hex.EncodeToString(sum[:8])
}

// episode is the record as it stands, sharing nothing that changes later. Its
// times are of the wall clock as it is now.
func (d *download) episode() Episode {
	ep := d.ep
	ep.Warned = maps.Clone(d.ep.Warned)
	ep.Took = max(d.lastByte.Sub(d.began), 0)
	ep.LastByteAt = d.now.Add(-d.now.Sub(d.lastByte)).Round(0)
	ep.LastLineAt = d.now.Add(-d.now.Sub(d.lastLine)).Round(0)
	return ep
}

// active reports whether the download is thought to be going on, or might.
func (d *download) active() bool {
	return d.ep.Phase != PhaseInterrupted && d.ep.Phase != PhaseFailed && d.ep.Phase != PhaseOver
}

// observe takes in a look and returns the lines that are due, in order.
func (d *download) observe(look sizer.Look) []Event {
	events := d.judge(look)
	d.rest = look.Rest
	return d.tell(events)
}

// judge is observe before what is told of the total is settled.
func (d *download) judge(look sizer.Look) []Event {
	d.turn(look.At)
	if !look.At.Before(d.dozed) {
		d.dozed = time.Time{}
	}
	switch {
	case d.ep.Over():
		return nil
	case look.Unreadable != nil:
		d.unseen.note(d.now, look.Unreadable)
		d.unsure = d.now
		d.clocks.blind()
		return nil
	}
	d.unseen = unseen{}
	switch {
	case d.unplayed() && !look.InPlay: // it has made nothing yet
		if d.run == nil {
			return nil
		}
		d.run.absent = look.Gone
		return d.conclude(look.At)
	case look.Gone:
		d.ep.Phase = PhaseOver
		if d.ep.Seq == 0 { // nothing was told of it
			return nil
		}
		return []Event{d.event(Removed)}
	case !look.InPlay: // nothing moves, the facts stand
		d.wait()
		return append(d.verdict(), d.conclude(look.At)...)
	}
	first := d.ep.Seq == 0 || d.unplayed()
	if first && d.awaits(look) {
		return nil
	}
	news := d.take(look)
	var events []Event
	if first && d.ep.Phase != PhaseFailed { // a failure is told sooner than the look that saw the beginning
		d.ep.Phase = PhaseActive
		events = d.opening()
	}
	events = append(events, d.warnings()...)
	line := d.line(news)
	end := d.conclude(look.At)
	if len(end) > 0 { // the most final line alone
		line = slices.DeleteFunc(line, func(e Event) bool { return e.Kind == Progress })
	}
	return slices.Concat(events, line, end)
}

// unseen is a time in which the disk can't be read (mode 000, EIO, ESTALE): what
// happens there meanwhile isn't known.
type unseen struct {
	since time.Time
	why   string
}

// unanswered is how long a look may take until it counts as one that hangs, unless
// that is how long they all take.
const unanswered = 30 * time.Second

// blindness is how long nothing of the disk has been seen, and why; 0 if it is.
func (d *download) blindness() (lasts time.Duration, why string) {
	if !d.unseen.since.IsZero() {
		return d.now.Sub(d.unseen.since), d.unseen.why
	}
	if d.clocks.checked.IsZero() {
		return 0, ""
	}
	if lasts = d.now.Sub(d.clocks.checked); lasts >= max(unanswered, 2*d.clocks.rhythm, d.rest+unanswered) {
		return lasts, "no look at it has come back"
	}
	return 0, ""
}

func (u *unseen) note(now time.Time, err error) {
	if u.since.IsZero() {
		u.since = now
	}
	u.why = Why(err)
}

// hubPatience is how long the first lines wait for the total that the hub was
// asked for: it answers within some 300 ms, and is found by the look after.
const hubPatience = time.Second

// awaits reports whether a download that is seen for the first time isn't told
// yet, so that its first lines may say how large it is. What ends is told.
func (d *download) awaits(look sizer.Look) bool {
	if !look.Asked || look.Partials == 0 || d.run != nil && d.run.exit != nil {
		return false
	}
	if d.held.IsZero() {
		d.held = d.now
	}
	return d.now.Sub(d.held) < hubPatience
}

// tick lets time pass and returns the lines that are due by it alone. Verdicts
// need a fresh look.
func (d *download) tick(now time.Time) []Event { return d.tell(d.wake(now)) }

// wake is tick before what is told of the total is settled.
func (d *download) wake(now time.Time) []Event {
	d.turn(now)
	if events := d.overdue(); events != nil || !d.active() {
		return events
	}
	return d.keepalive()
}

// turn moves time on; a tick may be older than a look that came after it. Where
// no beat came for too long, the daemon or the machine stood still.
func (d *download) turn(now time.Time) {
	if !now.After(d.now) {
		return
	}
	if now.Sub(d.now) >= standstill {
		d.dozed = now
		d.clocks.resume(now)
	}
	d.now = now
}

// take makes the look the newest facts and returns whether bytes arrived.
func (d *download) take(look sizer.Look) (news bool) {
	look.Bytes, look.Total = max(look.Bytes, 0), max(look.Total, 0)
	look.Arrived = min(max(look.Arrived, 0), look.Bytes)
	restored, another := !d.seen && d.ep.Seq > 0 && !d.unplayed(), look.Play != d.ep.Play
	newcomer, deserted := d.newcomer(look), d.seen && abandoned(d.look) && abandoned(look)
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
	d.ep.Play, d.ep.Memory = look.Play, look.Memory
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
	d.ep.Stranger = !newcomer && !look.Locked && (d.ep.Stranger || deserted && look.Arrived > 0)
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
		d.fellAt = time.Time{}
	}
	switch {
	case look.Bytes >= d.ep.Bytes:
		if look.Bytes >= d.ep.Fell {
			d.ep.Fell = 0
		}
		return
	case letGo(d.ep.Memory.Revisions, look.Memory.Revisions):
		d.ep.Fell = 0 // what no longer counts is not lost
	default:
		if same && d.ep.Fell == 0 {
			d.fellAt = d.now
		}
		d.ep.Fell = max(d.ep.Fell, d.ep.Bytes)
	}
	d.speed.reset()
}

// newcomer reports whether a downloader is at work that wasn't there at the
// look before, or in the former life.
func (d *download) newcomer(look sizer.Look) bool {
	before := d.look.Downloaders
	if !d.seen {
		before = d.ep.Memory.Downloaders
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

// letGo reports whether a revision that was in flight no longer is, while
// another one is.
func letGo(before, now []string) bool {
	return len(now) > 0 && slices.ContainsFunc(before, func(commit string) bool { return !slices.Contains(now, commit) })
}

// drop gives up a total that the bytes have passed: it was wrong.
func (d *download) drop() {
	if d.look.Total > 0 && d.look.Bytes > d.look.Total {
		d.ep.TotalDropped = true
	}
}

// announce counts the steps up to some bytes as told.
func (d *download) announce(bytes int64) {
	d.ep.Announced = max(d.ep.Announced, d.set.reached(bytes, d.total()))
}

// total is what is believed to be all, in bytes; 0 if unknown.
func (d *download) total() int64 {
	if d.ep.TotalDropped {
		return 0
	}
	return d.look.Total
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

// revive begins the waiting anew for a new attempt, which has as long to
// bring its first byte as the one before had.
func (d *download) revive() {
	d.ep.Phase = PhaseActive
	d.lastByte = d.now
	d.clocks.moved()
	d.clocks.silent.run(0)
	d.clocks.working.run(0)
}
