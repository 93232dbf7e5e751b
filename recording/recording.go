// Package recording keeps what a tracker was given, as JSON lines in a file, and
// gives it to another one: the same lines come of it. It is the form in which a
// fault can be sent to those who look for its cause, and in which tests keep it.
package recording

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"progressd/tracker"
)

// Form is the version of what stands in a file.
const Form = 1

// A Head is what a tracker begins with. A file has one for each life of the daemon.
type Head struct {
	Form     int                `json:"form"`
	Version  string             `json:"version"` // of the daemon
	At       time.Time          `json:"at"`
	Settings tracker.Settings   `json:"settings"`
	Episodes []tracker.Episode  `json:"episodes,omitempty"`
	Reported []tracker.Reported `json:"reported,omitempty"`
}

// A line of a file.
type line struct {
	Head *Head `json:"head,omitempty"`
	// Gap: inputs before this one are missing, for the disk was too slow.
	Gap bool `json:"gap,omitempty"`
	tracker.Input
	// Unreadable is why the look could see nothing, in the system's words.
	Unreadable string `json:"unreadable,omitempty"`
}

// waiting is how many inputs wait for the disk. It is a minute of ten downloads.
const waiting = 1200

// A Recording writes the inputs of one life of the daemon behind what stands in a
// file.
type Recording struct {
	file  *os.File
	began time.Time
	left  int64
	queue chan line
	// missed: the next line comes after a gap. over: nothing more is taken.
	missed, over atomic.Bool
	log          *slog.Logger
}

// Open begins a recording in the file at path, which nobody else can read. It takes
// no more than limit bytes there, with what it has already; then it says so, and no
// more is written. head.At is now.
func Open(path string, limit int64, head Head, log *slog.Logger) (*Recording, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	r := &Recording{file: file, began: head.At, left: limit - info.Size(), queue: make(chan line, waiting), log: log}
	head.Form = Form
	r.queue <- line{Head: &head}
	return r, nil
}

// Given takes an input. It waits for nobody.
func (r *Recording) Given(in tracker.Input) {
	if r.over.Load() {
		return
	}
	l := line{Input: r.timed(in), Gap: r.missed.Swap(false)}
	if l.Look != nil && l.Look.Unreadable != nil {
		l.Unreadable, l.Look.Unreadable = tracker.Why(l.Look.Unreadable), nil
	}
	select {
	case r.queue <- l:
	default:
		r.missed.Store(true)
	}
}

// timed has the times of an input as its tracker compares them: by the clock that
// nobody sets, from the beginning on. JSON has no room for that clock.
func (r *Recording) timed(in tracker.Input) tracker.Input {
	at := r.began.Round(0).Add(in.At().Sub(r.began))
	switch {
	case in.Look != nil:
		look := *in.Look
		look.At = at
		in.Look = &look
	case in.Root != nil:
		change := *in.Root
		change.At = at
		in.Root = &change
	case in.Report != nil:
		report := *in.Report
		report.At = at
		if report.Rest != nil {
			rest := *report.Rest
			rest.At, rest.Unreadable = r.began.Round(0).Add(rest.At.Sub(r.began)), nil
			report.Rest = &rest
		}
		in.Report = &report
	default:
		in.Tick = at
	}
	return in
}

// Run writes until ctx is done and all that was given is written.
func (r *Recording) Run(ctx context.Context) error {
	defer r.file.Close()
	out := bufio.NewWriterSize(r.file, 1<<16)
	for {
		select {
		case l := <-r.queue:
			r.write(out, l)
			continue
		default:
		}
		if err := out.Flush(); err != nil && !r.over.Swap(true) {
			r.log.Warn("the recording can't be written: it ends here", "file", r.file.Name(), "err", err)
		}
		select {
		case l := <-r.queue:
			r.write(out, l)
		case <-ctx.Done():
			return r.rest(out)
		}
	}
}

// rest writes what was given last.
func (r *Recording) rest(out *bufio.Writer) error {
	for {
		select {
		case l := <-r.queue:
			r.write(out, l)
		default:
			if err := out.Flush(); err != nil {
				return fmt.Errorf("the end of the recording %q is not written: %w", r.file.Name(), err)
			}
			return nil
		}
	}
}

func (r *Recording) write(out *bufio.Writer, l line) {
	if r.over.Load() {
		return
	}
	text, err := json.Marshal(l)
	if err != nil {
		r.missed.Store(true)
		return
	}
	text = append(text, '\n')
	if r.left -= int64(len(text)); r.left < 0 {
		r.over.Store(true)
		r.log.Warn("the recording is full: nothing more is kept until its file is taken away and the daemon starts or reloads", "file", r.file.Name())
		return
	}
	_, _ = out.Write(text) // an error comes again with the flush
}
