package sink

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"progressd/record"
	"progressd/tracker"
)

// priorities are the journal's numbers for the levels of a record.
var priorities = map[string]string{"info": "6", "success": "5", "warning": "4", "error": "3"}

// The journal, the console and the log say the same of an event: the fields are
// the record's, its message is the line's.
func TestEveryOutletSaysTheSame(t *testing.T) {
	conn := listen(t, redirect(t))
	for _, s := range samples() {
		journal := sent(t, conn, s.event)
		r := asJSON(t, s.event)
		want := map[string]string{"SYSLOG_IDENTIFIER": Identifier}
		if id := messageIDs[s.event.Kind]; id != "" {
			want["MESSAGE_ID"] = id
		}
		for name, value := range r {
			text, ok := value.(string)
			if !ok {
				raw, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				text = string(raw)
			}
			switch name {
			case "time":
			case "message":
				want["MESSAGE"] = led(s.event, text)
			case "level":
				want["PRIORITY"] = priorities[text]
			case "id":
				want["PROGRESSD_EVENT_ID"] = text
			default:
				want["PROGRESSD_"+strings.ToUpper(name)] = text
			}
		}
		for name := range journal {
			if got := sorted(journal[name]); got != sorted(want[name]) {
				t.Errorf("%s: %s is %q in the journal, %q as JSON", s.name, name, got, want[name])
			}
			delete(want, name)
		}
		if len(want) > 0 {
			t.Errorf("%s: not in the journal: %v", s.name, want)
		}
		if line, message := clock.line(s.event, Message(s.event)), r["message"].(string); !strings.HasSuffix(line, "] "+message) {
			t.Errorf("%s: the line is %q, the message %q", s.name, line, message)
		}
	}
}

// sorted has the keys of a JSON array's objects in one order.
func sorted(text string) string {
	var files []map[string]any
	if json.Unmarshal([]byte(text), &files) != nil {
		return text
	}
	again, _ := json.Marshal(files)
	return string(again)
}

// sent is an event as journald gets it.
func sent(t *testing.T, conn interface{ Read([]byte) (int, error) }, e tracker.Event) map[string]string {
	t.Helper()
	write(t, NewJournal(Message, newMemory()), e)
	datagram := make([]byte, 1<<16)
	n, err := conn.Read(datagram)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parseNative(datagram[:n])
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// asJSON is an event as the console prints it for programs.
func asJSON(t *testing.T, e tracker.Event) map[string]any {
	t.Helper()
	var out bytes.Buffer
	write(t, NewConsole(&out, clock.JSON, (&diagnostics{}).logger()), e)
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line: %q", out.String())
	}
	var r map[string]any
	d := json.NewDecoder(&out)
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The records are a promise: testdata/records.golden has them as they are.
func TestRecordsAreAsPromised(t *testing.T) {
	var got strings.Builder
	for _, s := range samples() {
		e := s.event
		e.At = time.Date(2026, 10, 5, 22, 1, 15, 678_901_234, time.UTC)
		got.WriteString(clock.JSON(e) + "\n")
	}
	const golden = "testdata/records.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wantFile(t, golden, got.String())
}

// What is known to be nothing is 0; what is unknown is absent.
func TestARecordTellsNothingFromUnknown(t *testing.T) {
	known := event(tracker.Preparing, "e1")
	known.Exit = &tracker.Exit{}
	known.Files = 9
	known.Disk = tracker.DiskFull
	r := asJSON(t, known)
	for _, name := range []string{"bytes", "files_done", "exit_status", "free_bytes"} {
		if n, ok := r[name].(json.Number); !ok || n != "0" {
			t.Errorf("%s is %v, want 0", name, r[name])
		}
	}
	unknown := asJSON(t, tracker.Event{Kind: tracker.RootGone, At: at, Root: "/mnt", Total: -1, Rate: -1, Left: -1})
	for name, value := range unknown {
		switch name {
		case "time", "event", "level", "message", "root":
		default:
			t.Errorf("%s is %v, though nothing is known of it", name, value)
		}
	}
	for _, name := range record.FieldNames() {
		if name != strings.ToUpper(name) || !strings.HasPrefix(name, "PROGRESSD_") {
			t.Errorf("a field is called %s", name)
		}
	}
}
