// Package capture understands what a downloader prints: it takes a terminal's
// output apart into lines, knows progress bars, hides secrets, and tells by a
// table of rules which lines are events, warnings or errors. It is pure: no
// process, no clock of its own.
package capture

import (
	"strings"

	"progressd/untrusted"
)

// maxLine bounds one line, in bytes: what is longer loses its rest.
const maxLine = 8 << 10

// A Line is one line of output without its end: valid UTF-8, without control
// characters or escape sequences.
type Line struct {
	Text string
	// Redrawn: it ended in a carriage return, and the next one is written
	// over it.
	Redrawn bool
}

// Lines splits a stream into lines, at \n and at \r, and takes out what only a
// terminal understands. Its memory is bounded, whatever the stream holds. The
// zero value isn't ready: see NewLines. It belongs to one goroutine.
type Lines struct {
	emit func(Line)
	text []byte
	cut  bool // the line was too long
	seq  sequence
}

// sequence is where in an escape sequence the stream stands (ECMA-48).
type sequence int

const (
	outside sequence = iota
	escape           // after ESC
	control          // in CSI: ends with a byte from @ to ~
	text             // in OSC, DCS, PM, APC, SOS: ends with BEL or ST
	textEsc          // after an ESC in there: \ completes ST
	charset          // one byte follows
)

// NewLines returns a splitter that hands each line to emit. Empty lines are
// left out.
func NewLines(emit func(Line)) *Lines { return &Lines{emit: emit} }

// Write takes the next part of the stream. It keeps nothing of p and never
// fails.
func (l *Lines) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n' || c == '\r':
			// Whatever sequence was begun: none goes beyond a line's end.
			l.seq = outside
			l.end(c == '\r')
		case l.seq != outside:
			l.seq = l.seq.next(c)
		case c == 0x1b:
			l.seq = escape
		case c == '\t':
			l.add(' ')
		case c == '\b':
			l.text = l.text[:max(len(l.text)-1, 0)]
		case c < ' ' || c == 0x7f:
		default:
			l.add(c)
		}
	}
	return len(p), nil
}

func (l *Lines) add(c byte) {
	if len(l.text) == maxLine {
		l.cut = true
		return
	}
	l.text = append(l.text, c)
}

// Flush hands on a line that has begun and may not be ended for long: a
// prompt, a last word without a newline.
func (l *Lines) Flush() { l.end(false) }

// Begun reports whether there is something to flush.
func (l *Lines) Begun() bool { return len(l.text) > 0 }

// Lost says that a part of the stream is missing here: what was begun can't
// be continued.
func (l *Lines) Lost() {
	l.seq, l.cut = outside, len(l.text) > 0
	l.end(false)
}

func (l *Lines) end(redrawn bool) {
	line := string(l.text)
	if l.cut {
		// A secret of which only a part is here might not be known as one.
		line = line[:max(strings.LastIndexByte(line, ' '), 0)]
	}
	l.text, l.cut = l.text[:0], false
	line = strings.TrimSpace(untrusted.Visible(line))
	if line != "" {
		l.emit(Line{Text: line, Redrawn: redrawn})
	}
}

func (s sequence) next(c byte) sequence {
	switch s {
	case escape:
		return begun(c)
	case control:
		if c >= '@' && c <= '~' {
			return outside
		}
	case text:
		switch c {
		case 0x07:
			return outside
		case 0x1b:
			return textEsc
		}
	case textEsc:
		if c != '\\' {
			return text
		}
		return outside
	default:
		return outside
	}
	return s
}

// begun tells by the byte after ESC how long the sequence is.
func begun(c byte) sequence {
	switch {
	case c == '[':
		return control
	case strings.IndexByte("]PX^_", c) >= 0:
		return text
	case c >= ' ' && c <= '/':
		return charset
	default:
		return outside
	}
}
