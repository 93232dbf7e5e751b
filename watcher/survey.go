package watcher

import (
	"errors"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"progressd/fsys"
)

// survey is what one pattern leads to now.
//
//nolint:recvcheck // filled through a pointer by resolve, a value from then on
type survey struct {
	places []place
	// refused are the paths at which the way ended with an error other
	// than "not there": nothing is known about what lies beneath.
	refused []refusal
}

// A place is a directory that a pattern led to.
type place struct {
	// via is the path before links are resolved, path the one after.
	via, path  string
	dev, inode uint64
	// remote names the network file system it is on; empty if local.
	remote string
}

type refusal struct {
	path string
	err  error
}

// hides reports whether what was found via this path before may still be
// there although it wasn't found now.
func (s survey) hides(via string) bool {
	for _, r := range s.refused {
		if via == r.path || r.path == "/" || strings.HasPrefix(via, r.path+"/") {
			return true
		}
	}
	return false
}

func (s *survey) refuse(path string, err error) {
	if !absent(err) {
		s.refused = append(s.refused, refusal{path, reason(err)})
	}
}

// resolve follows a pattern. Unlike filepath.Glob it says what it wasn't
// allowed to see.
func resolve(kernel fsys.Kernel, pattern string) survey {
	var s survey
	paths := []string{"/"}
	for _, part := range strings.Split(pattern, "/") {
		if part == "" {
			continue
		}
		paths = s.descend(kernel, paths, part)
	}
	seen := make(map[string]bool)
	for _, path := range paths {
		p, err := locate(kernel, path)
		if err != nil {
			s.refuse(path, err)
		} else if !seen[p.path] {
			seen[p.path] = true
			s.places = append(s.places, p)
		}
	}
	return s
}

// descend goes one element of a pattern deeper from each of dirs.
func (s *survey) descend(kernel fsys.Kernel, dirs []string, part string) []string {
	if !strings.ContainsAny(part, `*?[\`) {
		for i := range dirs {
			dirs[i] = filepath.Join(dirs[i], part)
		}
		return dirs
	}
	var found []string
	for _, dir := range dirs {
		names, err := matches(kernel, dir, part)
		if err != nil {
			s.refuse(dir, err)
		}
		for _, name := range names {
			found = append(found, filepath.Join(dir, name))
		}
	}
	return found
}

func matches(kernel fsys.Kernel, dir, part string) ([]string, error) {
	d, err := fsys.OpenToList(kernel, dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var found []string
	err = d.Names(func(name string) bool {
		if ok, _ := filepath.Match(part, name); ok {
			found = append(found, strings.Clone(name))
		}
		return true
	})
	return found, err
}

func locate(kernel fsys.Kernel, path string) (place, error) {
	final, err := fsys.RealPath(kernel, path)
	if err != nil {
		return place{}, err
	}
	d, err := fsys.OpenNoFollow(kernel, final)
	if errors.Is(err, unix.ENOTDIR) {
		return place{}, errNotDirectory
	}
	if err != nil {
		return place{}, err
	}
	defer d.Close()
	e, err := d.Stat()
	if err != nil {
		return place{}, err
	}
	kind, err := remote(d)
	if err != nil {
		return place{}, err
	}
	return place{via: path, path: final, dev: e.Dev, inode: e.Inode, remote: kind}, nil
}

// errNotDirectory is deliberately not ENOTDIR: a file where a cache should be
// is worth a word.
var errNotDirectory = errors.New("it is not a directory")
