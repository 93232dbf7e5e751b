package sink

import (
	"context"
	"fmt"
	"os"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"

	"progressd/record"
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

// fields are the structured fields of an event. Every name must be
// [A-Z][A-Z0-9_]*: go-systemd complains on stderr about any other.
func fields(e tracker.Event) map[string]string {
	f := record.Of(e, "").Fields()
	f["SYSLOG_IDENTIFIER"] = Identifier
	if id := messageIDs[e.Kind]; id != "" {
		f["MESSAGE_ID"] = id
	}
	return f
}
