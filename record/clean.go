package record

import (
	"reflect"
	"slices"
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

// Printable is text of a daemon as ours is, whoever that daemon is: printable
// ASCII, anything else a question mark.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// Printable is the record with all its texts fit to be shown.
func (r Record) Printable() Record {
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String {
			f.SetString(Printable(f.String()))
		}
	}
	r.InFlight = slices.Clone(r.InFlight)
	for i := range r.InFlight {
		r.InFlight[i].Name = Printable(r.InFlight[i].Name)
	}
	return r
}

// Printable is the download with all its texts fit to be shown.
func (d Download) Printable() Download {
	d.Key, d.State, d.Device = Printable(d.Key), State(Printable(string(d.State))), Printable(d.Device)
	d.Record = d.Record.Printable()
	return d
}
