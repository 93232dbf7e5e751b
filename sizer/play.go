package sizer

import (
	"math"
	"slices"
	"strconv"
	"time"

	"progressd/downloader"
	"progressd/fsclock"
	"progressd/fsys"
	"progressd/hfcache"
)

// A play is the time in which a repository moves: from the first sign of a
// download until its end is proven, or judged; see Options.Judged. The tracker's
// episodes are made of plays; a play knows nothing of verdicts.
type play struct {
	Facts
	// baseline: finished blobs that came later are this play's. firstBaseline is the
	// same, also where that has moved on with a restart.
	baseline, firstBaseline time.Time
	// reported is the time behind which a blob hasn't been told of, as the last look has it.
	reported time.Time
	// start is when it began, zero if that was in a former life of the daemon.
	start time.Time
	// restored: taken up from the memory of a former life of the daemon;
	// restoredBytes is where that left off.
	restored      bool
	restoredBytes int64

	scope
	crew
	traces
	estimate estimate
	search   search

	files map[string]*file
	// settled are those of which no more is expected, where there are many;
	// recounted is when they were last counted anew, moved when bytes or names
	// last came.
	settled          *settled
	recounted, moved time.Time
	failed           map[string]bool
	formerFailed     int
	looked           bool // counted at least once
	landing
	tempo
}

// A scope is which revisions a play is of, and what is known of their files.
type scope struct {
	renewed  bool // the revisions have to be found out again
	rebuilt  time.Time
	justDone []string // etags finished since that was last done
	unlinked []string // those of them that no revision is known for
	counted  []string // see Checkpoint.Counted
	// listed: every revision in flight has a listing; fromHub: of one of
	// them only the hub has it.
	listed, fromHub bool
}

// A crew is who downloads, and what they want.
type crew struct {
	running   []bool           // of the downloaders, as it was at asked
	stopped   []int            // pids of those that do nothing until they are continued
	asked     time.Time        // the kernel
	wanted    []hfcache.Filter // nil: unknown
	match     func(path string) bool
	unhelpful bool // what is wanted names nothing that is listed
	// attempt is when the last one was first seen, attemptBegan when its
	// process began.
	attempt, attemptBegan time.Time
}

// An estimate is which listed files are wanted where no download command says so.
// It narrows the total. What proves a download complete it leaves alone, but
// for a loader whose choice is sure.
type estimate struct {
	// loader is what all who download here load, nil if that isn't known.
	loader *downloader.Loader
	// requested is what download commands of the owner ask for, where the
	// lock of none was seen: perhaps they fetch into another cache.
	requested []hfcache.Filter
	// choices are the loader's, by commit; nil where one isn't known.
	choices map[string]downloader.Choice
	// sure: all versions of the loader choose alike.
	sure bool
	// narrowed: some file was left out.
	narrowed bool
	// begun is how many files had been begun when this was worked out, -1
	// if it is to be done anew.
	begun int
	// weighed is when a file of weights was first seen to be begun.
	weighed time.Time
	// around: it was found by its command line alone, and runs.
	around bool
}

// traces are what the clients of a play were seen to leave on the disk.
type traces struct {
	linkless bool // files lie in the snapshot themselves
	inodes   map[uint64]string
	locked   map[string]sighting  // when an etag was last seen locked
	unlocked map[string]time.Time // the first look at which it was locked no more
	beside   map[int]uint64       // by pid, when those started that had a partial beside the blobs
}

// A sighting is when a lock was last held, and by which process.
type sighting struct {
	at time.Time
	by int
}

// A landing is what the last look found put in its place, or about to be.
type landing struct {
	// tempDebt are bytes of files that have left the root, and were counted there;
	// underway is what was moved out of it just now: see inLanding.
	tempDebt     int64
	underway     int64
	landingLooks int
	// landed: since the last look a file was put in its place. Its bytes may have
	// come without the count showing it: one was there, or a dead attempt's partial.
	landed bool
	// doubled: see Look.Doubled. differs: there was a Look.Mismatched.
	doubled, differs bool
	// stocked: what there is was looked at before.
	stocked bool
}

