package config

import (
	"strconv"
	"strings"

	"progressd/untrusted"
)

// Error is one thing that is wrong in a configuration file.
type Error struct {
	File string
	// Line counts from 1.
	Line int
	// Key is the key's full name, such as log.dir; empty where the text is
	// no TOML.
	Key string
	// Problem says what is wrong and what was expected.
	Problem string
}

// Error renders the problem in one line that leads an editor to it:
// "config.toml:3: step: ...".
func (e *Error) Error() string {
	text := untrusted.Plain(e.File, maxShown) + ":" + strconv.Itoa(e.Line) + ": "
	if e.Key != "" {
		text += e.Key + ": "
	}
	return text + e.Problem
}

// maxShown bounds a text from outside in an error, in bytes.
const maxShown = 200

// quote returns a value from the file in quotes.
func quote(text string) string { return `"` + untrusted.Escaped(text, maxShown) + `"` }

// nearest returns the one of names that is most like name, or "" if none is
// like it. A name that only lacks its table, or has another, is like it.
func nearest(name string, names []string) string {
	best, least := "", len(lastPart(name))/3+2
	if len(name) > 100 {
		return best
	}
	for _, candidate := range names {
		d := min(distance(name, candidate), distance(lastPart(name), lastPart(candidate))+1)
		if d < least {
			best, least = candidate, d
		}
	}
	return best
}

func lastPart(name string) string {
	return name[strings.LastIndexByte(name, '.')+1:]
}

// distance is Levenshtein's: how many bytes to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
