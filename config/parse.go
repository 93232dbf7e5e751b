package config

import (
	"errors"
	"regexp"
	"strings"

	"progressd/untrusted"

	"github.com/BurntSushi/toml"
)

// maxProblems bounds what is told at once: each line is found anew.
const maxProblems = 20

// parse checks the text of a file; file is its name for errors.
func parse(file string, data []byte, getenv func(string) string) (Config, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	if inUTF16(text) {
		return Config{}, &Error{File: file, Line: 1, Problem: "encoded in UTF-16, expected UTF-8"}
	}
	tree := map[string]any{}
	meta, err := toml.Decode(text, &tree)
	if err != nil {
		return Config{}, syntaxError(file, text, err)
	}
	cfg := Default()
	p := parser{file: file, text: text, settings: settings(&cfg, getenv), wrong: map[string]bool{}}
	for _, key := range meta.Keys() {
		p.take(key, tree)
		if len(p.problems) == maxProblems {
			break
		}
	}
	if len(p.problems) > 0 {
		return Config{}, errors.Join(p.problems...)
	}
	return cfg, nil
}

// inUTF16 reports whether a text begins with the byte order mark of UTF-16. The
// library skips one, so that a file which holds nothing else would pass as empty.
func inUTF16(text string) bool {
	return strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff")
}

func syntaxError(file, text string, err error) error {
	problem := &Error{File: file, Line: 1, Problem: untrusted.Plain(err.Error(), maxShown)}
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		// The library counts the line one too far where a line's end is what
		// it stumbles over; its offset is right.
		offset := min(max(syntax.Position.Start, 0), len(text))
		problem.Line = 1 + strings.Count(text[:offset], "\n")
		problem.Problem = untrusted.Plain(syntax.Message, maxShown)
	}
	return problem
}

// parser goes through the keys of a file in their order.
type parser struct {
	file, text string
	settings   []setting
	problems   []error
	// wrong holds the keys told to be wrong: what is beneath them isn't told.
	wrong map[string]bool
}

// take checks and stores the value of one key.
func (p *parser) take(key toml.Key, tree map[string]any) {
	for i := range key {
		if p.wrong[keyName(key[:i+1])] {
			return
		}
	}
	name := keyName(key)
	value := dig(tree, key)
	for _, s := range p.settings {
		if s.key == name {
			if err := s.store(value); err != nil {
				p.refuse(key, err.Error())
			}
			return
		}
	}
	if !p.isTable(name) {
		p.refuse(key, p.unknown(name))
	} else if _, ok := value.(map[string]any); !ok {
		p.refuse(key, describe(value)+", expected the table ["+name+"]")
	}
}

func (p *parser) isTable(name string) bool {
	for _, s := range p.settings {
		if strings.HasPrefix(s.key, name+".") {
			return true
		}
	}
	return false
}

func (p *parser) unknown(name string) string {
	names := make([]string, 0, len(p.settings))
	for _, s := range p.settings {
		names = append(names, s.key)
	}
	if like := nearest(name, names); like != "" {
		return "unknown key, did you mean " + like + "?"
	}
	return "unknown key, expected one of " + strings.Join(names, ", ")
}

func (p *parser) refuse(key toml.Key, problem string) {
	name := keyName(key)
	p.wrong[name] = true
	p.problems = append(p.problems, &Error{File: p.file, Line: lineOf(p.text, key), Key: untrusted.Plain(name, maxShown), Problem: problem})
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// keyName joins a key's parts by dots; a part that isn't bare is quoted, so
// that "log.dir" in quotes is not taken for dir in [log].
func keyName(key toml.Key) string {
	parts := make([]string, len(key))
	for i, part := range key {
		parts[i] = part
		if !bareKey.MatchString(part) {
			parts[i] = quote(part)
		}
	}
	return strings.Join(parts, ".")
}

func dig(tree map[string]any, key toml.Key) any {
	var value any = tree
	for _, part := range key {
		table, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = table[part]
	}
	return value
}

// probe is a value that refuses to be decoded: the library then tells where
// it stands, which it tells in no other way.
type probe struct{}

func (*probe) UnmarshalTOML(any) error { return errors.New("located") }

// lineOf returns the line of a key's value in a text that parses, counted
// from 1. For a list of tables it is the first line known to be of it.
func lineOf(text string, key toml.Key) int {
	var table map[string]toml.Primitive
	meta, err := toml.Decode(text, &table)
	for _, part := range key[:len(key)-1] {
		var inner map[string]toml.Primitive
		err = errors.Join(err, meta.PrimitiveDecode(table[part], &inner))
		table = inner
	}
	var located toml.ParseError
	if err == nil && errors.As(meta.PrimitiveDecode(table[key[len(key)-1]], &probe{}), &located) {
		return max(located.Position.Line, 1)
	}
	return 1
}
