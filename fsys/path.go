package fsys

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxFollowed bounds how many links lead to one directory, as it does in the
// kernel.
const maxFollowed = 40

// RealPath gives an absolute path without the links that it has.
func RealPath(kernel Kernel, name string) (string, error) {
	done, left := "/", name
	for links := 0; left != ""; {
		var element string
		element, left, _ = strings.Cut(left, "/")
		switch element {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, element)
		e, err := stat(kernel, unix.AT_FDCWD, next, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err != nil:
			return "", err
		case !e.Link() && !e.IsDir() && left != "":
			return "", unix.ENOTDIR
		case !e.Link():
			done = next
			continue
		}
		if links++; links > maxFollowed {
			return "", unix.ELOOP
		}
		text, err := readlink(kernel, unix.AT_FDCWD, next, unix.PathMax)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(text, "/") {
			done = "/"
		}
		left = text + "/" + left
	}
	return done, nil
}
