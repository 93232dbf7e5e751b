// Package record is one line of progressd as numbers and names: what the
// journal has as fields, standard output as JSON, and the stream on the socket
// as its events. It is made in one place, so that all say the same.
package record

import (
	"encoding/json"
	"strings"
	"time"

	"progressd/sizer"
	"progressd/tracker"
	"progressd/untrusted"
)

// Record is one event. Sizes are in bytes, times in seconds, speeds in bytes a
// second. What is unknown is absent, never -1 or 0; texts are printable ASCII.
// The journal's fields have the same names in capitals, led by PROGRESSD_.
type Record struct {
	// ID is the same if the event is told again after a crash; absent of
	// what was never told.
	ID   string    `json:"id,omitempty"`
	Time time.Time `json:"time"`
	// Event is the kind, as progressd(8) lists them; Level is info, success,
	// warning or error; Message is the line without the repository.
	Event   string `json:"event,omitempty"`
	Level   string `json:"level,omitempty"`
	Message string `json:"message,omitempty"`

	Model    string `json:"model,omitempty"`
	RepoType string `json:"repo_type,omitempty"`
	Root     string `json:"root,omitempty"`
	Revision string `json:"revision,omitempty"`

	Bytes       *int64      `json:"bytes,omitempty"`
	Total       int64       `json:"total,omitempty"`
	TotalSource string      `json:"total_source,omitempty"`
	Percent     json.Number `json:"percent,omitempty"`
	Rate        int64       `json:"rate,omitempty"`
	SecondsLeft int64       `json:"seconds_left,omitempty"`
	FilesDone   *int64      `json:"files_done,omitempty"`
	Files       int64       `json:"files,omitempty"`
	// FilesInFlight counts the files being written, InFlight are the first
	// eight of them by name.
	FilesInFlight int64  `json:"files_in_flight,omitempty"`
	InFlight      []File `json:"in_flight,omitempty"`

	PID       int64  `json:"pid,omitempty"`
	Command   string `json:"command,omitempty"`
	Unit      string `json:"unit,omitempty"`
	User      string `json:"user,omitempty"`
	Container string `json:"container,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`

	Proof          string `json:"proof,omitempty"`
	Cause          string `json:"cause,omitempty"`
	ExitStatus     *int64 `json:"exit_status,omitempty"`
	Signal         string `json:"signal,omitempty"`
	Reason         string `json:"reason,omitempty"`
	SilenceSeconds int64  `json:"silence_seconds,omitempty"`
	TookSeconds    int64  `json:"took_seconds,omitempty"`
	FetchedBytes   int64  `json:"fetched_bytes,omitempty"`
	LostBytes      int64  `json:"lost_bytes,omitempty"`
	Count          int64  `json:"count,omitempty"`
	AgeSeconds     int64  `json:"age_seconds,omitempty"`
	Resumable      int64  `json:"resumable,omitempty"`
	Disk           string `json:"disk,omitempty"`
	FreeBytes      *int64 `json:"free_bytes,omitempty"`
	NeededBytes    int64  `json:"needed_bytes,omitempty"`
}

// File is a file in flight: its size as listed, and what of it is on disk.
type File struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Size  int64  `json:"size,omitempty"`
	Rate  int64  `json:"rate,omitempty"`
}

// Levels of events, by their names in a Record.
var levels = map[tracker.Level]string{
	tracker.Info: "info", tracker.Success: "success", tracker.Warning: "warning", tracker.Error: "error",
}

// Of makes the record of an event; message is what its line says.
func Of(e tracker.Event, message string) Record {
	r := Record{
		ID: text(e.ID), Time: e.At.UTC().Truncate(time.Millisecond),
		Event: text(string(e.Kind)), Level: levels[e.Level()], Message: message,
		Root: text(e.Root), Reason: text(e.Reason), Count: int64(e.Count),
	}
	r.Namespace, r.Pod = text(e.Namespace), text(e.Pod)
	if e.Repo.ID == "" {
		return r
	}
	r.Model, r.RepoType, r.Revision = text(e.Repo.ID), text(string(e.Repo.Type)), text(e.Revision)
	if e.Kind != tracker.LinesLost { // that is about a log, not about a download
		addAmounts(&r, e)
		addDisk(&r, e)
		addDownloader(&r, e)
	}
	return r
}

func addAmounts(r *Record, e tracker.Event) {
	if e.Bytes > 0 || e.Kind != tracker.OrphansFound && e.Proof != tracker.ProvenByExit { // of a repository at rest nothing is counted
		r.Bytes = new(e.Bytes)
	}
	r.Total, r.TotalSource = max(e.Total, 0), text(string(e.TotalSource))
	if percent, ok := sizer.FormatPercent(e.Bytes, e.Total); ok {
		r.Percent = json.Number(strings.TrimSuffix(percent, "%"))
	}
	r.Rate, r.SecondsLeft, r.SilenceSeconds = max(e.Rate, 0), seconds(e.Left), seconds(e.Silence)
	if e.Files > 0 || e.FilesDone > 0 {
		r.FilesDone = new(int64(e.FilesDone))
	}
	r.Files, r.FilesInFlight = int64(e.Files), int64(max(e.Partials, len(e.InFlight)))
	for _, f := range e.InFlight {
		r.InFlight = append(r.InFlight, File{untrusted.Name(f.Name), f.Bytes, f.Size, f.Rate})
	}
	r.TookSeconds, r.FetchedBytes, r.LostBytes = seconds(e.Took), max(e.Fetched, 0), max(e.Lost, 0)
	r.AgeSeconds, r.Resumable = seconds(e.Age), int64(e.Resumable)
	r.Proof = text(string(e.Proof))
}

func addDisk(r *Record, e tracker.Event) {
	if e.Disk != tracker.DiskUnknown {
		r.Disk, r.FreeBytes, r.NeededBytes = text(string(e.Disk)), new(e.Free), max(e.Needed, 0)
	}
}

// addDownloader says who downloads, and how a run of it has ended.
func addDownloader(r *Record, e tracker.Event) {
	r.Command, r.Cause = text(e.Program), text(e.Cause)
	if e.Exit != nil {
		r.ExitStatus, r.Signal = new(int64(e.Exit.Status)), text(e.Exit.Signal)
	}
	if p := e.Downloader; p != nil {
		r.PID = int64(p.PID)
		if p.Command != "" {
			r.Command = text(p.Command)
		}
		r.Unit, r.User, r.Container = text(p.Unit), text(p.User), text(p.Container)
		if p.Pod != "" { // who downloads says more than where to
			r.Namespace, r.Pod = text(p.Namespace), text(p.Pod)
		}
	}
}

// text is a name that may be shown; empty stays empty, which is absent.
func text(s string) string {
	if s == "" {
		return ""
	}
	return untrusted.Name(s)
}

// seconds are whole; less than one is as good as unknown.
func seconds(d time.Duration) int64 { return int64(max(d, 0) / time.Second) }
