package tracker

import (
	"time"

	"progressd/account"
	"progressd/downloader"
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

// Disk is what the room on a download's file system means for it.
type Disk string

// The states of a disk. Their names appear in PROGRESSD_DISK and never change.
const (
	// DiskUnknown: nothing is known, or there is nothing to say.
	DiskUnknown Disk = ""
	// DiskMaybeShort: what is left to download doesn't fit if all that is
	// listed is wanted.
	DiskMaybeShort Disk = "maybe-short"
	// DiskShort: what is left to download doesn't fit.
	DiskShort Disk = "short"
	// DiskEnough: it fits again.
	DiskEnough Disk = "enough"
	// DiskFull: next to nothing more can be written now.
	DiskFull Disk = "full"
	// DiskWasFull: so it was when the download last brought something. A
	// client that fails removes what it had begun, and there is room again.
	DiskWasFull Disk = "was-full"
)

// Exit is how a downloader ended. It is JSON in the state directory while the
// verdict that it led to is not yet safely written.
type Exit struct {
	// Status is the exit status, 128 + n for signal n.
	Status int `json:"status"`
	// Signal is the name of the signal that killed it; Asked that of the last
	// one which somebody sent to end it.
	Signal string `json:"signal,omitempty"`
	Asked  string `json:"asked,omitempty"`
	// OutOfMemory: the kernel has killed something here for want of memory
	// meanwhile.
	OutOfMemory bool `json:"out_of_memory,omitempty"`
	// Last is the last line of its output, untrusted, without secrets.
	Last string `json:"last,omitempty"`
	// Cause and Remedy are of that part of its output which may explain a
	// failure best, if there is one; see Words.
	Cause  string `json:"cause,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// The causes of failures that no output tells. Their names appear in
// PROGRESSD_CAUSE and never change.
const (
	CauseExit       = "exit"       // it ended with an error
	CauseStopped    = "stopped"    // somebody stopped it
	CauseKilled     = "killed"     // a signal killed it
	CauseMemory     = "memory"     // the kernel did, for want of memory
	CauseIncomplete = "incomplete" // it says that all is well, and files are missing
	CauseSize       = "size"       // likewise, and a file has another size than listed
	CauseAbsent     = "absent"     // likewise, and there is nothing at all
	CauseRemoved    = "removed"    // its partial files were removed while it wrote to them
	CauseStall      = "stall"      // no byte came any more, and it was stopped for that
)

// ProvenByExit is the proof of a program's exit status, where nothing on disk
// speaks against it.
const ProvenByExit sizer.Proof = "exit"
