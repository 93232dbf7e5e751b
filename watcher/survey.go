package watcher

import (
	"context"
	"path/filepath"
	"strings"
	"time"
)

// hides reports whether what was found via this path before may still be
// there although it wasn't found now.
func (s survey) hides(via string) bool {
	for _, r := range s.refused {
		if leadsTo(r.path, via) {
			return true
		}
	}
	for _, d := range s.delayed {
		if leadsTo(d.path, via) {
			return true
		}
	}
	return false
}

func leadsTo(path, via string) bool {
	return via == path || path == "/" || strings.HasPrefix(via, path+"/")
}

func (s *survey) refuse(path string, err error) {
	if !absent(err) {
		s.refused = append(s.refused, refusal{path, reason(err)})
	}
}

// resolve follows a pattern. Unlike filepath.Glob it says what it wasn't
// allowed to see, and waits for no place that hangs.
func (f *finder) resolve(ctx context.Context) survey {
	var s survey
	trail := f.trail.next(time.Now())
	paths := []string{"/"}
	for _, part := range strings.Split(f.pattern, "/") {
		if part != "" {
			paths = f.descend(ctx, &s, &trail, paths, part)
		}
	}
	questions := make([]question, 0, len(paths))
	for _, path := range paths {
		old := f.trail.places[path]
		questions = append(questions, question{f.surveyor.prefix + path, path, func() answer {
			p, err := locate(f.fs, path, old)
			return answer{place: p, err: err}
		}})
	}
	seen := make(map[string]bool)
	for i, a := range f.ask(ctx, &s, questions) {
		trail.add(questions[i], a)
		switch {
		case a == nil:
		case a.err != nil:
			s.refuse(paths[i], a.err)
		case !seen[a.place.path]:
			seen[a.place.path] = true
			s.places = append(s.places, a.place)
		}
	}
	f.trail = trail
	return s
}

func (f *finder) ask(ctx context.Context, s *survey, questions []question) []*answer {
	answers, delayed, asked := f.surveyor.ask(ctx, questions)
	s.delayed = append(s.delayed, delayed...)
	if !asked.IsZero() && (s.asked.IsZero() || asked.Before(s.asked)) {
		s.asked = asked
	}
	return answers
}

// descend goes one element of a pattern deeper from each of dirs.
func (f *finder) descend(ctx context.Context, s *survey, trail *trail, dirs []string, part string) []string {
	if !strings.ContainsAny(part, `*?[\`) {
		for i := range dirs {
			dirs[i] = filepath.Join(dirs[i], part)
		}
		return dirs
	}
	questions := make([]question, 0, len(dirs))
	for _, dir := range dirs {
		key := f.surveyor.prefix + dir + "\x00" + part
		old := f.trail.listings[key]
		questions = append(questions, question{key, dir, func() answer {
			l, err := list(f.fs, dir, part, old)
			return answer{listing: l, err: err}
		}})
	}
	var found []string
	for i, a := range f.ask(ctx, s, questions) {
		trail.add(questions[i], a)
		if a == nil {
			continue
		}
		if a.err != nil {
			s.refuse(dirs[i], a.err)
		}
		for _, name := range a.listing.names {
			found = append(found, filepath.Join(dirs[i], name))
		}
	}
	return found
}
