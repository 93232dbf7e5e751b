// Package untrusted makes text that others have written fit to be shown: names in a cache,
// command lines, what a downloader prints, what comes over a socket. Nothing of it may move a
// cursor, look like a line of ours, or go on without end.
package untrusted

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a text in a line, in bytes before quoting: a file name has at most 255, and the
// path of a root is longer only by intent.
const (
	nameLimit = 255
	pathLimit = 4096
)

// Name is Quoted for a name, or a path of somebody's cache.
func Name(s string) string { return Quoted(s, nameLimit) }

// Path is Plain for a path that may be as long as the kernel takes them.
func Path(s string) string { return Plain(s, pathLimit) }

// Quoted is text as it is if it is printable ASCII, else quoted with escapes (control
// characters, escape sequences, bidirectional marks, invalid UTF-8), also what looks quoted
// already. What is longer than so many bytes ends in "...".
func Quoted(s string, limit int) string {
	s, cut := bounded(s, limit)
	if s != "" && s[0] != '"' && !strings.ContainsFunc(s, unprintable) {
		return s + cut
	}
	return strconv.QuoteToASCII(s) + cut
}

// Plain is Quoted but for what looks quoted already, which stays as it is, and so does the
// empty text: where it doesn't matter who has quoted it.
func Plain(s string, limit int) string {
	s, cut := bounded(s, limit)
	if strings.ContainsFunc(s, unprintable) {
		s = strconv.QuoteToASCII(s)
	}
	return s + cut
}

// Escaped is text in printable ASCII with escapes for the rest, and no quotes around it: for
// a line that quotes it itself. What is longer than so many bytes ends in "...".
func Escaped(s string, limit int) string {
	s, cut := bounded(s, limit)
	s = strconv.QuoteToASCII(s)
	return s[1:len(s)-1] + cut
}

func bounded(s string, limit int) (head, cut string) {
	if len(s) > limit {
		return s[:limit], "..."
	}
	return s, ""
}

// Printable is text in printable ASCII, with a question mark for anything else.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, s)
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// Visible is text in any script, without what isn't valid UTF-8 and without control
// characters.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r >= 0x7f && r <= 0x9f {
			return -1
		}
		return r
	}, s)
}
