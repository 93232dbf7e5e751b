package capture

import "time"

// Class is how much a line of a downloader's output matters.
type Class int

// The classes.
const (
	// Event is something that happens: files fetched, a lock waited for, a
	// retry.
	Event Class = iota
	// Warning may lead to a failure: little space, a slow way taken.
	Warning
	// Suspect may be why the download fails: it is, if the program ends with
	// an error and nothing worse was said.
	Suspect
	// Error is why the download fails.
	Error
)

// Cause names what a line tells of. The names appear in journal fields and
// never change.
type Cause string

// A Message is what some lines of output come to.
type Message struct {
	Class Class
	Cause Cause
	// Text is the line, without secrets: text of the downloader, untrusted.
	Text string
	// Remedy is, for Suspect and Error, what went wrong and what to do about
	// it, in our words; %s in it stands for the repository.
	Remedy string
}

// A Reader makes messages from the output of one downloader. It belongs to one
// goroutine.
type Reader struct {
	lines *Lines
	tell  func(Message)
	now   time.Time
	bars  bars
	// told is when each cause was told last.
	told map[Cause]time.Time
	// worst is the worst error of the lines that have come in one go. A
	// traceback holds a chain of them, and the first named is seldom the
	// one that says most.
	worst finding
	// suspect is the most telling one so far.
	suspect finding
	// last is the last line that was no bar and no hint.
	last string
}

// A finding is a message and the place of its rule: what comes first in the
// table says more.
type finding struct {
	Message
	place int
	found bool
}

func (f *finding) improve(by finding) {
	if !f.found || by.place < f.place {
		*f = by
	}
}

// NewReader returns a Reader that hands on what it understands, but for
// suspects: see Suspect.
func NewReader(tell func(Message)) *Reader {
	r := &Reader{tell: tell, told: make(map[Cause]time.Time)}
	r.lines = NewLines(r.line)
	return r
}

// Read takes the next part of the output, which came at now.
func (r *Reader) Read(p []byte, now time.Time) {
	r.now = now
	_, _ = r.lines.Write(p)
}

// Pause says that nothing has come for a moment: a line that was begun is
// taken as it is, and an error is told.
func (r *Reader) Pause(now time.Time) {
	r.now = now
	r.lines.Flush()
	if r.worst.found {
		if _, known := r.told[r.worst.Cause]; !known {
			r.told[r.worst.Cause] = now
			r.tell(r.worst.Message)
		}
		r.worst = finding{}
	}
}

// Lost says that a part of the output was passed on unread.
func (r *Reader) Lost(now time.Time) {
	r.now = now
	r.lines.Lost()
}

// Close says that the output has ended.
func (r *Reader) Close(now time.Time) {
	r.now = now
	r.lines.Flush()
	if last, ok := r.bars.rest(); ok {
		r.tell(barMessage(last))
	}
	r.Pause(now) // an error is the last word
}

// Suspect is the most telling of the messages of that class so far.
func (r *Reader) Suspect() (Message, bool) { return r.suspect.Message, r.suspect.found }

// Last is the last line of the output that was no progress bar, without
// secrets; empty if there was none.
func (r *Reader) Last() string { return Mask(r.last) }

// eventEvery is how often the same kind of event makes a line.
const eventEvery = time.Minute

func (r *Reader) line(l Line) {
	if drawn, ok := ParseBar(l.Text); ok {
		if due, ok := r.bars.draw(drawn, r.now); ok {
			r.tell(barMessage(due))
		}
		return
	}
	r.last = l.Text
	switch f := classify(l.Text); {
	case !f.found:
	case f.Class == Error:
		r.worst.improve(f)
	case f.Class == Suspect:
		r.suspect.improve(f)
	default:
		r.event(f.Message)
	}
}

func (r *Reader) event(m Message) {
	if told, known := r.told[m.Cause]; known && r.now.Sub(told) < eventEvery {
		return
	}
	r.told[m.Cause] = r.now
	r.tell(m)
}

func barMessage(b Bar) Message {
	return Message{Class: Event, Cause: Progress, Text: Mask(b.Name + ": " + b.State)}
}
