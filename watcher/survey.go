package watcher

import (
	"errors"
	"io"
	"os"
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
	home       fsys.Identity
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
func resolve(pattern string) survey {
	var s survey
	paths := []string{"/"}
	for _, part := range strings.Split(pattern, "/") {
		if part == "" {
			continue
		}
		paths = s.descend(paths, part)
	}
	seen := make(map[string]bool)
	for _, path := range paths {
		p, err := locate(path)
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
func (s *survey) descend(dirs []string, part string) []string {
	if !strings.ContainsAny(part, `*?[\`) {
		for i := range dirs {
			dirs[i] = filepath.Join(dirs[i], part)
		}
		return dirs
	}
	var found []string
	for _, dir := range dirs {
		names, err := matches(dir, part)
		if err != nil {
			s.refuse(dir, err)
		}
		for _, name := range names {
			found = append(found, filepath.Join(dir, name))
		}
	}
	return found
}

func matches(dir, part string) ([]string, error) {
	// O_DIRECTORY: opening a FIFO would wait for its other end.
	d, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var found []string
	for {
		names, err := d.Readdirnames(256)
		for _, name := range names {
			if ok, _ := filepath.Match(part, name); ok {
				found = append(found, name)
			}
		}
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
	}
}

func locate(path string) (place, error) {
	final, err := filepath.EvalSymlinks(path)
	if err != nil {
		return place{}, err
	}
	var st unix.Stat_t
	if err := again(func() error { return unix.Lstat(final, &st) }); err != nil {
		return place{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return place{}, errNotDirectory
	}
	home, kind, err := identify(final, st.Ino)
	if err != nil {
		return place{}, err
	}
	return place{via: path, path: final, dev: st.Dev, inode: st.Ino, home: home, remote: kind}, nil
}

// errNotDirectory is deliberately not ENOTDIR: a file where a cache should be
// is worth a word.
var errNotDirectory = errors.New("it is not a directory")
