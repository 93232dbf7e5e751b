package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"progressd/tracker"
)

// LogName is the model logs' name towards the Outbox.
const LogName = "log"

// ModelLog writes a log file for each model into one directory. A file is
// opened for each line, so that it may be renamed, truncated or removed at any
// time without telling us. A verdict's line is there exactly once, whatever
// kills the daemon: see verdict.
type ModelLog struct {
	dir    string
	form   Form
	outbox Outbox
	log    *slog.Logger

	// notes are the positions of verdicts under way in this life, where the
	// outbox could not keep them.
	notes map[string]tracker.Position
	// unnoted: the outbox fails, and that was said; unlisted: owners can't be
	// let read their logs, likewise.
	unnoted, unlisted bool
	// claims are the names of files that logs have in this life.
	claims map[claim]string

	// write and sync reach the disk; tests put faults in between.
	write func(*os.File, []byte) (int, error)
	sync  func(*os.File) error
}

// NewModelLog returns the logs in dir, which is made when the first line is
// due.
func NewModelLog(dir string, form Form, outbox Outbox, log *slog.Logger) *ModelLog {
	return &ModelLog{
		dir: dir, form: form, outbox: outbox, log: log,
		notes: map[string]tracker.Position{}, claims: map[claim]string{},
		write: (*os.File).Write,
		sync:  func(f *os.File) error { return unix.Fdatasync(int(f.Fd())) },
	}
}

// Name is LogName.
func (m *ModelLog) Name() string { return LogName }

// Lane is the file's name: a log that can't be written holds up no other.
func (m *ModelLog) Lane(e tracker.Event) string { return e.Log }

// Write appends the event's line to its model's log. Events of a root have
// none and are skipped. Call it from one goroutine only.
func (m *ModelLog) Write(ctx context.Context, e tracker.Event) error {
	return m.WriteAll(ctx, []tracker.Event{e})[0]
}

// WriteAll is Write for events of several logs. Where the lines of all verdicts
// among them will stand is noted in one step.
func (m *ModelLog) WriteAll(_ context.Context, events []tracker.Event) []error {
	errs := make([]error, len(events))
	var verdicts []*verdict
	for i, e := range events {
		switch {
		case e.Repo.ID == "":
		case e.Verdict():
			verdicts = append(verdicts, &verdict{event: e, line: m.form.line(e, m.form.Text(e)), err: &errs[i]})
		default:
			errs[i] = m.line(e)
		}
	}
	if len(verdicts) > 0 {
		m.verdicts(verdicts)
	}
	return errs
}

// line appends the line of an event that is no verdict.
func (m *ModelLog) line(e tracker.Event) error {
	f, _, err := m.openFor(e)
	if err != nil {
		return err
	}
	return errors.Join(m.append(f, m.form.line(e, m.form.Text(e))), f.Close())
}

// RefusedError says that a log's path is nothing that may be written to. It
// stays so until somebody mends it.
type RefusedError struct {
	Path string
	// Why is a text of ours.
	Why string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("cannot use log file %q: it is %s: remove it, a new log is made then", e.Path, e.Why)
}

// open opens a model's log for reading and appending, and makes it, and its
// directory, if need be. It refuses whatever somebody else may have put in
// its place.
func (m *ModelLog) open(name string) (*os.File, error) {
	path := filepath.Join(m.dir, name)
	if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\x00") {
		return nil, &RefusedError{Path: path, Why: "no name for a log"}
	}
	f, err := openLog(path, 0)
	if errors.Is(err, unix.ENOENT) {
		f, err = m.create(path)
	}
	if err != nil {
		return nil, err
	}
	if why := unfit(f); why != "" {
		f.Close()
		return nil, &RefusedError{Path: path, Why: why}
	}
	return f, nil
}

// create makes a log, and its directory if need be. Who may list the directory may
// read the logs in it: the model names in it are told by both.
func (m *ModelLog) create(path string) (*os.File, error) {
	if err := os.MkdirAll(m.dir, 0o751); err != nil {
		return nil, fmt.Errorf("cannot make log directory %q: %w", m.dir, err)
	}
	mode, shared := os.FileMode(0o640), false
	if info, err := os.Stat(m.dir); err == nil {
		mode |= info.Mode() & othersRead
		shared = info.Mode()&groupRead != 0
	}
	f, err := openLog(path, mode)
	if err == nil && shared {
		shareWithGroup(f)
	}
	return f, err
}

// shareWithGroup has the group read a log, whatever the umask: that of the unit lets nobody
// read what nobody has to. Where it can't be done the umask stands.
func shareWithGroup(f *os.File) {
	if info, err := f.Stat(); err == nil && info.Mode()&groupRead == 0 && info.Size() == 0 {
		_ = f.Chmod(info.Mode().Perm() | groupRead)
	}
}

// The bits of a mode by which the group, and everybody, may read.
const (
	groupRead  = 0o040
	othersRead = 0o004
)

// openLog opens without following a link and without waiting for the other
// end of a FIFO. It makes the file if it is given a mode for it.
func openLog(path string, mode os.FileMode) (*os.File, error) {
	flags := os.O_RDWR | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK
	if mode != 0 {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, mode)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &RefusedError{Path: path, Why: "a symbolic link"}
	case errors.Is(err, unix.EISDIR):
		return nil, &RefusedError{Path: path, Why: "a directory"}
	case errors.Is(err, unix.ENXIO):
		return nil, &RefusedError{Path: path, Why: "a socket or a device"}
	case err != nil:
		return nil, fmt.Errorf("cannot open log file: %w", err)
	}
	return f, nil
}

// unfit says why an open file is no log of ours; empty if it is one.
func unfit(f *os.File) string {
	st, err := stat(f)
	switch {
	case err != nil:
		return "not to be examined"
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return "no regular file"
	case st.Nlink > 1:
		return "a hard link"
	case int(st.Uid) != os.Geteuid():
		return "a file of another user"
	}
	return ""
}

func stat(f *os.File) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return st, err
}

// append writes a line with one write, on a line of its own even where an
// earlier one was torn by a kill or a full disk.
func (m *ModelLog) append(f *os.File, line string) error {
	text := line + "\n"
	torn, err := endsTorn(f)
	if err != nil {
		return fmt.Errorf("cannot read the end of log file %q: %w", f.Name(), err)
	}
	if torn {
		text = "\n" + text
	}
	n, err := m.write(f, []byte(text))
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("cannot write to log file %q: %w", f.Name(), err)
	}
	return stillThere(f)
}

// stillThere is false of a log that was removed between its opening and the
// write: the line is lost, and to be written again.
func stillThere(f *os.File) error {
	st, err := stat(f)
	if err != nil {
		return fmt.Errorf("cannot examine log file %q: %w", f.Name(), err)
	}
	if st.Nlink == 0 {
		return fmt.Errorf("cannot write to log file %q: it was removed meanwhile", f.Name())
	}
	return nil
}

func endsTorn(f *os.File) (bool, error) {
	st, err := stat(f)
	if err != nil || st.Size == 0 {
		return false, err
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, st.Size-1)
	if errors.Is(err, io.EOF) {
		// Truncated just now: it begins anew.
		return false, nil
	}
	return last[0] != '\n', err
}
