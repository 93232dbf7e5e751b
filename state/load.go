package state

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"progressd/hfcache"
	"progressd/tracker"
)

// load reads the directory. What can't be used is noted in s.aside, so that
// nothing is written over it, and is one warning for each kind.
func (s *Store) load() {
	bad, err := s.loadRoots()
	if len(bad) > 0 {
		s.log.Warn("cannot use some records: they are kept aside, and what is not understood of them is taken as seen for the first time",
			"dir", s.path(rootsDir), "count", len(bad), "first", bad[0], "err", err)
		s.aside = append(s.aside, bad...)
	} else if err != nil {
		s.log.Warn("cannot read all records", "dir", s.path(rootsDir), "err", err)
	}
	s.loadFormer()
	for _, r := range s.roots {
		s.endOlderTwins(r)
	}
	s.recallVerdicts()
}

// loadRoots gives the files that are no good, and why the first is.
func (s *Store) loadRoots() (bad []string, first error) {
	names, err := recordNames(s.path(rootsDir))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file := filepath.Join(rootsDir, name)
		if err := s.loadRoot(file); err != nil {
			bad = append(bad, file)
			first = cmp.Or(first, err)
		}
	}
	return bad, first
}

// loadRoot reads the records of one root. What is no good is left out, and the
// file then written afresh.
func (s *Store) loadRoot(name string) error {
	file, err := openRegular(s.path(name))
	if err != nil {
		return err
	}
	defer file.Close()
	in := &lineReader{in: bufio.NewReaderSize(file, 64<<10)}
	text, err := in.next()
	if err != nil {
		return fmt.Errorf("cannot read whose records it holds: %w", err)
	}
	head, err := decodeHead(text)
	if err != nil {
		return err
	}
	r := newRecords(head.Root)
	if r.file() != name || s.roots[head.Root] != nil {
		return errors.New("it holds the records of a root of another name")
	}
	s.own(r, head.Owner)
	s.roots[head.Root] = r
	var first error
	for {
		text, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = s.apply(r, text)
		}
		if err != nil {
			first = cmp.Or(first, err)
			if errors.Is(err, errUnread) {
				break
			}
		}
	}
	// What is torn was being written when the daemon was killed.
	r.changed.all = first != nil || in.torn
	r.written = in.read
	if r.changed.all {
		s.touch(r)
	}
	return first
}

// apply takes over one line.
func (s *Store) apply(r *records, text []byte) error {
	l, err := decodeLine(text)
	if err != nil {
		return err
	}
	switch {
	case l.Head != nil:
		s.own(r, l.Head.Owner)
	case l.Baseline != nil:
		r.addBaseline(*l.Baseline)
	case l.Repo != nil:
		s.adopt(r, *l.Repo)
	case l.Episode != nil:
		return s.adoptEpisode(r, *l.Episode, len(text)+1)
	case l.Closed != "":
		if e := r.episodes[l.Closed]; e != nil {
			delete(r.episodes, l.Closed)
			s.forgetEpisode(e)
		}
	case l.Forgotten != nil:
		if rec := r.repos[*l.Forgotten]; rec != nil {
			delete(r.repos, rec.Repo)
			delete(s.logs, rec.Log)
			s.names[r.payer]--
			s.allNames--
		}
	}
	return nil
}

// adopt takes over a repository's record, but no log name that could lead
// elsewhere or that another repository has.
func (s *Store) adopt(r *records, rec repoRecord) {
	key := hfcache.Place{Root: r.root, Repo: rec.Repo}
	if holder, taken := s.logs[rec.Log]; !safeName(rec.Log) || taken && holder != key {
		rec.Log = ""
	}
	if former := r.repos[rec.Repo]; former != nil {
		if former.Log != rec.Log {
			delete(s.logs, former.Log)
		}
	} else {
		s.names[r.payer]++
		s.allNames++
	}
	if rec.Log != "" {
		s.logs[rec.Log] = key
	}
	r.repos[rec.Repo] = &rec
	s.last = max(s.last, rec.Number)
}

// adoptEpisode takes over what is remembered of a download, if its user has
// room for it.
func (s *Store) adoptEpisode(r *records, rec episodeRecord, size int) error {
	rec.Episode.Root = r.root
	e := r.episodes[rec.Episode.ID]
	if e == nil {
		if s.episodes[rec.Episode.ID] != nil {
			return errors.New("it holds an episode of another root")
		}
		e = &episode{of: r, payer: r.payer}
	}
	for _, p := range e.Pending {
		delete(s.pending, p.Event.ID)
	}
	if !e.charge(s.accounts, size) {
		delete(r.episodes, rec.Episode.ID)
		delete(s.episodes, rec.Episode.ID)
		return nil
	}
	e.episodeRecord = rec
	r.episodes[rec.Episode.ID], s.episodes[rec.Episode.ID] = e, e
	for _, p := range rec.Pending {
		s.pending[p.Event.ID] = e
	}
	s.last = max(s.last, rec.Number)
	return nil
}

// endOlderTwins leaves each repository of a directory one open episode.
func (s *Store) endOlderTwins(r *records) {
	newest := map[hfcache.Repo][]*episode{}
	for _, e := range inOrder(r.episodes) {
		if e.Episode.Over() {
			continue
		}
		others := slices.DeleteFunc(newest[e.Episode.Repo], func(older *episode) bool {
			if !older.Episode.Home.Same(e.Episode.Home) {
				return false
			}
			older.Episode.Phase = tracker.PhaseOver
			s.touchEpisode(older)
			return true
		})
		newest[e.Episode.Repo] = append(others, e)
	}
}

// recordNames lists at most maxRoots files of records. It also removes what a
// kill left half written.
func recordNames(dir string) ([]string, error) {
	return namesOf(dir, recordsSuffix, maxRoots)
}

func namesOf(dir, suffix string, most int) ([]string, error) {
	list, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer list.Close()
	var names []string
	for {
		some, err := list.Readdirnames(1024)
		for _, name := range some {
			switch {
			case strings.HasSuffix(name, tempSuffix):
				_ = os.Remove(filepath.Join(dir, name))
			case !strings.HasSuffix(name, suffix):
			case len(names) == most:
				return names, fmt.Errorf("cannot take more than %d records", most)
			default:
				names = append(names, name)
			}
		}
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return names, err
		}
	}
}

// errUnread: the rest of a file can't be read.
var errUnread = errors.New("cannot read on")

// A lineReader reads lines of a bounded length.
type lineReader struct {
	in   *bufio.Reader
	line []byte
	read int64
	// torn: the last line has no end.
	torn bool
}

// next gives the next whole line without its end, valid until the next call.
// A line that is too long is left out, with an error.
func (r *lineReader) next() ([]byte, error) {
	r.line = r.line[:0]
	tooLong := false
	for {
		part, err := r.in.ReadSlice('\n')
		r.read += int64(len(part))
		if tooLong = tooLong || len(r.line)+len(part) > maxLineBytes; !tooLong {
			r.line = append(r.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			r.torn = r.torn || len(r.line) > 0 || tooLong
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errUnread, err)
		case tooLong:
			return nil, fmt.Errorf("a line has more than %d bytes", maxLineBytes)
		default:
			return r.line[:len(r.line)-1], nil
		}
	}
}

// openRegular opens a regular file, and nothing else.
func openRegular(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
