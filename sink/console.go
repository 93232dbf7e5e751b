package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"syscall"

	"progressd/tracker"
)

// ConsoleName is the console's name; no verdict waits for it.
const ConsoleName = "console"

// Console writes lines to a stream, for people or for programs. A
// stream whose reader is gone is given up: said once, then silence.
//
// Where the stream is standard output, the program must have called
// signal.Ignore(syscall.SIGPIPE) before: else Go dies of the first write to a
// closed pipe, and no error comes here.
type Console struct {
	out  io.Writer
	line func(tracker.Event) string
	log  *slog.Logger

	// torn: the last write ended in mid-line.
	torn   bool
	closed bool
}

// NewConsole returns a console on out whose lines are rendered by line:
// Form.Line, or Form.JSON.
func NewConsole(out io.Writer, line func(tracker.Event) string, log *slog.Logger) *Console {
	return &Console{out: out, line: line, log: log}
}

// Name is ConsoleName.
func (c *Console) Name() string { return ConsoleName }

// Write writes one line. Call it from one goroutine only.
func (c *Console) Write(_ context.Context, e tracker.Event) error {
	if c.closed {
		return nil
	}
	line := c.line(e) + "\n"
	if c.torn {
		line = "\n" + line
	}
	n, err := io.WriteString(c.out, line)
	if n > 0 {
		c.torn = line[n-1] != '\n'
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		c.closed = true
		c.log.Warn("the reader of the console is gone, no more lines are written there", keyError, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot write to the console: %w", err)
	}
	return nil
}
