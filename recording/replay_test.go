package recording_test

import (
	"bytes"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"progressd/recording"
	"progressd/sink"
	"progressd/tracker"
)

var update = flag.Bool("update", false, "write the lines that come of the recordings in testdata")

// What once was recorded of real clients, and of faults that were mended, is judged as
// it is right.
func TestTheRecordings(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%q, %v", paths, err)
	}
	form := sink.Form{Text: sink.Message, Stamp: func(at time.Time) string { return at.UTC().Format(time.TimeOnly) }, Zone: sink.LocalZone()}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var lines strings.Builder
			err = recording.Replay(t.Context(), bytes.NewReader(text), func(e tracker.Event) {
				lines.WriteString(form.Line(e) + "\n")
			}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(path, ".jsonl") + ".lines"
			if *update {
				if err := os.WriteFile(golden, []byte(lines.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if lines.String() != string(want) {
				t.Errorf("said\n%swant\n%s", lines.String(), want)
			}
		})
	}
}
