// Package tracker judges: from looks it keeps one life per download and says
// which lines are due and which verdict is earned. It is pure but for
// Tracker.Run: no I/O, no clock of its own.
package tracker

import (
	"time"

	"progressd/account"
	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
	"progressd/sizer"
)

// Kind is what an event says.
type Kind string

// The kinds of events. Their names appear in PROGRESSD_EVENT and never change.
const (
	Preparing    Kind = "preparing"
	Started      Kind = "started"
	Resumed      Kind = "resumed"
	Progress     Kind = "progress"
	Keepalive    Kind = "keepalive"
	Stalled      Kind = "stalled"
	Moving       Kind = "moving"
	Restarted    Kind = "restarted"
	Interrupted  Kind = "interrupted"
	Failed       Kind = "failed"
	Output       Kind = "output" // what the downloader has printed
	Ended        Kind = "ended"
	Completed    Kind = "completed"
	Unlisted     Kind = "unlisted" // "No listing to check against": right before Completed
	Idle         Kind = "idle"     // nothing is in flight, and its end can't be known yet
	Removed      Kind = "removed"  // repo removed while downloading
	TotalDropped Kind = "total-dropped"
	SizeDiffers  Kind = "size-differs"
	OrphansFound Kind = "orphans"
	LowSpace     Kind = "low-space"    // what is left to download doesn't fit on the disk
	SpaceBack    Kind = "enough-space" // it fits again
	RootGone     Kind = "root-gone"
	RootBack     Kind = "root-back"
	LinesLost    Kind = "lines-lost" // made by a sink, about itself
)

// Level is how much an event matters.
type Level int

// The levels, as the lines name them.
const (
	Info Level = iota
	Success
	Warning
	Error
)

// Event is one line that is due, with every number behind it. It is a value:
// sinks render it, nobody changes it. It is JSON in the state directory while
// a verdict is not yet safely written.
type Event struct {
	// ID is unique and deterministic: the same event told again after a
	// restart has the same.
	ID   string    `json:"id"`
	Kind Kind      `json:"kind"`
	At   time.Time `json:"at"`

	// Root is the cache root's path, or the directory of a download that
	// goes into one of its own. Repo is what it is called, not its key in
	// an Episode; zero for events of a root.
	Root     string       `json:"root"`
	Repo     hfcache.Repo `json:"repo"`
	Revision string       `json:"revision,omitempty"`
	// Namespace and Pod are those of Kubernetes that the root belongs to, if it is
	// known of one; set on the way to the ledger.
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	// Log is the file name of the model's log; set by the state's ledger.
	Log string `json:"log,omitempty"`
	// Tenant is whom the root is watched for; set by the state's ledger, too.
	Tenant Tenant `json:"-"`

	Bytes       int64        `json:"bytes"`
	Total       int64        `json:"total,omitempty"`
	TotalSource sizer.Source `json:"total_source,omitempty"`
	FilesDone   int          `json:"files_done,omitempty"`
	Files       int          `json:"files,omitempty"`
	// InFlight are files being written, by name, at most 8; Partials counts
	// them all.
	InFlight []File `json:"files_in_flight,omitempty"`
	Partials int    `json:"partials,omitempty"`
	// Rate is in bytes a second, for Completed the mean; 0 if unknown. Left
	// is the time that is left, at most so much if the total is an upper
	// bound; 0 if unknown. Neither is set where nothing moves.
	Rate int64         `json:"rate,omitempty"`
	Left time.Duration `json:"left,omitempty"`
	// Silence is how long no byte has come, for a Keepalive with a Reason how
	// long the disk couldn't be read; LastMinute what came in the last 60 s, 0
	// where that isn't known; Uncounted: bytes may be coming that can't be counted.
	Silence    time.Duration `json:"silence,omitempty"`
	LastMinute int64         `json:"last_minute,omitempty"`
	Uncounted  bool          `json:"uncounted,omitempty"`
	// Lost is, for Restarted, what was there before (Bytes is what was
	// kept).
	Lost int64 `json:"lost,omitempty"`
	// Took is the duration of the run from its first look to its last byte,
	// pauses included, for Completed; 0 if unknown. Fetched is what came in
	// it, in bytes: not what was there before.
	Took    time.Duration `json:"took,omitempty"`
	Fetched int64         `json:"fetched,omitempty"`
	// Downloader is who downloads, nil if unknown. DownloaderAlive says
	// whether it is still there, DownloaderStopped that it does nothing until
	// it is continued.
	Downloader        *downloader.Process `json:"downloader,omitempty"`
	DownloaderAlive   bool                `json:"downloader_alive,omitempty"`
	DownloaderStopped bool                `json:"downloader_stopped,omitempty"`
	// Proof is how Completed was proven: listing, request, loader, exit or quiet.
	Proof sizer.Proof `json:"proof,omitempty"`
	// Mismatch is set for SizeDiffers, and a Failed that is due to it.
	Mismatch *sizer.Mismatch `json:"mismatch,omitempty"`
	// Absent are, for Ended, the paths of the largest listed files that are not
	// there, at most 3: untrusted text.
	Absent []string `json:"absent,omitempty"`
	// Count and Lost serve OrphansFound (number, bytes) and LinesLost; Count
	// is how many downloads share the room, for LowSpace and SpaceBack.
	Count int `json:"count,omitempty"`
	// Age is how long ago the oldest of the orphans was written to, and
	// Resumable how many of them a client may yet continue.
	Age       time.Duration `json:"age,omitempty"`
	Resumable int           `json:"resumable,omitempty"`
	// Disk says what the room on the file system means for this event.
	// Where it is set, Needed is what is left to download and Free what
	// can be written, both in bytes.
	Disk   Disk  `json:"disk,omitempty"`
	Needed int64 `json:"needed,omitempty"`
	Free   int64 `json:"free,omitempty"`
	// Reason is free text of our own making (never of a cache's) for
	// events of a root and lines lost; for a Keepalive, why the disk can't be
	// read; for Failed, what went wrong and what to do, if its cause has such a
	// text.
	Reason string `json:"reason,omitempty"`

	// Program is the short name of the downloader that an Output or Failed
	// is about, and Cause the name of what it tells. Text is, for Output,
	// the downloader's: untrusted, without secrets. Alarm: it is a warning.
	// Exit is how it ended, where the event follows from that.
	Program string `json:"program,omitempty"`
	Cause   string `json:"cause,omitempty"`
	Output  string `json:"output,omitempty"`
	Alarm   bool   `json:"alarm,omitempty"`
	Exit    *Exit  `json:"exit,omitempty"`
}

