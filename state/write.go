package state

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where state can't be written, it is tried again after a wait that doubles
// from the first of these to the second.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// maxAside is how many files that could not be used are kept in a directory.
const maxAside = 5

// asideMark stands before the Unix time in the name of a file kept aside.
const asideMark = ".bad-"

// sync writes what has changed.
func (s *Store) sync() error {
	err := s.write()
	s.judge(err)
	return err
}

// syncUnlessBroken is sync that leaves a broken disk to the next retry.
func (s *Store) syncUnlessBroken() {
	if s.trouble.wait == 0 {
		_ = s.sync() // it says itself what fails
	}
}

func (s *Store) write() error {
	if s.dir == "" {
		s.pretend()
		return nil
	}
	if err := s.secure(); err != nil {
		return err
	}
	// One root whose records fail must not hold up the others.
	var first error
	for r := range s.changed {
		if r.changed.some() {
			if err := r.write(s.disk, s.path(r.file()), s.accounts); err != nil {
				first = cmp.Or(first, fmt.Errorf("root %q: %w", r.root, err))
			}
		}
		if !r.changed.some() {
			delete(s.changed, r)
		}
	}
	for file := range s.gone {
		if err := s.disk.remove(s.path(file)); err != nil {
			first = cmp.Or(first, err)
			continue
		}
		delete(s.gone, file)
	}
	if first == nil {
		s.retireFormer()
	}
	return first
}

// secure makes sure that the directory is there and ours alone, and that
// nothing in it is overwritten that was not read.
func (s *Store) secure() error {
	if s.shut {
		return errors.New("cannot write state: the store is closed")
	}
	if !s.lock.held(s.dir) {
		if err := s.occupy(); err != nil {
			return err
		}
	}
	if err := s.keepAside(); err != nil {
		return err
	}
	return os.MkdirAll(s.path(rootsDir), 0o700)
}

// occupy takes a directory that came, or came back, while the daemon runs.
// The memory is newer than whatever lies there.
func (s *Store) occupy() error {
	s.lock.release()
	s.lock = nil
	lock, err := takeLock(s.dir)
	if err != nil {
		return err
	}
	s.lock = lock
	s.aside = []string{stateFile, episodesDir, rootsDir}
	for _, r := range s.roots {
		r.changed.all = true
		s.touch(r)
	}
	clear(s.gone)
	return nil
}

// judge says once that state can't be written, and once that it can again.
func (s *Store) judge(err error) {
	if err == nil {
		if s.trouble.wait > 0 {
			s.log.Info("state can be written again", "dir", s.dir)
		}
		s.trouble = trouble{}
		return
	}
	if s.trouble.wait == 0 {
		s.log.Warn("cannot write state: progress goes on, but a restart now may repeat or miss lines; it is tried again",
			"dir", s.dir, "err", err)
	}
	s.trouble.wait = min(max(2*s.trouble.wait, firstRetry), lastRetry)
	s.trouble.next = time.Now().Add(s.trouble.wait)
}

// retryIn says when syncing should be tried again; no is false if there is
// no need to.
func (s *Store) retryIn() (wait time.Duration, needed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble.wait == 0 {
		return 0, false
	}
	return max(0, time.Until(s.trouble.next)), true
}

// flush writes what has changed, whatever failed before.
func (s *Store) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.sync() // it says itself what fails
}

// keepAside renames what can't be used, and forgets the oldest of many.
func (s *Store) keepAside() error {
	if len(s.aside) == 0 {
		return nil
	}
	mark := asideMark + strconv.FormatInt(time.Now().Unix(), 10)
	for len(s.aside) > 0 {
		path := s.path(s.aside[0])
		if err := os.Rename(path, path+mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot keep a file aside: %w", err)
		}
		s.aside = s.aside[1:]
	}
	return cmp.Or(forgetOldest(s.dir), forgetOldest(s.path(rootsDir)), forgetOldest(s.path(episodesDir)))
}

func forgetOldest(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	kept := map[string]int64{}
	for _, entry := range entries {
		_, stamp, marked := strings.Cut(entry.Name(), asideMark)
		if when, err := strconv.ParseInt(stamp, 10, 64); marked && err == nil {
			kept[entry.Name()] = when
		}
	}
	names := slices.SortedFunc(maps.Keys(kept), func(a, b string) int {
		return cmp.Or(cmp.Compare(kept[a], kept[b]), strings.Compare(a, b))
	})
	for _, name := range names[:max(0, len(names)-maxAside)] {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// pretend counts as written what a volatile store holds.
func (s *Store) pretend() {
	for r := range s.changed {
		r.clean()
	}
	clear(s.changed)
	clear(s.gone)
}

// retireFormer removes the files of the version before, after all that they
// held was written. One that can't be removed is read once more.
func (s *Store) retireFormer() {
	for _, file := range s.former {
		_ = s.disk.remove(s.path(file))
	}
	if len(s.former) > 0 {
		_ = os.Remove(s.path(episodesDir)) // unless something was kept aside in it
	}
	s.former = nil
}
