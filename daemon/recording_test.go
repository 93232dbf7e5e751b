package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"progressd/recording"
	"progressd/tracker"
)

// What is recorded says the same once more, over a restart and with hashes for names.
func TestARecordingSaysTheSame(t *testing.T) {
	for _, f := range fates {
		t.Run(f.name, func(t *testing.T) {
			var said []tracker.Event
			var file string
			inBubble(t, timings[0], false, func(b *bubble) {
				b.stop()
				b.recordInto, file = b.base, b.in(recordingFile)
				b.start()
				b.begin(f.locks)
				b.stop()
				b.start()
				b.grow("model.safetensors", 100_000)
				if f.end != nil {
					f.end(b)
				}
				b.proc(f.lives)
				pass(12 * time.Minute)
				b.stop() // all of it is written
				said = b.heard.all()
				b.recordInto = ""
				b.start()
			})
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(said) < 3 {
				t.Fatalf("little is said: %v", said)
			}
			if got, want := replayed(t, text), sayings(said); got != want {
				t.Errorf("replayed\n%swant\n%s", got, want)
			}
			var hashed bytes.Buffer
			if err := recording.HashNames(bytes.NewReader(text), &hashed); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"org", "demo", "hub", "model.safetensors", "fetch.py", "python3", madeCommit, madeFiles["model.safetensors"]} {
				if strings.Contains(string(text), name) && strings.Contains(hashed.String(), `"`+name) || strings.Contains(hashed.String(), "/"+name) {
					t.Errorf("%q is still there", name)
				}
			}
			if got, want := wordless(replayed(t, hashed.Bytes())), wordless(sayings(said)); got != want {
				t.Errorf("replayed without names\n%swant\n%s", got, want)
			}
		})
	}
}

func replayed(t *testing.T, text []byte) string {
	t.Helper()
	var events []tracker.Event
	err := recording.Replay(context.Background(), bytes.NewReader(text), func(e tracker.Event) { events = append(events, e) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return sayings(events)
}

// sayings are events with all that lines are made of.
func sayings(events []tracker.Event) string {
	var text strings.Builder
	for _, e := range events {
		e.At = e.At.Round(0).UTC()
		fmt.Fprintf(&text, "%s %s %s %d/%d %d %v %v %s\n", e.At.Format(time.RFC3339Nano), e.Kind, e.Repo.ID, e.Bytes, e.Total, e.FilesDone, e.Silence, e.Took, e.Proof)
	}
	return text.String()
}

// wordless is a text without the words that are names.
func wordless(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		words := strings.Fields(line)
		if len(words) > 2 {
			words = slices.Delete(words, 2, 3)
		}
		lines[i] = strings.Join(words, " ")
	}
	return strings.Join(lines, "\n")
}
