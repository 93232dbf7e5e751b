package tracker

import (
	"errors"
	"strconv"
	"syscall"
)

// Why is an error of a look in the words of the system, without a path.
func Why(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return quoted(err.Error())
}

// quoted is untrusted text in printable ASCII, with escapes for the rest, and
// not without end.
func quoted(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown] + "..."
	}
	text = strconv.QuoteToASCII(text)
	return text[1 : len(text)-1]
}

// maxShown bounds an untrusted text in a line, in bytes.
const maxShown = 255
