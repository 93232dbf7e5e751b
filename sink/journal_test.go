package sink

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	_ "unsafe" // for go:linkname

	"progressd/sizer"
	"progressd/tracker"
)

// systemdSocket is go-systemd's own variable for where it sends to. It can't
// be set at run time in any other way.
//
//go:linkname systemdSocket github.com/coreos/go-systemd/v22/journal.journalSocket
var systemdSocket string

// redirect makes the journal's socket a path of the test's.
func redirect(t *testing.T) string {
	t.Helper()
	ours, theirs := journalSocket, systemdSocket
	t.Cleanup(func() { journalSocket, systemdSocket = ours, theirs })
	path := filepath.Join(t.TempDir(), "socket")
	journalSocket, systemdSocket = path, path
	return path
}

func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func receive(t *testing.T, conn *net.UnixConn) map[string]string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	datagram := make([]byte, 1<<16)
	n, err := conn.Read(datagram)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := parseNative(datagram[:n])
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// parseNative reads journald's native protocol.
func parseNative(datagram []byte) (map[string]string, error) {
	fields := map[string]string{}
	for len(datagram) > 0 {
		end := bytes.IndexByte(datagram, '\n')
		if end < 0 {
			return nil, fmt.Errorf("no newline ends %q", datagram)
		}
		line := string(datagram[:end])
		datagram = datagram[end+1:]
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			size := binary.LittleEndian.Uint64(datagram)
			value = string(datagram[8 : 8+size])
			datagram = datagram[8+size+1:]
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("field %s comes twice", name)
		}
		fields[name] = value
	}
	return fields, nil
}

func TestJournalEntryHoldsEveryNumber(t *testing.T) {
	conn := listen(t, redirect(t))
	e := event(tracker.Completed, "episode-7")
	moving(&e)
	e.Downloader.Container, e.Downloader.User = "0123456789ab", "alice"
	e.Revision = strings.Repeat("a", 40)
	e.Fetched = 425e6
	e.InFlight[1].Name = "b\n\"<&>"
	e.Silence, e.Took, e.Proof = 65*time.Second, 279*time.Second, sizer.ProvenByListing
	out := newMemory()
	write(t, NewJournal(Message, out), e)
	want := map[string]string{
		"MESSAGE":                   "deepseek-ai/deepseek-ocr: Model downloaded successfully",
		"PRIORITY":                  "5",
		"SYSLOG_IDENTIFIER":         "progressd",
		"MESSAGE_ID":                messageIDs[tracker.Completed],
		"PROGRESSD_EVENT":           "completed",
		"PROGRESSD_EVENT_ID":        "episode-7",
		"PROGRESSD_MODEL":           "deepseek-ai/deepseek-ocr",
		"PROGRESSD_REPO_TYPE":       "model",
		"PROGRESSD_ROOT":            "/cache",
		"PROGRESSD_REVISION":        strings.Repeat("a", 40),
		"PROGRESSD_BYTES":           "975000000",
		"PROGRESSD_TOTAL":           "1200000000",
		"PROGRESSD_TOTAL_SOURCE":    "listing",
		"PROGRESSD_PERCENT":         "81.3",
		"PROGRESSD_RATE":            "12100000",
		"PROGRESSD_SECONDS_LEFT":    "720",
		"PROGRESSD_SILENCE_SECONDS": "65",
		"PROGRESSD_TOOK_SECONDS":    "279",
		"PROGRESSD_FETCHED_BYTES":   "425000000",
		"PROGRESSD_FILES_IN_FLIGHT": "3",
		"PROGRESSD_IN_FLIGHT": `[{"name":"model-00004-of-00009.safetensors","bytes":45800000,"size":100000000,"rate":1500000},` +
			`{"name":"\"b\\n\\\"\u003c\u0026\u003e\"","bytes":10}]`,
		"PROGRESSD_FILES_DONE": "3",
		"PROGRESSD_FILES":      "9",
		"PROGRESSD_PID":        "4242",
		"PROGRESSD_COMMAND":    "vllm",
		"PROGRESSD_UNIT":       "vllm.service",
		"PROGRESSD_CONTAINER":  "0123456789ab",
		"PROGRESSD_USER":       "alice",
		"PROGRESSD_PROOF":      "listing",
	}
	if got := receive(t, conn); !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if out.written["episode-7 journal"] != 1 {
		t.Errorf("confirmed: %v", out.written)
	}
}

func TestJournalLeavesOutWhatIsUnknown(t *testing.T) {
	conn := listen(t, redirect(t))
	j := NewJournal(Message, newMemory())
	write(t, j, tracker.Event{Kind: tracker.RootGone, At: at, Root: "/mnt/cache"})
	want := map[string]string{
		"MESSAGE":           "Cache is gone, waiting for it to come back: /mnt/cache",
		"PRIORITY":          "4",
		"SYSLOG_IDENTIFIER": "progressd",
		"MESSAGE_ID":        messageIDs[tracker.RootGone],
		"PROGRESSD_EVENT":   "root-gone",
		"PROGRESSD_ROOT":    "/mnt/cache",
	}
	if got := receive(t, conn); !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestJournalPriorities(t *testing.T) {
	for level, want := range map[tracker.Level]int{tracker.Info: 6, tracker.Success: 5, tracker.Warning: 4, tracker.Error: 3} {
		if got := int(priority(level)); got != want {
			t.Errorf("level %v has priority %d, want %d", level, got, want)
		}
	}
}

// go-systemd would complain about others on stderr at every line.
func TestJournalFieldNamesAreValid(t *testing.T) {
	valid := regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	for _, s := range samples() {
		for name := range fields(s.event) {
			if !valid.MatchString(name) {
				t.Errorf("%s: field %q", s.name, name)
			}
		}
	}
}

// testJournalGone: no socket, then one: the line comes, and nothing else.
func testJournalGone(t *testing.T) {
	path := redirect(t)
	out := newMemory()
	j := NewJournal(Message, out)
	e := event(tracker.Completed, "e1")
	if err := j.Write(context.Background(), e); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("with no journal: %v", err)
	}
	if len(out.written) != 0 {
		t.Fatal("confirmed without being sent")
	}
	conn := listen(t, path)
	write(t, j, e)
	if got := receive(t, conn); got["PROGRESSD_EVENT_ID"] != "e1" {
		t.Errorf("got %v", got)
	}
}

// testJournalFull fills the socket as other programs would: a Write waits
// without sending, ends with its context, and goes on when there is room.
func testJournalFull(t *testing.T) {
	path := redirect(t)
	conn := listen(t, path)
	filler, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	filled := 0
	for err = nil; err == nil; filled++ {
		if err = filler.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err == nil {
			_, err = filler.Write([]byte("MESSAGE=x\n"))
		}
	}
	j := NewJournal(Message, newMemory())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := j.Write(ctx, progressOf(1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("with a full socket: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- j.Write(context.Background(), progressOf(350e6)) }()
	for range filled - 1 {
		receive(t, conn)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := receive(t, conn)["MESSAGE"]; got != "deepseek-ai/deepseek-ocr: Downloaded 350MB..." {
		t.Errorf("got %q", got)
	}
}
