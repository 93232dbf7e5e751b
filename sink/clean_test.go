package sink

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"progressd/downloader"
	"progressd/sizer"
	"progressd/tracker"
)

var hostileNames = []string{
	"", "a\nb", "a\rb", "\x1b[31mred", "\x1b]0;title\x07", "\u009b31m", "a\u202eb", "a\u2066b",
	"bad\xff\xfeutf8", "%n%s%!d(MISSING)", "<0>panic", "-rf", strings.Repeat("x", 255), strings.Repeat("\n", 5000),
	"a\x00b", "\"quoted\"", "\u2028", "caf\u00e9",
}

func checkClean(t *testing.T, what, text string) {
	t.Helper()
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			t.Fatalf("%s: raw byte %#x in %q", what, text[i], text)
		}
	}
}

// hostile puts the name wherever an untrusted one may stand.
func hostile(kind tracker.Kind, name string) tracker.Event {
	e := event(kind, "e1")
	e.Root, e.Repo.ID, e.Reason = name, name, name
	e.InFlight = []tracker.File{{Name: name, Bytes: 1}}
	e.Mismatch = &sizer.Mismatch{Path: name}
	e.Absent = []string{name}
	e.Downloader = &downloader.Process{PID: 1, Command: name, Unit: name}
	return e
}

func checkSinks(t *testing.T, kind tracker.Kind, name string) {
	t.Helper()
	e := hostile(kind, name)
	checkClean(t, string(kind), Message(e))
	checkClean(t, string(kind), Detailed(e))
	if n := len(Detailed(e)); n > 8000 {
		t.Fatalf("%s: a text of %d bytes", kind, n)
	}
	for field, value := range fields(e) {
		checkClean(t, field, value)
	}
	var out bytes.Buffer
	console := NewConsole(&out, Form{Text: Detailed, Stamp: RFC3339}.Line, slog.New(slog.DiscardHandler))
	if err := console.Write(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	line, ok := strings.CutSuffix(out.String(), "\n")
	if !ok {
		t.Fatalf("no newline ends %q", out.String())
	}
	checkClean(t, "console", line)
}

func testHostileNames(t *testing.T) {
	for _, name := range hostileNames {
		for kind := range messageIDs {
			checkSinks(t, kind, name)
		}
	}
}

func FuzzNoSinkShowsARawByte(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(string(tracker.Progress), name)
		f.Add(string(tracker.SizeDiffers), name)
	}
	f.Fuzz(func(t *testing.T, kind, name string) { checkSinks(t, tracker.Kind(kind), name) })
}
