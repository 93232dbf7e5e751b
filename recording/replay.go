package recording

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"progressd/tracker"
)

// longest is how long a line of a file may be. A look has some kilobytes.
const longest = 64 << 20

// A said is a tracker.Recorder that passes events on.
type said func(tracker.Event)

// Commit implements tracker.Recorder.
func (s said) Commit(_ *tracker.Episode, events []tracker.Event) {
	for _, e := range events {
		s(e)
	}
}

// Replay gives what stands in a file to a tracker, and say all that it says, in that
// order. Where several downloads are due at one time, which is first is chance. The
// error names the line that isn't understood, or after which some are missing; until
// there all was said.
func Replay(ctx context.Context, from io.Reader, say func(tracker.Event), log *slog.Logger) error {
	var t *tracker.Tracker
	return each(from, func(l line) error {
		switch {
		case l.Head != nil && l.Head.Form > Form:
			return fmt.Errorf("it has the form %d, of progressd %q: a newer one is needed to replay it", l.Head.Form, l.Head.Version)
		case l.Head != nil && !valid(l.Head.Settings):
			return errors.New("its settings are none that a daemon can have")
		case l.Head != nil:
			t = tracker.New(l.Head.Settings, said(say), tracker.Hooks{}, log)
			t.Restore(l.Head.Episodes, l.Head.At)
			t.Remember(l.Head.Reported)
		case t == nil:
			return errors.New("it doesn't begin with the head of a recording")
		case l.Gap:
			return errors.New("the disk was too slow here, and what was seen meanwhile is missing")
		case l.At().IsZero():
			return errors.New("there is nothing in it")
		default:
			if l.Look != nil && l.Unreadable != "" {
				l.Look.Unreadable = errors.New(l.Unreadable)
			}
			t.Take(ctx, l.Input)
		}
		return nil
	})
}

func valid(s tracker.Settings) bool {
	return min(s.Keepalive, s.StallAfter, s.InterruptAfter, s.QuietAfter) > 0 && s.Step >= 0
}

// each reads the lines of a file.
func each(from io.Reader, do func(line) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, longest)
	n := 0
	for lines.Scan() {
		n++
		var l line
		err := json.Unmarshal(lines.Bytes(), &l)
		if err == nil {
			err = do(l)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}
