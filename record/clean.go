package record

import (
	"strconv"
	"strings"
)

// nameLimit bounds an untrusted name in a line, in bytes before quoting: a
// file name has at most 255, a path of a root is longer only by intent.
const nameLimit = 255

// Clean makes untrusted text fit to be shown: printable ASCII stays as it is,
// anything else (control characters, escape sequences, bidirectional marks,
// invalid UTF-8) is quoted with escapes, also what looks quoted already.
// What is longer than 255 bytes ends in "...".
func Clean(s string) string { return CleanTo(s, nameLimit) }

// CleanTo is Clean with a limit in bytes of the caller's own.
func CleanTo(s string, limit int) string {
	cut := ""
	if len(s) > limit {
		s, cut = s[:limit], "..."
	}
	if plain(s) {
		return s + cut
	}
	return strconv.QuoteToASCII(s) + cut
}

func plain(s string) bool {
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	return s != "" && s[0] != '"' && !strings.ContainsFunc(s, unprintable)
}
