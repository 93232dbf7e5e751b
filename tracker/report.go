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
