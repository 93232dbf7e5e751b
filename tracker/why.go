package tracker

import (
	"errors"
	"syscall"

	"progressd/untrusted"
)

// Why is an error of a look in the words of the system, without a path.
func Why(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return quoted(err.Error())
}

// quoted is untrusted text fit to be shown between quotes.
func quoted(text string) string { return untrusted.Escaped(text, maxShown) }

// maxShown bounds an untrusted text in a line, in bytes.
const maxShown = 255
