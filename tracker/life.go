package tracker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/sizer"
)

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
	// lossAt is when bytes were first missed of a downloader that has held its
	// lock ever since; else zero.
	lossAt time.Time
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
		Checkpoint: look.Checkpoint,
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
	d.look = sizer.Look{Root: ep.Root, Repo: ep.Repo, Bytes: ep.Bytes, Base: ep.Base, Checkpoint: ep.Checkpoint}
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

// longestSilence bounds the silence that is believed of a former life, in
// case the wall clock was set in between.
const longestSilence = 7 * 24 * time.Hour

// newRun begins an episode with the start of a downloader, before anything can
// be seen of it on disk.
func newRun(set Settings, r Report) *download {
	d := &download{set: set, now: r.At, began: r.At, lastByte: r.At, lastLine: r.At}
	d.ep = Episode{
		ID:   episodeID(r.Root, r.Repo, r.At),
		Root: r.Root, Repo: r.Repo, Phase: PhaseAnnounced, Began: r.At.Round(0), Warned: map[Kind]bool{},
	}
	if r.Process.Request != nil {
		d.ep.Checkpoint.Name = r.Process.Request.Repo
	}
	return d
}

// A run is a downloader that somebody watches from its start to its end. It
// dies with the process: who started it then is gone as well.
type run struct {
	process downloader.Process
	only    bool
	told    map[string]bool // causes of errors
	failed  time.Time       // when the last failure was told
	exit    *Exit           // nil while it runs
	exitAt  time.Time
	rest    *sizer.Look
	// absent: the newest look has found no such repository.
	absent bool
	// judged: its end was weighed.
	judged bool
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

// unplayed: a run has begun, and nothing of it shows on disk yet.
func (d *download) unplayed() bool { return d.ep.Seq > 0 && d.ep.Play == "" }

// running: a program that does nothing but download is known to run.
func (d *download) running() bool { return d.run != nil && d.run.only && d.run.exit == nil }

// waits: nothing of a run shows on disk, and the one who reported on it is lost,
// but may come back.
func (d *download) waits() bool { return d.run == nil && d.unplayed() && !d.lost.IsZero() }

// deserted: that one has not come back.
func (d *download) deserted(now time.Time) bool {
	const patience = 30 * time.Second // longer than progressctl exec tries
	return d.waits() && now.Sub(d.lost) >= patience
}

// total is what is believed to be all, in bytes; 0 if unknown.
func (d *download) total() int64 {
	if d.ep.TotalDropped {
		return 0
	}
	return d.look.Total
}

// announce counts the steps up to some bytes as told.
func (d *download) announce(bytes int64) {
	d.ep.Announced = max(d.ep.Announced, d.set.reached(bytes, d.total()))
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

// silence is how long no byte has come, nor may have.
func (d *download) silence() time.Duration {
	last := d.lastByte
	if d.unsure.After(last) {
		last = d.unsure
	}
	return max(d.now.Sub(last), 0)
}

// unseen is a time in which the disk can't be read (mode 000, EIO, ESTALE): what
// happens there meanwhile isn't known.
type unseen struct {
	since time.Time
	why   string
}

func (u *unseen) note(now time.Time, err error) {
	if u.since.IsZero() {
		u.since = now
	}
	u.why = Why(err)
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

// mismatch is a file of another size than listed, as it was first seen.
type mismatch struct {
	sizer.Mismatch
	since time.Time
}

// lasts is for how long a file has been as it is now, 0 if none differs: one that
// is being copied in by another program grows towards its size.
func (m *mismatch) lasts(now time.Time, seen *sizer.Mismatch) time.Duration {
	if seen == nil {
		*m = mismatch{}
		return 0
	}
	if m.since.IsZero() || m.Mismatch != *seen {
		*m = mismatch{*seen, now}
	}
	return now.Sub(m.since)
}

// hubPatience is how long the first lines wait for the total that the hub was
// asked for: it answers within some 300 ms, and is found by the look after.
const hubPatience = time.Second
