package record

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"progressd/tracker"
)

// State is where a download is in its life.
type State string

// The states of a download. The last ones are ends.
const (
	Preparing   State = "preparing" // it was asked for, and nothing shows on disk yet
	Downloading State = "downloading"
	Stalled     State = "stalled"
	Interrupted State = "interrupted"
	Failed      State = "failed"
	Completed   State = "completed"
	Ended       State = "ended"
	Removed     State = "removed"
	// Partial is a repository of which not all is there, and of which no
	// download is known.
	Partial State = "partial"
)

// Running reports whether a download goes on, or may.
func (s State) Running() bool { return s == Preparing || s == Downloading || s == Stalled }

// Over reports whether nothing more is to come of a download.
func (s State) Over() bool { return s == Completed || s == Ended || s == Removed }

// Download is how a download stands: the numbers of now, with what was told of
// it last in this life of the daemon.
type Download struct {
	// Key tells this download from others, also over restarts.
	Key   string `json:"key,omitempty"`
	State State  `json:"state,omitempty"`
	// Started is when it was first seen, Grown when its last byte came.
	Started time.Time `json:"started,omitzero"`
	Grown   time.Time `json:"grown,omitzero"`
	// Device is the number of the file system it is on: FreeBytes of the
	// Record is what may be written there.
	Device string `json:"device,omitempty"`
	Record
}

// KeyOf is the key of the download that an event is about; empty: of none.
func KeyOf(e tracker.Event) string {
	i := strings.LastIndexByte(e.ID, '-')
	if i < 0 || e.Repo.ID == "" {
		return ""
	}
	if _, err := strconv.Atoi(e.ID[i+1:]); err != nil { // of a repository at rest
		return ""
	}
	return text(e.ID[:i])
}

// EndOf is the state in which the line of an event leaves its download, empty
// if that goes on.
func EndOf(e tracker.Event) State {
	if state := states[e.Kind]; state.Over() {
		return state
	}
	return ""
}

// StandingOf is how a download stands; told is the record of its last line, nil
// if that was of a former life.
func StandingOf(s tracker.Standing, told *Record) Download {
	d := Download{
		Key: text(s.Episode), State: State(text(string(s.State))),
		Started: wholeSeconds(s.Began), Grown: wholeSeconds(s.Grown), Record: Of(s.Now, ""),
	}
	if s.State == tracker.Progress {
		d.State = Downloading
	}
	d.Event, d.Level = "", ""
	if s.Device != 0 {
		d.Device = strconv.FormatUint(uint64(unix.Major(s.Device)), 10) + ":" + strconv.FormatUint(uint64(unix.Minor(s.Device)), 10)
		d.FreeBytes, d.NeededBytes = new(s.Now.Free), max(s.Now.Needed, 0)
	}
	if told != nil {
		d.ID, d.Event, d.Level, d.Message = told.ID, told.Event, told.Level, told.Message
		d.Cause, d.Reason, d.ExitStatus, d.Signal, d.Disk = told.Cause, told.Reason, told.ExitStatus, told.Signal, told.Disk
	}
	return d
}

// Last is how a download stands that has ended with the event told. When its last
// byte came isn't known of it any more: not when it was told.
func Last(e tracker.Event, told Record) Download {
	return Download{Key: KeyOf(e), State: EndOf(e), Record: told}
}

// Public is what everybody may know who sees the log files: without whose
// download it is, where, and the names of files.
func (r Record) Public() Record {
	r.Root, r.Revision, r.InFlight, r.Unit, r.User, r.Container = "", "", nil, "", "", ""
	r.Namespace, r.Pod = "", ""
	return r
}

// Public is the download as everybody may know it who sees the log files.
func (d Download) Public() Download {
	d.Record, d.Device, d.FreeBytes = d.Record.Public(), "", nil
	return d
}

func wholeSeconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

// states are those that an event leads to, by its name.
var states = map[tracker.Kind]State{
	tracker.Preparing: Preparing, tracker.Started: Downloading, tracker.Resumed: Downloading, tracker.Progress: Downloading,
	tracker.Moving: Downloading, tracker.Restarted: Downloading, tracker.Stalled: Stalled, tracker.Interrupted: Interrupted,
	tracker.Failed: Failed, tracker.Completed: Completed, tracker.Ended: Ended, tracker.Removed: Removed,
}

// StateAfter is the state of a download after an event; false if that changes
// none.
func StateAfter(event string) (State, bool) {
	state, ok := states[tracker.Kind(event)]
	return state, ok
}
