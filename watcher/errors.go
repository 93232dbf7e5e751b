package watcher

import (
	"errors"
	"io/fs"
	"syscall"
	"time"
)

var (
	errNotAbsolute = errors.New("not an absolute path")
	// errReplaced: the path leads to another directory now.
	errReplaced = errors.New("another directory is there now")
	// errUnwanted: the directory may still be there.
	errUnwanted = errors.New("no configured root leads there any more")
)

// absent reports whether err says that the path isn't there, as against not
// being readable now.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// reason gives the bare errno of err, without a path: paths are untrusted.
func reason(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// backOff gives the rest before the n-th repetition (n from 0): it doubles
// from first to limit.
func backOff(first, limit time.Duration, n int) time.Duration {
	for ; n > 0 && first < limit; n-- {
		first *= 2
	}
	return min(first, limit)
}

// retry gives the rest after the n-th failure in a row of a file system: from a poll
// to a minute, or a poll where that is longer. A disk that is well again isn't left
// unseen for long because polls are far apart.
func retry(poll time.Duration, n int) time.Duration {
	return backOff(poll, max(poll, time.Minute), n)
}