// A tempo is how closely a play is looked at.
type tempo struct {
	changed time.Time
	lively  bool
	// idle: nobody held a lock, and no download command ran.
	idle bool
	// stirred is when anything but sizes last changed; see calm.
	stirred time.Time
	calm    bool
}

// A search is when it was looked for links of so many blobs, and how many have
// none.
type search struct {
	at              time.Time
	among, unlinked int
}

func newPlay(now, since time.Time) *play {
	return &play{
		Facts: Facts{Play: strconv.FormatInt(now.UnixNano(), 36)}, baseline: since, firstBaseline: since, start: now,
		files: make(map[string]*file), settled: newSettled(), failed: make(map[string]bool), tempo: tempo{changed: now},
		traces: traces{inodes: make(map[uint64]string), locked: make(map[string]sighting), unlocked: make(map[string]time.Time)},
	}
}

func restored(m Checkpoint, c *fsclock.Clock) *play {
	pl := newPlay(time.Time{}, c.Ours(m.Since))
	pl.Facts, pl.restored, pl.restoredBytes = m.Facts, true, m.Bytes
	pl.LockSeen = m.LockSeen || len(m.Downloaders) > 0
	pl.running = make([]bool, len(m.Downloaders))
	pl.attemptBegan, pl.formerFailed = c.Ours(m.Attempt), m.Failed
	if !m.From.IsZero() {
		pl.firstBaseline = c.Ours(m.From)
	}
	if len(m.Revisions) == 0 {
		pl.baseline = pl.firstBaseline
	}
	pl.unlinked, pl.counted = m.Unlinked, m.Counted
	for _, etag := range m.FailedBlobs {
		pl.failed[etag] = true
	}
	return pl
}

// brought reports whether a former life of the daemon has counted a partial as
// the play's: written by the attempt that was under way then, or by one before
// and to be gone on with. What was written before the last play was told is none
// of this one's.
func (pl *play) brought(part *partial) bool {
	since := later(later(pl.begun().Add(-fsys.Coarse), pl.attemptBegan), pl.firstBaseline)
	return part.mtime.After(since) || slices.Contains(pl.counted, part.Etag)
}

// begun is when the play began.
func (pl *play) begun() time.Time {
	nanoseconds, err := strconv.ParseInt(pl.Play, 36, 64)
	if err != nil {
		return pl.baseline
	}
	return time.Unix(0, nanoseconds)
}

// firstSign is when the play began, or when the first of its files came, if that was
// before: nobody may have looked then.
func (pl *play) firstSign() time.Time {
	first := pl.begun()
	for _, f := range pl.files {
		if f.done && f.own && f.came.Before(first) {
			first = f.came
		}
	}
	return first
}

func (pl *play) file(etag string) *file {
	f := pl.files[etag]
	if f == nil {
		f = &file{etag: etag, want: -1}
		pl.files[etag] = f
		if was, known, counted := pl.settled.take(etag); known {
			f.known, f.counted = true, was.size
			f.wanted, f.done = counted, counted
			if counted {
				f.size, f.elsewhere = was.size, int32(min(was.paths, math.MaxInt32))
				f.paths = f.elsewhere
			}
		}
	}
	return f
}

func (pl *play) has(etag string) bool {
	return pl != nil && (pl.files[etag] != nil || pl.settled.has(etag))
}

// inFlight reports whether a revision is one of the play's.
func (pl *play) inFlight(commit string) bool {
	return pl != nil && slices.Contains(pl.Revisions, commit)
}

// inAttempt reports whether something came since the attempt under way began,
// as far as is known when that was.
func (pl *play) inAttempt(at time.Time) bool { return at.After(pl.attemptBegan.Add(-fsys.Tick)) }

// began reports whether something was seen of the file: it is there, whole or
// in part, or its lock was held.
func (pl *play) began(f *file) bool {
	return f.done || f.part != nil || !pl.locked[f.etag].at.IsZero()
}

