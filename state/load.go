package state

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
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

// recordNames lists at most maxRoots files of records. It also removes what a
// kill left half written.
func recordNames(dir string) ([]string, error) {
	return namesOf(dir, recordsSuffix, maxRoots)
}
