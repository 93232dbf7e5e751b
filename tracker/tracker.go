package tracker

import (
	"log/slog"
	"time"

	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
)

// Tracker owns the state of every download. All of it belongs to the
// goroutine of Run; it does no I/O and waits for nobody.
type Tracker struct {
	set   Settings
	rec   Recorder
	hooks Hooks
	log   *slog.Logger

	open map[hfcache.Place]*entry
	// closed are the plays whose episode is over: more looks of the same
	// play are nothing new. One is forgotten as soon as it is at rest.
	closed map[hfcache.Place]string
	homes  homes
	rooms  map[uint64]*room
	// reports are those of leftovers.
	reports reports
	status  status
	// runs are those that were reported, hears where reports come from.
	runs  map[hfcache.Place]*run
	hears <-chan Report
	// traces are what the debug level has told last, empty where it is off.
	traces map[hfcache.Place]traced
}

// New returns a tracker that judges by set and hands what is to be remembered
// and said to rec.
func New(set Settings, rec Recorder, hooks Hooks, log *slog.Logger) *Tracker {
	return &Tracker{
		set: set, rec: rec, hooks: hooks, log: log,
		open:    map[hfcache.Place]*entry{},
		closed:  map[hfcache.Place]string{},
		homes:   newHomes(),
		rooms:   map[uint64]*room{},
		runs:    map[hfcache.Place]*run{},
		reports: reports{at: map[hfcache.Place]time.Time{}},
		traces:  map[hfcache.Place]traced{},
	}
}

// Hear has Run take in reports of runs. It is called before Run; whoever sends
// must not wait for anything that waits for the tracker.
func (t *Tracker) Hear(reports <-chan Report) { t.hears = reports }

// entry is an open download and what of it was noted last.
type entry struct {
	*download
	noted   noted
	notedAt time.Time
	// judged is when the newest look was begun, attended what was said last
	// of how closely to look, shownAt when it was shown last.
	judged   time.Time
	attended Attention
	shownAt  time.Time
}

// noted is what of a record decides whether it is to be noted anew.
type noted struct {
	bytes, base, bytesBeforeLoss int64
	phase                        Phase
	unattributed, diskFull       bool
	home                         fsys.Identity
	checkpoint                   sizer.Checkpoint
}

func notedOf(ep *Episode) noted {
	return noted{
		bytes: ep.Bytes, base: ep.Base, bytesBeforeLoss: ep.BytesBeforeLoss,
		phase: ep.Phase, unattributed: ep.Unattributed, diskFull: ep.DiskFull, home: ep.Home,
		checkpoint: ep.Checkpoint,
	}
}

// homes are the directories of the roots and what belongs to others.
type homes struct {
	// at is what each root's path leads to, or led to before it went.
	at map[string]fsys.Identity
	// away are the roots that are gone.
	away map[string]bool
	// absent are open downloads that are not in the directory that is there
	// now: their home is another one, or it isn't sure that it is the same.
	absent map[hfcache.Place][]*entry
}

func newHomes() homes {
	return homes{at: map[string]fsys.Identity{}, away: map[string]bool{}, absent: map[hfcache.Place][]*entry{}}
}

// A room is one file system that is downloaded to. What was said of it stands
// in the episodes of its downloads (Episode.Room) and so outlives the process.
type room struct {
	checked time.Time
	// leaning is what would be said, since when.
	leaning Disk
	since   time.Time
}

// demand is what the downloads of one file system want of it.
type demand struct {
	// sure is left to download where the total is exact, most at most.
	sure, most, free int64
	sureOf, mostOf   int
	// told is what was said last.
	told Disk
}

// reports remembers what was told of leftovers.
type reports struct {
	at   map[hfcache.Place]time.Time
	last time.Time
}

// traced is what the debug level has told last of a repository.
type traced struct {
	at    time.Time
	facts []slog.Attr
}

// status is what was published last, when that was last held against what is
// going on, and whether it may be out of date.
type status struct {
	text    string
	at      time.Time
	pending bool
}