// fresh reports whether the file was begun in this play: what was there before
// tells nothing about what is wanted now.
func (pl *play) fresh(f *file) bool {
	return f.done && f.isNew || f.part != nil && f.part.live || !pl.locked[f.etag].at.IsZero()
}

// writesElsewhere: clients with locks, or with partials of their own, write no file into
// the root that nobody knows to be theirs, and no other is at work.
func (pl *play) writesElsewhere() bool {
	return pl != nil && (pl.LockSeen || pl.PartialSeen) && !pl.BroughtUnseen
}

// bringsUnseen reports whether a file has come since the watch began, and behind
// the last lock that was seen, of which neither a lock nor a partial was, or that came
// long behind it: perhaps by one more client, that has neither.
func (pl *play) bringsUnseen(since time.Time) bool {
	last := since
	for _, seen := range pl.locked {
		last = later(last, seen.at)
	}
	for _, f := range pl.files {
		foreign := f.former == nil && pl.locked[f.etag].at.IsZero() && f.came.After(last)
		late := len(pl.locked) > 0 && f.came.After(last.Add(longGone))
		if f.done && f.isNew && (foreign || late) {
			return true
		}
	}
	return false
}

// longGone is how long after the last lock was seen nothing comes of who held it: a
// download is looked at more often.
const longGone = 10 * time.Second

// lost is told of an attached partial that is no more.
func (pl *play) lost(part *partial, now time.Time) {
	pl.changed = now
	if part.live {
		pl.failed[part.Etag] = true
	}
}

// loseAll notes that the directory of the files is gone, with all of them.
func (pl *play) loseAll(now time.Time) {
	for _, f := range pl.files {
		if f.done {
			f.done, f.size, pl.changed = false, 0, now
		}
	}
}

// failures are the blobs whose attempt failed and that nobody has brought
// since. What no listing in flight names is no part of the download any more.
func (pl *play) failures() []string {
	var etags []string
	for etag := range pl.failed {
		f := pl.files[etag]
		if f == nil && !pl.listed || f != nil && f.wanted && !f.finished() && (f.part == nil || !f.part.live) {
			etags = append(etags, etag)
		}
	}
	slices.Sort(etags)
	return etags
}

// finishedUnlinked are the blobs that the next play has to remember.
func (pl *play) finishedUnlinked() (etags []string) {
	for _, f := range pl.files {
		if len(pl.Revisions) == 0 && f.wanted && f.done && len(etags) < maxUnlinked {
			etags = append(etags, f.etag)
		}
	}
	return etags
}

// maxUnlinked bounds how many blobs without a link are taken for a download's.
const maxUnlinked = 256

// inLanding is what has left the root and isn't found in its place yet, kept for
// so many looks at the most.
func (pl *play) inLanding() int64 {
	if len(pl.justDone) > 0 || pl.landingLooks == 0 {
		pl.underway = 0
		return 0
	}
	pl.landingLooks--
	return pl.underway
}

// recounting: it waits for that.
func (pl *play) recounting() bool {
	return len(pl.settled.files) > 0 && pl.recounted.Before(pl.moved)
}

// assume takes it that what the filters select is wanted.
func (g *estimate) assume(filters []hfcache.Filter) {
	if !slices.EqualFunc(filters, g.requested, hfcache.Filter.Equal) {
		g.requested, g.begun = filters, -1
	}
}

// source is where the total comes from.
func (pl *play) source() Source {
	switch {
	case pl.wanted != nil:
		return pl.from(FromListing, FromHub)
	case pl.estimate.sure:
		return pl.from(FromLoader, FromHubLoader)
	case pl.estimate.narrowed:
		return pl.from(FromHabits, FromHubHabits)
	default:
		return pl.from(FromListingAtMost, FromHubAtMost)
	}
}

func (pl *play) from(cache, hub Source) Source {
	if pl.fromHub {
		return hub
	}
	return cache
}

// lastSign is when the last of the play's files came.
func (pl *play) lastSign() time.Time {
	last := pl.settled.newest
	for _, f := range pl.files {
		if f.done {
			last = later(last, f.came)
		}
	}
	return last
}