// Tenant is whom a root is watched for.
type Tenant struct {
	// Root is the cache root's path, also where the event names a directory
	// in it.
	Root string
	// Owner of the root's directory.
	Owner account.User
	// Named: the root is configured by name, not by a pattern.
	Named bool
	// Given: the log's name was given in this life, so that a log of that name
	// that is there already is another's.
	Given bool
}

// File is a file in flight. Name is untrusted text, Bytes what of it is on
// disk, Size what is listed, Rate in bytes a second; 0 is unknown.
type File struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Size  int64  `json:"size,omitempty"`
	Rate  int64  `json:"rate,omitempty"`
}

// ProvenByQuiet is the third proof: no listing, nothing against it, quiet.
const ProvenByQuiet sizer.Proof = "quiet"

// Level of an event follows from its kind.
func (e Event) Level() Level {
	switch e.Kind {
	case Completed:
		return Success
	case Failed:
		return Error
	case Output:
		if e.Alarm {
			return Warning
		}
		return Info
	case Stalled, Restarted, Interrupted, Removed, TotalDropped, SizeDiffers, OrphansFound, LowSpace, RootGone, LinesLost:
		return Warning
	default:
		return Info
	}
}

// Verdict reports whether losing this line would be losing a verdict, or a
// warning that is given once: it goes through the outbox and is the last to be
// dropped anywhere.
func (e Event) Verdict() bool {
	switch e.Kind {
	case Completed, Ended, Interrupted, Failed, Removed, Stalled, SizeDiffers, LowSpace:
		return true
	default:
		return false
	}
}

// Episode is what has to survive a restart about one download: from preparing
// to its end. It is JSON in the state directory.
type Episode struct {
	// ID is unique; event ids derive from it.
	ID   string `json:"id"`
	Root string `json:"root"`
	// Home is the directory that Root led to when it was last seen there.
	Home  fsys.Identity `json:"home,omitzero"`
	Repo  hfcache.Repo  `json:"repo"`
	Play  string        `json:"play"`
	Phase Phase         `json:"phase"`
	Began time.Time     `json:"began"`
	// Seq numbers the events told so far.
	Seq int `json:"seq"`
	// Announced is the highest step told, in bytes; Bytes the newest count
	// and Peak its highest.
	Announced int64 `json:"announced"`
	Base      int64 `json:"base"`
	Bytes     int64 `json:"bytes"`
	Peak      int64 `json:"peak"`
	// Fell is the count from which bytes were lost while no attempt was
	// going on to say so, 0 if nothing was lost: it speaks against
	// completion until a new attempt makes it good.
	Fell       int64     `json:"fell,omitempty"`
	LastByteAt time.Time `json:"last_byte_at"`
	// Took is how long after the beginning that byte came, by a clock that
	// nobody sets; Unwatched: it came while no daemon ran, so when isn't
	// known. Ahead is how many bytes the first look found to have come
	// already: how long they took isn't known.
	Took       time.Duration `json:"took,omitempty"`
	Unwatched  bool          `json:"unwatched,omitempty"`
	Ahead      int64         `json:"ahead,omitempty"`
	LastLineAt time.Time     `json:"last_line_at"`
	// TakenOverAt is when the downloader that is at work was first seen: its
	// silence is no older.
	TakenOverAt time.Time `json:"taken_over_at,omitzero"`
	// Stranger: bytes came when all downloaders that were seen were gone,
	// so that it isn't known who downloads, nor when that one is gone.
	Stranger bool `json:"stranger,omitempty"`
	// TotalDropped: bytes once passed the total; it is not used again.
	TotalDropped bool `json:"total_dropped,omitempty"`
	// Told is the highest percentage told, in tenths, 0 if none was.
	Told   int64         `json:"told,omitempty"`
	Warned map[Kind]bool `json:"warned,omitempty"`
	// Room is what was said of the room on the disk. DiskFull: it was full
	// when the download last went on.
	Room     Disk `json:"room,omitempty"`
	DiskFull bool `json:"disk_full,omitempty"`
	// Memory is what the reader of the disk is given back after a restart.
	Memory sizer.Memory `json:"memory"`
}

// Named is what the repository is called: itself, or what is known to be
// downloaded into the directory that it is.
func (ep *Episode) Named() hfcache.Repo {
	switch {
	case ep.Repo.Type != hfcache.Local:
		return ep.Repo
	case ep.Memory.Name.ID != "":
		return ep.Memory.Name
	default:
		return ep.Repo.LocalName(ep.Root)
	}
}

// Recorder takes what must be remembered and said, in order. Commit never
// blocks: the engine waits for no disk. It is called by the engine alone.
type Recorder interface {
	// Commit notes the episode's newest record before the events go on to
	// the sinks. A nil episode is for events of a root.
	Commit(ep *Episode, events []Event)
}
