package tracker

import (
	"time"

	"progressd/downloader"
	"progressd/hfcache"
	"progressd/sizer"
)

// A Report is what the one who has started a downloader tells about it: a
// second witness, beside the looks. Reports of one run come in order, their
// times carry a monotonic reading.
type Report struct {
	// Root and Repo say which download it is about.
	Root string
	Repo hfcache.Repo
	At   time.Time
	Kind ReportKind

	// Process is, for RunBegan, what was started. Only: it does nothing but
	// download, so that its end is the download's.
	Process downloader.Process
	Only    bool
	// Again: it was reported before, by somebody who was lost meanwhile.
	Again bool
	// Words are, for RunSaid, what it has printed.
	Words Words
	// Exit is, for RunEnded, how it has ended, and Rest what there is of the
	// repository then, as if all of it had just come: of a model that was
	// there before no other look tells. Nil if nobody could look.
	Exit Exit
	Rest *sizer.Look
}

// ReportKind is what a report tells.
type ReportKind int

// The kinds of reports.
const (
	RunBegan ReportKind = iota
	RunSaid
	RunEnded
	// RunLost: nobody reports on it any more, and how it ends will not be
	// known, unless it is reported again.
	RunLost
)

// Words are what some of the output of a downloader comes to.
type Words struct {
	// Level is Error for what a download fails of, else Warning or Info.
	Level Level
	// Cause names it, for fields and filters: "gated", "retry".
	Cause string
	// Text is the downloader's, untrusted, without secrets.
	Text string
	// Remedy says, for Error, in our words what went wrong and what to do.
	Remedy string
}

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

// newRun begins an episode with the start of a downloader, before anything can
// be seen of it on disk.
func newRun(set Settings, r Report) *download {
	d := &download{set: set, now: r.At, began: r.At, lastByte: r.At, lastLine: r.At}
	d.ep = Episode{
		ID:   episodeID(r.Root, r.Repo, r.At),
		Root: r.Root, Repo: r.Repo, Phase: PhaseAnnounced, Began: r.At.Round(0), Warned: map[Kind]bool{},
	}
	if r.Process.Request != nil {
		d.ep.Memory.Name = r.Process.Request.Repo
	}
	return d
}

// unplayed: a run has begun, and nothing of it shows on disk yet.
func (d *download) unplayed() bool { return d.ep.Seq > 0 && d.ep.Play == "" }

// waits: nothing of a run shows on disk, and the one who reported on it is lost,
// but may come back.
func (d *download) waits() bool { return d.run == nil && d.unplayed() && !d.lost.IsZero() }

// deserted: that one has not come back.
func (d *download) deserted(now time.Time) bool {
	const patience = 30 * time.Second // longer than progressctl exec tries
	return d.waits() && now.Sub(d.lost) >= patience
}

// running: a program that does nothing but download is known to run.
func (d *download) running() bool { return d.run != nil && d.run.only && d.run.exit == nil }

// said takes in what the downloader has printed.
func (d *download) said(r Report) []Event {
	d.turn(r.At)
	words := r.Words
	if words.Level != Error {
		event := d.event(Output)
		event.Program, event.Output, event.Cause = d.run.process.Command, words.Text, words.Cause
		event.Alarm = words.Level == Warning
		return []Event{event}
	}
	if d.run.told[words.Cause] {
		return nil
	}
	event := d.failure(words.Cause)
	event.Reason = words.Remedy
	return []Event{event}
}

// failure makes the verdict that the run has failed.
func (d *download) failure(cause string) Event {
	d.ep.Phase = PhaseFailed
	d.run.told[cause], d.run.failed = true, d.now
	event := d.event(Failed)
	event.Program, event.Cause = d.run.process.Command, cause
	d.disk(&event)
	return event
}

// stragglers is for how long after a failure bytes are those of the attempt
// that has failed: other threads of the program don't know yet.
const stragglers = 5 * time.Second

// tryAgain is what becomes of a download that has failed when bytes come: later
// ones are a new attempt's.
func (d *download) tryAgain() []Event {
	if d.run != nil && d.now.Sub(d.run.failed) < stragglers {
		return nil
	}
	d.revive()
	d.announce(d.ep.Bytes)
	return []Event{d.event(Moving)}
}

// report takes in what is told of a run.
func (t *Tracker) report(r Report) {
	k := hfcache.Place{Root: r.Root, Repo: r.Repo}
	e := t.open[k]
	defer t.attendOpen(k)
	switch r.Kind {
	case RunBegan:
		if t.runs[k] == nil { // else that one is told to its end
			t.beginRun(k, r)
		}
	case RunSaid:
		if e != nil && e.run != nil {
			t.note(e, e.tell(e.said(r)))
		}
	case RunEnded:
		if e != nil && e.run != nil {
			e.run.exit, e.run.exitAt, e.run.rest = &r.Exit, r.At, r.Rest
			return // until it can be weighed
		}
		t.endRun(k)
	case RunLost:
		delete(t.runs, k)
		if e != nil {
			e.run, e.lost = nil, r.At
		}
	}
}

// beginRun attaches a run to its download, beginning one where none is open.
func (t *Tracker) beginRun(k hfcache.Place, r Report) {
	e := t.open[k]
	if e != nil && e.unplayed() && !r.Again {
		t.bury(k, e)
		e = nil
	}
	run := &run{process: r.Process, only: r.Only, told: map[string]bool{}}
	t.runs[k] = run
	switch {
	case e != nil:
		e.run = run
		if r.Again && e.ep.Phase == PhaseFailed {
			run.failed = r.At
		}
	case r.Again: // its download was told to its end meanwhile
	default:
		e = &entry{download: newRun(t.set, r)}
		e.run = run
		t.open[k] = e
		t.note(e, []Event{e.event(Preparing)})
	}
}

// bury ends a download of which nothing was ever seen, without a word.
func (t *Tracker) bury(k hfcache.Place, e *entry) {
	e.ep.Phase = PhaseOver
	t.commit(e, nil)
	t.vanish(k, e)
}

// endRun forgets a run of which all is said.
func (t *Tracker) endRun(k hfcache.Place) {
	delete(t.runs, k)
	if e := t.open[k]; e != nil {
		e.run = nil
		if e.unplayed() && !e.ep.Over() { // what there was to say is said
			t.bury(k, e)
		}
	}
	if t.hooks.RunOver != nil {
		t.hooks.RunOver(k.Root, k.Repo)
	}
}

// settleRun forgets the run of a download once its end was weighed.
func (t *Tracker) settleRun(k hfcache.Place, e *entry) {
	if e.run != nil && (e.run.judged || e.ep.Over() && e.run.exit != nil) {
		t.endRun(k)
	}
}
