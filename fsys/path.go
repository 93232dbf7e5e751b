package fsys

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxFollowed bounds how many links lead to one directory, as it does in
	// the kernel.
	maxFollowed = 40
	// linkItself opens a link, and not what it leads to.
	linkItself = unix.O_PATH | unix.O_NOFOLLOW
)

// BorrowedError says that a link on the way to a directory is neither root's, nor
// of this process's user, nor of the directory's owner: who made it would have this
// process look where it may not look itself. (fs.protected_symlinks of the kernel
// guards against the same, in directories such as /tmp.)
type BorrowedError struct {
	// Link is the path of the link, By its owner.
	Link string
	By   uint32
	// Owner is that of the directory.
	Owner uint32
}

func (e *BorrowedError) Error() string {
	return fmt.Sprintf("the link %+q belongs to uid %d, the directory that it leads to to uid %d: it is followed only if it belongs to root or to the directory's owner",
		e.Link, e.By, e.Owner)
}

// ErrNotDirectory says that there is something at a path, and no directory.
var ErrNotDirectory = errors.New("it is not a directory")

// Follow opens the directory at an absolute path for what lies in it, and gives
// the path without the links that it has. Each element is opened in the one
// before, and each link is read when it is open: what is swapped in meanwhile is
// met as it is then. A link that lends the rights of this process is a
// BorrowedError.
func Follow(kernel Kernel, name string) (Dir, string, error) {
	w := &walk{kernel: kernel, left: name}
	top, err := open(kernel, unix.AT_FDCWD, "/", byPath)
	if err != nil {
		return Dir{}, "", err
	}
	w.at, w.done = top, "/"
	for w.left != "" {
		if err := w.step(); err != nil {
			w.at.Close()
			return Dir{}, "", err
		}
	}
	if err := w.judge(); err != nil {
		w.at.Close()
		return Dir{}, "", err
	}
	return w.at, w.done, nil
}

// A walk is on its way to a directory.
type walk struct {
	kernel Kernel
	// at is the directory that was reached, done its path, left what follows.
	at         Dir
	done, left string
	links      []BorrowedError // those that were followed
}

// step goes one element further.
func (w *walk) step() error {
	var element string
	element, w.left, _ = strings.Cut(w.left, "/")
	if element == "" || element == "." {
		return nil
	}
	next, err := open(w.kernel, w.at.fd, element, byPath|unix.O_NOFOLLOW)
	switch {
	case err == nil:
		w.at.Close()
		w.at, w.done = next, path.Join(w.done, element) // of ".." the one above
		return nil
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return w.follow(element)
	default:
		return err
	}
}

// follow puts what a link says in its place.
func (w *walk) follow(element string) error {
	link, err := open(w.kernel, w.at.fd, element, linkItself)
	if err != nil {
		return err
	}
	defer link.Close()
	e, err := link.Stat()
	if err != nil {
		return err
	}
	switch {
	case !e.Link() && strings.Trim(w.left, "/") == "":
		return ErrNotDirectory
	case !e.Link():
		return unix.ENOTDIR
	}
	if len(w.links) >= maxFollowed {
		return unix.ELOOP
	}
	w.links = append(w.links, BorrowedError{Link: path.Join(w.done, element), By: e.UID})
	text, err := readlink(w.kernel, link.fd, "", unix.PathMax)
	if err != nil {
		return err
	}
	if strings.HasPrefix(text, "/") {
		top, err := open(w.kernel, unix.AT_FDCWD, "/", byPath)
		if err != nil {
			return err
		}
		w.at.Close()
		w.at, w.done = top, "/"
	}
	w.left = text + "/" + w.left
	return nil
}

// judge refuses a directory that was reached by a link of somebody who has no
// business with it.
func (w *walk) judge() error {
	if len(w.links) == 0 {
		return nil
	}
	e, err := w.at.Stat()
	if err != nil {
		return err
	}
	for _, link := range w.links {
		if link.By != 0 && link.By != e.UID && link.By != uint32(os.Geteuid()) { //nolint:gosec // uids are not negative
			link.Owner = e.UID
			return &link
		}
	}
	return nil
}
