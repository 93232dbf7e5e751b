package socket

import (
	"encoding/json"
	"errors"
	"time"

	"progressd/hfcache"
	"progressd/record"
	"progressd/untrusted"
)

// Watch is the wish to see downloads: first how all of them stand, then what is
// told.
type Watch struct {
	// Since is the ID of the last Frame that was seen: what was told after it
	// comes first. Empty: only what is told from now on.
	Since string `json:"since,omitempty"`
	// Model is a repository as hfcache.ParseRepo reads it; empty: all.
	Model string `json:"model,omitempty"`
	// Levels: also how each download stands, about each second while it moves.
	Levels bool `json:"levels,omitempty"`
}

// Ask is the question how a repository stands, to be answered by a look at what
// is on disk.
type Ask struct {
	Model string `json:"model"`
}

// Frame is a line of the daemon for those who watch or ask. Of one that watches,
// Watching comes first, then the events told since, then each download as it
// stands, then Live; from there on events, levels and what is gone. Of one that
// asks, the answers come first, then Over; of one that asks for facts these, if it
// may know them.
type Frame struct {
	V       int    `json:"v,omitempty"`
	Refused string `json:"refused,omitempty"`
	Later   bool   `json:"later,omitempty"`

	Watching *Watching `json:"watching,omitempty"`
	// ID is the place in the stream, EPOCH-SEQ; of an event, and of Live.
	ID string `json:"id,omitempty"`
	// Key is that of the download that an event is about, empty if of none.
	Key      string           `json:"key,omitempty"`
	Event    *record.Record   `json:"event,omitempty"`
	Download *record.Download `json:"download,omitempty"`
	// Gone is the key of a download that is no more, and had no last line.
	Gone string `json:"gone,omitempty"`
	Live bool   `json:"live,omitempty"`

	Answer *Answered `json:"answer,omitempty"`
	Facts  *Facts    `json:"facts,omitempty"`
	Over   bool      `json:"over,omitempty"`

	line []byte // set by Seal
}

// Seal puts a frame into the form in which it is sent, once for all who get it.
// After that it is not changed any more.
func (f *Frame) Seal() *Frame {
	line, err := json.Marshal(f)
	if err == nil { // else who sends it says so
		f.line = append(line, '\n')
	}
	return f
}

// appendTo appends the line of a frame.
func (f *Frame) appendTo(text []byte) ([]byte, error) {
	if f.line != nil {
		return append(text, f.line...), nil
	}
	line, err := json.Marshal(f)
	return append(append(text, line...), '\n'), err
}

// Watching is what a stream begins with.
type Watching struct {
	Epoch   string `json:"epoch"`
	Version string `json:"version,omitempty"`
	// Reset: what was told since can't be said, all is as it stands.
	Reset bool `json:"reset,omitempty"`
	// From is the place since which the daemon still knows all that it told;
	// of progress and keepalives the newest of each download alone.
	From string `json:"from,omitempty"`
}

// Answered is how a repository stands in one cache, and the last lines of its
// log.
type Answered struct {
	record.Download
	Lines []string `json:"lines,omitempty"`
}

// Facts are how the daemon itself fares, counted since its start or the last
// reload, for those who see all.
type Facts struct {
	Version string    `json:"version,omitempty"`
	Started time.Time `json:"started"`
	// CPUMilliseconds are spent since the process began, Resident is its
	// memory in bytes, Files its open descriptors.
	CPUMilliseconds int64 `json:"cpu_milliseconds"`
	Resident        int64 `json:"resident,omitempty"`
	Files           int64 `json:"files,omitempty"`
	// Finished counts the verdicts that were told, by the names of their
	// events: completed, ended, interrupted, failed, removed.
	Finished map[string]int64 `json:"finished"`
	// Dropped counts the lines that could not be written, by sink.
	Dropped map[string]int64 `json:"dropped"`
	Roots   []RootFacts      `json:"roots"`
}

// RootFacts are about one cache.
type RootFacts struct {
	Path string `json:"path"`
	Up   bool   `json:"up"`
	// Received are the bytes seen to come into it, Leftover those of dead
	// attempts as they were told within the last day.
	Received int64 `json:"received"`
	Leftover int64 `json:"leftover"`
}

// printable makes what a daemon says fit to be shown.
func (f *Facts) printable() {
	f.Version = untrusted.Printable(f.Version)
	for i := range f.Roots {
		f.Roots[i].Path = untrusted.Printable(f.Roots[i].Path)
	}
	f.Finished, f.Dropped = printableKeys(f.Finished), printableKeys(f.Dropped)
}

func printableKeys(m map[string]int64) map[string]int64 {
	fit := make(map[string]int64, len(m))
	for name, n := range m {
		fit[untrusted.Printable(name)] += n
	}
	return fit
}

// A Reader is who watches or asks, as the kernel says.
type Reader struct {
	UID int
	// GIDs are all groups of that user.
	GIDs []int
}

// Streams are where a Server has what it shows. All must be safe to be called by
// several goroutines.
type Streams interface {
	// Subscribe begins a stream for one reader, with what that may see.
	Subscribe(by Reader, w Watch, repo hfcache.Repo) *Subscription
	// Answer looks at a repository in every cache that the reader may see.
	Answer(by Reader, repo hfcache.Repo, abort <-chan struct{}) []Answered
	// Facts are about the daemon itself, nil if the reader may not know them.
	Facts(by Reader) *Facts
}

// A Subscription is one stream: first the backlog, then what comes.
type Subscription struct {
	Backlog []*Frame
	// Frames is closed when the reader was too slow.
	Frames <-chan *Frame
	// End gives the subscription up.
	End func()
}

// wish is what a reader's first line says.
func (h hello) wish() (repo hfcache.Repo, err error) {
	if h.V != Version {
		return repo, errVersion(h.V)
	}
	var name string
	switch {
	case h.Watch != nil && h.Watch.Model != "":
		name = h.Watch.Model
	case h.Watch == nil && h.Ask != nil:
		name = h.Ask.Model
	default:
		return repo, nil
	}
	repo, ok := hfcache.ParseRepo(name)
	if !ok {
		return repo, errors.New("model is no repository: org/name, or datasets/org/name for a dataset")
	}
	return repo, nil
}

// parseFrame makes what a daemon says fit to be shown.
func parseFrame(line []byte) (Frame, error) {
	var f Frame
	if err := json.Unmarshal(line, &f); err != nil {
		return Frame{}, errors.New("that is not a line of the protocol")
	}
	f.Refused, f.ID, f.Key, f.Gone = untrusted.Printable(bounded(f.Refused)), untrusted.Printable(f.ID), untrusted.Printable(f.Key), untrusted.Printable(f.Gone)
	if f.Watching != nil {
		w := f.Watching
		w.Epoch, w.Version, w.From = untrusted.Printable(w.Epoch), untrusted.Printable(w.Version), untrusted.Printable(w.From)
	}
	if f.Event != nil {
		*f.Event = f.Event.Printable()
	}
	if f.Download != nil {
		*f.Download = f.Download.Printable()
	}
	if f.Facts != nil {
		f.Facts.printable()
	}
	if f.Answer != nil {
		f.Answer.Download = f.Answer.Printable()
		for i, line := range f.Answer.Lines {
			f.Answer.Lines[i] = untrusted.Printable(line)
		}
	}
	return f, nil
}
