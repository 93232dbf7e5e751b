package tracker

import (
	"fmt"
	"slices"
	"time"

	"progressd/sizer"
)

// event makes the next event of the episode from the facts as they stand.
func (d *download) event(kind Kind) Event {
	d.ep.Seq++
	d.lastLine = d.now
	e := d.facts()
	e.ID, e.Kind = fmt.Sprintf("%s-%d", d.ep.ID, d.ep.Seq), kind
	if moves(kind) {
		d.measure(&e)
	}
	return e
}

// facts are what an event has of whatever kind it is.
func (d *download) facts() Event {
	e := Event{
		At: d.now, Root: d.ep.Repo.Within(d.ep.Root), Repo: d.ep.Named(),
		Bytes: d.ep.Bytes, Total: d.total(),
		FilesDone: d.look.FilesDone, Files: d.look.Files,
		InFlight: flying(d.look.InFlight), Partials: d.look.Partials,
	}
	if e.Total > 0 {
		e.TotalSource = d.look.TotalSource
	}
	if len(d.look.Revisions) > 0 {
		e.Revision = d.look.Revisions[0]
	}
	if !d.ep.Unattributed {
		e.Downloader, e.DownloaderAlive = latest(d.look.Downloaders, d.look.Alive)
	}
	if e.Downloader == nil && d.run != nil {
		e.Downloader, e.DownloaderAlive = &d.run.process, d.run.exit == nil
	}
	e.DownloaderStopped = e.Downloader != nil && slices.Contains(d.look.Stopped, e.Downloader.PID)
	return e
}

// moves reports whether an event of that kind tells of a download that moves.
// A keepalive may or may not.
func moves(kind Kind) bool {
	switch kind {
	case Preparing, Started, Resumed, Progress, Moving, Restarted, TotalDropped, SizeDiffers:
		return true
	default:
		return false
	}
}

// measure adds the speeds to an event, and the time that is left.
func (d *download) measure(e *Event) {
	e.Rate = d.speed.PerSecond(d.now)
	if e.Total > 0 {
		e.Left = timeLeft(e.Total-e.Bytes, e.Rate)
	}
	for i := range e.InFlight {
		e.InFlight[i].Rate = d.speed.File(d.look.InFlight[i].Etag, d.now)
	}
}

// mean adds to a completed download how long it took and its speed over all of
// that, pauses included. What was there before is no part of either; where the
// last bytes came while nobody watched, nothing is said.
func (d *download) mean(e *Event) {
	took := d.lastByte.Sub(d.began)
	if d.ep.Unwatched || took < time.Second {
		return
	}
	e.Took, e.Fetched = took, max(d.ep.Bytes-d.ep.Base-d.ep.Ahead, 0)
	e.Rate = perSecond(e.Fetched, took)
}

// flying is the files in flight as an event has them.
func flying(files []sizer.InFlight) []File {
	var all []File
	for _, f := range files {
		all = append(all, File{Name: f.Name, Bytes: f.Bytes, Size: f.Size})
	}
	return all
}

// warn reports whether this warning is still due, and notes it.
func (d *download) warn(kind Kind) bool {
	due := !d.ep.Warned[kind]
	d.ep.Warned[kind] = true
	return due
}
