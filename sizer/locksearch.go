package sizer

import (
	"strings"

	"progressd/downloader"
	"progressd/fsys"
	"progressd/hfcache"
)

// A lockSearch goes through the lock files of a root. Its methods report
// whether to go on.
type lockSearch struct {
	*pass
	table downloader.Locks
	// others is how many locks are held that weren't found yet.
	others int
	// left is how much more may be looked at.
	left  int
	yield func(folder, etag string, pid int) bool
	// besides are the folders of which the locks beside the blobs are known.
	besides map[string]bool
}

func (p *pass) newLockSearch(table downloader.Locks, yield func(folder, etag string, pid int) bool) *lockSearch {
	s := &lockSearch{pass: p, table: table, left: maxLocks, yield: yield, besides: make(map[string]bool)}
	if p.root.fs.sameDev {
		s.others = table.On(p.root.opts.Dev)
	} else {
		s.others = table.OnAnonymous()
	}
	return s
}

// run calls yield for each lock of a repository in the root that is held, until
// that says no, and reports whether all were found. Lock files beside the blobs
// are searched for only where some lock on the file system is none of those that
// have a place of their own.
func (s *lockSearch) run() (all bool) {
	if s.table.Empty() {
		return true
	}
	if s.inLocks() && s.besidesKnown() && s.others > 0 {
		s.besidesUnknown()
	}
	return s.left > 0
}

func (s *lockSearch) held(folder string, files []lockFile) bool {
	for _, file := range files {
		pid, held := s.holder(s.table, file)
		if !held {
			continue
		}
		s.others--
		if !s.yield(folder, file.etag, pid) {
			return false
		}
	}
	return true
}

// inLocks goes through .locks/<folder>, of huggingface_hub >= 0.19.
func (s *lockSearch) inLocks() bool {
	locks, err := s.top.Sub(".locks")
	if err != nil && !fsys.Absent(err) {
		s.left = 0 // whose they are can't be told
	}
	if err != nil {
		return true
	}
	defer locks.Close()
	more := true
	_ = locks.Names(func(name string) bool {
		if _, ok := hfcache.ParseFolder(name); !ok {
			return true
		}
		var files lockDir
		folder := strings.Clone(name)
		s.readLockDir(&files, hfcache.LockDir(folder))
		s.left -= len(files.files)
		more = s.held(folder, files.files)
		return more && s.left > 0
	})
	return more
}

// besidesKnown goes through those beside the blobs of repositories that are
// looked at anyway.
func (s *lockSearch) besidesKnown() bool {
	for folder, rp := range s.root.repos {
		if rp.tree == nil && rp.besides != nil {
			s.besides[folder] = true
			if !s.held(folder, rp.besides) {
				return false
			}
		}
	}
	return true
}

// besidesUnknown goes through those of all others.
func (s *lockSearch) besidesUnknown() {
	root, err := s.top.Sub(".")
	if err != nil {
		return
	}
	defer root.Close()
	s.left = min(s.left, maxSearched)
	_ = root.Names(func(name string) bool {
		if _, ok := hfcache.ParseFolder(name); !ok || s.besides[name] {
			return true
		}
		folder := strings.Clone(name)
		var files lockDir
		s.left -= 1 + s.readBesides(&files, folder)/namesOfOne
		return s.held(folder, files.files) && s.others > 0 && s.left > 0
	})
}

// readBesides finds the lock files in blobs/ and says how many names it has read.
func (s *lockSearch) readBesides(into *lockDir, folder string) (names int) {
	blobs, err := s.top.Sub(folder + "/blobs")
	if err != nil {
		return 0
	}
	defer blobs.Close()
	_ = blobs.Names(func(name string) bool {
		names++
		if strings.HasSuffix(name, ".lock") {
			if b := hfcache.ParseBlob(strings.Clone(name)); b.Kind == hfcache.Lock {
				into.add(blobs, b.Etag)
			}
		}
		return names < s.left*namesOfOne
	})
	return names
}
