package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"

	"progressd/sizer"
	"progressd/tracker"
)

// JournalName is the journal's name towards the Outbox.
const JournalName = "journal"

// Identifier is the SYSLOG_IDENTIFIER of every line.
const Identifier = "progressd"

// journalSocket is where go-systemd sends to. A variable, so that a build can
// point both elsewhere (-ldflags -X).
var journalSocket = "/run/systemd/journal/socket"

// messageIDs identify each kind for ever: the message catalog and the
// operators' filters (journalctl MESSAGE_ID=...) refer to them.
var messageIDs = map[tracker.Kind]string{
	tracker.Preparing:    "0165f4e9386c4d1aae162d266fdb89da",
	tracker.Started:      "49277b281d174128bd6268c2645d8536",
	tracker.Resumed:      "b35cc03249814503af96e89829dd6ab7",
	tracker.Progress:     "8abdd0420e2049999ae33bef4d515c68",
	tracker.Keepalive:    "1f2507e327b94274bf670c186a42c3c1",
	tracker.Stalled:      "b7b5327f873f49edbc1bd77d2c1bc4c5",
	tracker.Moving:       "9e13d739cfd442b2a33b8147bb0a728c",
	tracker.Restarted:    "c140435f16f64be6a080f04d40aaf1e5",
	tracker.Interrupted:  "9d810cd42c6c43bca3e1176d2b4ec478",
	tracker.Failed:       "721fceac61a6431faa560afa9e864f8b",
	tracker.Output:       "c3997d9ca27b4f289933a63a589889f5",
	tracker.Ended:        "b6aa2bdc652444ef8d32508481a79dd6",
	tracker.Completed:    "5fc7bc65bb124d4a80aa36d0d0de47aa",
	tracker.Unlisted:     "f2e626cc4316450c9bcbec3f32bea82a",
	tracker.Idle:         "4acc7917e8c3477eaa19357e359cf9d0",
	tracker.Removed:      "84d59598f1ee4e1fa126bc205fe24625",
	tracker.TotalDropped: "5815fb5c05b341fd8c307d943046a0da",
	tracker.SizeDiffers:  "0e34611e9e7f4f31a97230b322e9afdd",
	tracker.OrphansFound: "ddcb6c232b8149de8ebff5d3e672484c",
	tracker.LowSpace:     "4f09bf30a385486787b403e5c59c8d2b",
	tracker.SpaceBack:    "7b016d11a37544368a3dbfe99d885633",
	tracker.RootGone:     "0948e96d9c7943dfaab11502f07e3d12",
	tracker.RootBack:     "7a7beead89f04f748eec700d76c801dc",
	tracker.LinesLost:    "b3283110f67b466ea81e72242ae4f814",
}

// Journal writes events to systemd's journal in its native protocol: the
// message led by the repository, the numbers behind it as fields. A verdict
// may come twice over a kill; PROGRESSD_EVENT_ID tells.
type Journal struct {
	text   func(tracker.Event) string
	outbox Outbox
}

// NewJournal returns a journal whose messages are rendered by text (Message
// or Detailed).
func NewJournal(text func(tracker.Event) string, outbox Outbox) *Journal {
	// go-systemd makes its socket once for the life of the process, and
	// never again if that fails: so not later, when descriptors may be short.
	journal.Enabled()
	return &Journal{text: text, outbox: outbox}
}

// Name is JournalName.
func (j *Journal) Name() string { return JournalName }

// Write sends one event. It waits while journald takes no more, until ctx is
// done.
func (j *Journal) Write(ctx context.Context, e tracker.Event) error {
	if err := awaitRoom(ctx, journalSocket); err != nil {
		return fmt.Errorf("cannot send to the journal at %q: %w", journalSocket, err)
	}
	if err := journal.Send(led(e, j.text(e)), priority(e.Level()), fields(e)); err != nil {
		return fmt.Errorf("cannot send to the journal at %q: %w", journalSocket, err)
	}
	if e.Verdict() {
		j.outbox.Written(e.ID, JournalName)
	}
	return nil
}

