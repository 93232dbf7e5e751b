package hfcache

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Filter selects files of a revision as huggingface_hub does with names,
// allow_patterns and ignore_patterns. The zero Filter selects every file.
//
// A pattern is one of Python's fnmatch: "*" matches slashes too, "[seq]" and
// "[!seq]" are sets, nothing can be escaped, and a trailing "/" means all that
// lies beneath. A backslash counts as a slash.
type Filter struct {
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
}

// Match reports whether the file at path is selected. For many paths compile
// the filter once, by Matcher.
func (f Filter) Match(path string) bool {
	return f.Matcher()(path)
}

// Matcher compiles the filter. The function it returns may be called from
// several goroutines; its time is bounded by the lengths of path and patterns
// multiplied.
func (f Filter) Matcher() func(path string) bool {
	include, exclude := compileAll(f.Include), compileAll(f.Exclude)
	return func(path string) bool {
		path = slashed(path)
		if len(f.Include) > 0 && !include.matches(path) {
			return false
		}
		return !exclude.matches(path)
	}
}

// LiteralPattern returns the pattern that matches exactly the given path.
func LiteralPattern(path string) string {
	return literalEscaper.Replace(path)
}

var literalEscaper = strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]")

// patterns is a compiled list. Those without a wildcard, such as the hundred
// file names of one command line, are looked up and not tried in turn.
type patterns struct {
	literal map[string]bool
	wild    [][]glob
}

func compileAll(list []string) patterns {
	p := patterns{literal: make(map[string]bool)}
	for _, pattern := range list {
		pattern = slashed(pattern)
		if strings.HasSuffix(pattern, "/") {
			pattern += "*"
		}
		if strings.ContainsAny(pattern, "*?[") {
			p.wild = append(p.wild, compile(pattern))
		} else {
			p.literal[pattern] = true
		}
	}
	return p
}

func (p patterns) matches(path string) bool {
	if p.literal[path] {
		return true
	}
	for _, w := range p.wild {
		if matchGlob(w, path) {
			return true
		}
	}
	return false
}

func slashed(s string) string {
	return strings.ReplaceAll(s, `\`, "/")
}

// glob is one element of a compiled pattern: the star, or a set that matches
// one character.
type glob struct {
	star bool
	// not turns the set around: with no ranges it matches anything.
	not    bool
	ranges []runeRange
}

type runeRange struct{ lo, hi rune }

func (g glob) matches(r rune) bool {
	for _, rg := range g.ranges {
		if rg.lo <= r && r <= rg.hi {
			return !g.not
		}
	}
	return g.not
}

// matchGlob goes back to the last star only: each earlier star has then
// already matched as early as it could, which is never worse.
func matchGlob(pattern []glob, s string) bool {
	at, star, retry := 0, -1, 0
	for i := 0; i < len(s); {
		r, width := utf8.DecodeRuneInString(s[i:])
		switch {
		case at < len(pattern) && pattern[at].star:
			star, retry = at, i
			at++
		case at < len(pattern) && pattern[at].matches(r):
			at++
			i += width
		case star >= 0:
			_, width = utf8.DecodeRuneInString(s[retry:])
			retry += width
			at, i = star+1, retry
		default:
			return false
		}
	}
	for at < len(pattern) && pattern[at].star {
		at++
	}
	return at == len(pattern)
}

// Equal reports whether both select by the same patterns.
func (f Filter) Equal(other Filter) bool {
	return slices.Equal(f.Include, other.Include) && slices.Equal(f.Exclude, other.Exclude)
}
