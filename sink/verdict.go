package sink

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"progressd/tracker"
)

// searchLimit bounds how much of a log is searched for a verdict's line, in
// bytes. The line stands where its note says, or little behind.
const searchLimit = 16 << 20

// A verdict is one whose line is being written.
type verdict struct {
	event tracker.Event
	line  string
	f     *os.File
	log   string // the name of its file
	// found: the line stands there already.
	found bool
	err   *error
}

// failed keeps why it can't be written, if it can't.
func (v *verdict) failed(err error) bool {
	*v.err = err
	return err != nil
}

// verdicts writes each line exactly once: the place where it will stand is noted
// durably, for all of them at once, the line is appended and synced, then
// confirmed. Where a note is left, by a former life or a failed try, the line is
// first looked for behind the place noted, in the log and in those rotated away
// from it. It can't be found in a rotated log that was compressed meanwhile: the
// shipped logrotate file delays that.
func (m *ModelLog) verdicts(all []*verdict) {
	var placements []tracker.Placement
	for _, v := range all {
		if v.failed(m.prepare(v)) {
			continue
		}
		if v.found {
			continue
		}
		if at, err := m.end(v); !v.failed(err) {
			placements = append(placements, tracker.Placement{Event: v.event.ID, At: at})
		}
	}
	if len(placements) > 0 {
		m.place(placements)
	}
	for _, v := range all {
		if *v.err == nil && (v.found || !v.failed(m.append(v.f, v.line))) {
			v.failed(m.confirm(v.f, v.event.ID))
		}
		if v.f != nil {
			v.f.Close()
		}
	}
}

// prepare opens the log of a verdict and looks whether its line is there.
func (m *ModelLog) prepare(v *verdict) (err error) {
	if v.f, v.log, err = m.openFor(v.event); err != nil {
		return err
	}
	at, noted := m.noted(v.event.ID)
	if !noted {
		return nil
	}
	v.line = at.Line
	if v.found, err = m.find(v.f, v.log, at); err != nil {
		v.f.Close()
		return fmt.Errorf("cannot look for a line in log file %q: %w", v.f.Name(), err)
	}
	return nil
}

// end is where a verdict's line will stand.
func (m *ModelLog) end(v *verdict) (tracker.Position, error) {
	st, err := stat(v.f)
	if err != nil {
		return tracker.Position{}, fmt.Errorf("cannot examine log file %q: %w", v.f.Name(), err)
	}
	return tracker.Position{Dev: st.Dev, Inode: st.Ino, Size: st.Size, Line: v.line}, nil
}

func (m *ModelLog) noted(id string) (tracker.Position, bool) {
	if at, ok := m.notes[id]; ok {
		return at, true
	}
	return m.outbox.Placed(id)
}

// place notes where the lines will stand. A state directory that can't be
// written is no reason to keep silent about a verdict: then the note is held
// in memory only.
func (m *ModelLog) place(placements []tracker.Placement) {
	for _, p := range placements {
		m.notes[p.Event] = p.At
	}
	err := m.outbox.Placing(placements)
	if err != nil && !m.unnoted {
		m.log.Warn("cannot note a verdict before it is written: it may come twice if the daemon is killed right now", keyError, err)
	}
	m.unnoted = err != nil
}

// confirm makes the line durable and says so. It syncs also a line that was
// only found: the former life may have been killed before it did.
func (m *ModelLog) confirm(f *os.File, id string) error {
	if err := m.sync(f); err != nil {
		return fmt.Errorf("cannot sync log file %q: %w", f.Name(), err)
	}
	delete(m.notes, id)
	m.outbox.Written(id, LogName)
	return nil
}

// find looks for a noted line: in the log itself, unless it is another file
// by now; then in those rotated away from it.
func (m *ModelLog) find(f *os.File, name string, at tracker.Position) (bool, error) {
	st, err := stat(f)
	if err != nil {
		return false, err
	}
	if same(st, at) {
		found, err := holds(f, at.Size, at.Line)
		if found || err != nil {
			return found, err
		}
		// Truncated right between note and line: then the line is first.
		found, err = holdsFirst(f, 0, at.Line)
		if found || err != nil {
			return found, err
		}
	}
	return m.findRotated(name, at)
}

func same(st unix.Stat_t, at tracker.Position) bool {
	return st.Dev == at.Dev && st.Ino == at.Inode
}

// findRotated looks behind the noted place in a log's siblings: the noted
// file under the name it was rotated to, or a copy that copytruncate made of
// it.
func (m *ModelLog) findRotated(name string, at tracker.Position) (bool, error) {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		if entry.Name() == name || !strings.HasPrefix(entry.Name(), name) {
			continue
		}
		found, err := m.findIn(filepath.Join(m.dir, entry.Name()), at)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// findIn syncs the file where it finds the line: its last writer may have been
// killed before.
func (m *ModelLog) findIn(path string, at tracker.Position) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if notRotated(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	st, err := stat(f)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false, err
	}
	look := holdsFirst
	if same(st, at) {
		look = holds
	}
	found, err := look(f, at.Size, at.Line)
	if !found || err != nil {
		return false, err
	}
	return true, m.sync(f)
}

// holdsFirst reports whether a whole line begins right at the offset. In a
// file that is not the noted one as it was, no other place proves anything:
// with the time of day alone in it, an older line may be equal.
func holdsFirst(f *os.File, offset int64, line string) (bool, error) {
	text := make([]byte, len(line)+len("\n\n"))
	n, err := f.ReadAt(text, offset)
	if err != nil && err != io.EOF {
		return false, err
	}
	found := strings.TrimPrefix(string(text[:n]), "\n")
	return strings.HasPrefix(found, line+"\n"), nil
}

// notRotated: removed meanwhile, or nothing that a log of ours was rotated to.
func notRotated(err error) bool {
	return slices.ContainsFunc([]error{unix.ENOENT, unix.ELOOP, unix.ENXIO, unix.EACCES},
		func(harmless error) bool { return errors.Is(err, harmless) })
}

// holds reports whether a whole line, with its newline, begins at the offset
// or behind.
func holds(f *os.File, offset int64, line string) (bool, error) {
	r := bufio.NewReader(io.NewSectionReader(f, offset, searchLimit))
	for {
		text, err := r.ReadString('\n')
		switch {
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, err
		case text == line+"\n":
			return true, nil
		}
	}
}