// awaitRoom blocks until the receiver at path takes another datagram.
// journal.Send itself sends from an unconnected socket, which the kernel
// calls writable however full the receiver is, and so it spins at 100% of a
// processor. A connected socket tells the truth.
func awaitRoom(ctx context.Context, path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return os.NewSyscallError("connect", err)
	}
	const slice = 100 // milliseconds between two looks at ctx
	for {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, slice) //nolint:gosec // a descriptor is one in the kernel, too
		switch {
		case ready > 0:
			return nil
		case err != nil && err != unix.EINTR:
			return os.NewSyscallError("poll", err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

func priority(l tracker.Level) journal.Priority {
	switch l {
	case tracker.Success:
		return journal.PriNotice
	case tracker.Warning:
		return journal.PriWarning
	case tracker.Error:
		return journal.PriErr
	default:
		return journal.PriInfo
	}
}

// fieldSet collects fields; what is unknown is left out.
type fieldSet map[string]string

func (f fieldSet) text(name, value string) {
	if value != "" {
		f[name] = Clean(value)
	}
}

func (f fieldSet) number(name string, n int64) { f[name] = strconv.FormatInt(n, 10) }

func (f fieldSet) positive(name string, n int64) {
	if n > 0 {
		f.number(name, n)
	}
}

func (f fieldSet) seconds(name string, d time.Duration) { f.positive(name, int64(d/time.Second)) }

// fields are the structured fields of an event. Every name must be
// [A-Z][A-Z0-9_]*: go-systemd complains on stderr about any other.
func fields(e tracker.Event) map[string]string {
	f := fieldSet{"SYSLOG_IDENTIFIER": Identifier}
	f.text("MESSAGE_ID", messageIDs[e.Kind])
	f.text("PROGRESSD_EVENT", string(e.Kind))
	f.text("PROGRESSD_EVENT_ID", e.ID)
	f.text("PROGRESSD_ROOT", e.Root)
	f.text("PROGRESSD_REASON", e.Reason)
	f.positive("PROGRESSD_COUNT", int64(e.Count))
	if e.Repo.ID != "" {
		f.repo(e)
	}
	return f
}

func (f fieldSet) repo(e tracker.Event) {
	f.text("PROGRESSD_MODEL", e.Repo.ID)
	f.text("PROGRESSD_REPO_TYPE", string(e.Repo.Type))
	f.text("PROGRESSD_REVISION", e.Revision)
	if e.Kind == tracker.LinesLost {
		return
	}
	if e.Bytes > 0 || e.Kind != tracker.OrphansFound && e.Proof != tracker.ProvenByExit { // of a repository at rest nothing is counted
		f.number("PROGRESSD_BYTES", e.Bytes)
	}
	f.positive("PROGRESSD_TOTAL", e.Total)
	f.text("PROGRESSD_TOTAL_SOURCE", string(e.TotalSource))
	if percent, ok := sizer.FormatPercent(e.Bytes, e.Total); ok {
		f["PROGRESSD_PERCENT"] = strings.TrimSuffix(percent, "%")
	}
	f.positive("PROGRESSD_RATE", e.Rate)
	f.seconds("PROGRESSD_SECONDS_LEFT", e.Left)
	f.seconds("PROGRESSD_SILENCE_SECONDS", e.Silence)
	f.seconds("PROGRESSD_TOOK_SECONDS", e.Took)
	f.positive("PROGRESSD_FETCHED_BYTES", e.Fetched)
	f.positive("PROGRESSD_LOST_BYTES", e.Lost)
	f.seconds("PROGRESSD_AGE_SECONDS", e.Age)
	f.positive("PROGRESSD_RESUMABLE", int64(e.Resumable))
	if e.Disk != tracker.DiskUnknown {
		f.text("PROGRESSD_DISK", string(e.Disk))
		f.number("PROGRESSD_FREE_BYTES", e.Free)
		f.positive("PROGRESSD_NEEDED_BYTES", e.Needed)
	}
	if e.Files > 0 || e.FilesDone > 0 {
		f.number("PROGRESSD_FILES_DONE", int64(e.FilesDone))
	}
	f.positive("PROGRESSD_FILES", int64(e.Files))
	f.positive("PROGRESSD_FILES_IN_FLIGHT", int64(max(e.Partials, len(e.InFlight))))
	f.inFlight(e.InFlight)
	f.text("PROGRESSD_PROOF", string(e.Proof))
	f.run(e)
	if p := e.Downloader; p != nil {
		f.positive("PROGRESSD_PID", int64(p.PID))
		f.text("PROGRESSD_COMMAND", p.Command)
		f.text("PROGRESSD_UNIT", p.Unit)
		f.text("PROGRESSD_CONTAINER", p.Container)
		f.text("PROGRESSD_USER", p.User)
	}
}

// run is what a downloader that was watched has told.
func (f fieldSet) run(e tracker.Event) {
	f.text("PROGRESSD_COMMAND", e.Program)
	f.text("PROGRESSD_CAUSE", e.Cause)
	if e.Exit != nil {
		f.number("PROGRESSD_EXIT_STATUS", int64(e.Exit.Status))
		f.text("PROGRESSD_SIGNAL", e.Exit.Signal)
	}
}

// inFlight gives the files in flight as one JSON array, which programs that
// read journalctl -o json parse from the field's text:
// [{"name":"model.safetensors","bytes":1234,"size":5678,"rate":90}, ...], in
// bytes and bytes a second, without what is unknown.
func (f fieldSet) inFlight(files []tracker.File) {
	if len(files) == 0 {
		return
	}
	files = slices.Clone(files)
	for i := range files {
		files[i].Name = Clean(files[i].Name)
	}
	text, err := json.Marshal(files)
	if err != nil {
		return // it can't be: there are only strings and integers
	}
	f["PROGRESSD_IN_FLIGHT"] = string(text)
}
